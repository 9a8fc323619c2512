"""The page over HTTP, by Python's own server: a few files, a few questions, and strict about who asks.

All numbers are made by one thread, which also has the ward's file; the threads that talk to browsers wait for it.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, cast

from twinjax.page.desk import Desk
from twinjax.page.gate import Gate

_LOG = logging.getLogger(__name__)
_MOST = 65_536
"""Bytes of a question."""
_FILES = {
    "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript"),
    "/figure.js": ("figure.js", "text/javascript"), "/token.js": ("token.js", "text/javascript"),
}  # fmt: skip
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}  # fmt: skip


class Page(ThreadingHTTPServer):
    """A patient's page at an address.

    **Parameters** of the constructor: `open_desk`, which opens the ward's file, called in the thread that will have it;
    `gate`; `port`, 0 for one that is free; `certificate` and `key`, files for HTTPS.
    **Raises** `ValueError` for a certificate that cannot be read, or a key without one; whatever `open_desk` raises.
    """

    daemon_threads = True

    def __init__(
        self, open_desk: Callable[[], Desk], gate: Gate, port: int, *,
        certificate: Path | None = None, key: Path | None = None,
    ):  # fmt: skip
        if ":" in gate.host:
            self.address_family = socket.AF_INET6
        self._gone = False
        self.gate, self.secure, self._worker = gate, certificate is not None, ThreadPoolExecutor(1, "twin")
        try:
            context = _context(certificate, key)
            self._desk = self._worker.submit(open_desk).result()
        except BaseException:
            self._worker.shutdown()
            raise
        try:
            super().__init__((gate.host, port), _Handler)
        except BaseException:  # the address is taken, or is none of this computer's
            self._let_go()
            raise
        if context is not None:
            # each connection's own thread shakes hands, so that a slow one keeps nobody waiting
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"{'https' if self.secure else 'http'}://{name}:{port}/"

    def ask(self, question: Callable[[Desk], Any]) -> Any:
        """An answer of the desk, by the one thread that may ask it."""
        found: Future[Any] = self._worker.submit(question, self._desk)
        return found.result()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Let go of the address and of the file."""
        self._let_go()
        super().server_close()

    def _let_go(self) -> None:
        if not self._gone:  # the server closes itself where it cannot have its address
            self._gone = True
            self._worker.submit(lambda: self._desk.ward.close())
            self._worker.shutdown()


def serve(
    open_desk: Callable[[], Desk], gate: Gate, port: int, *, certificate: Path | None = None, key: Path | None = None,
    said: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Serve a patient's page until it is interrupted, after everything that an edit needs is compiled.

    **Parameters**: `said`, to whom it says what it does; the rest as of `Page`.
    """
    page = Page(open_desk, gate, port, certificate=certificate, key=key)
    try:
        began = time.monotonic()
        steps = page.ask(lambda desk: iter(desk.warm()))
        while (step := page.ask(lambda _: next(steps, None))) is not None:
            said(f"{step} ({time.monotonic() - began:.0f} s)")
        said(f"{page.url}  (Ctrl-C ends it)")
        page.serve_forever()
    except KeyboardInterrupt:
        said("ended")
    finally:
        page.server_close()


def _context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ValueError(
                f"{key} is the key of a certificate that is not given: give both, or neither for plain HTTP"
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the certificate {certificate} cannot be used: {error}") from None
    return context


class _Handler(BaseHTTPRequestHandler):
    timeout = 30
    server_version = "twinjax"
    sys_version = ""

    def do_GET(self) -> None:
        """Files, and what is known."""
        if not self._welcome():
            return
        inside = self._inside()
        if self.path == "/":
            return self._file("page.html" if inside else "token.html", "text/html")
        if self.path in _FILES:
            return self._file(*_FILES[self.path])
        if not inside:
            return self._refuse(HTTPStatus.UNAUTHORIZED, "the token is missing or is not the right one")
        questions = {
            "/api/view": lambda desk: desk.view(),
            "/api/hash": lambda desk: {"hash": desk.hash, "begin": desk.begin},
        }
        if self.path not in questions:
            return self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path[:100]}")
        return self._answer(questions[self.path])

    def do_POST(self) -> None:
        """Questions, and the token."""
        if not self._welcome():
            return
        asked = self._read()
        if asked is None:
            return
        if not self.gate.same_site(self.headers):  # type: ignore[arg-type]
            return self._refuse(HTTPStatus.FORBIDDEN, "another site's page may not ask here")
        if self.path == "/token":
            if not self.gate.right(str(asked.get("token", ""))):
                time.sleep(1.0)
                return self._refuse(HTTPStatus.UNAUTHORIZED, "this is not the token")
            return self._send(
                b"{}", "application/json", more={"Set-Cookie": self.gate.cookie(self.page.secure, self._port)}
            )
        if not self._inside():
            return self._refuse(HTTPStatus.UNAUTHORIZED, "the token is missing or is not the right one")
        questions = {
            "/api/what-if": lambda desk: desk.what_if(asked), "/api/recommend": lambda desk: desk.recommend(asked)
        }  # fmt: skip
        if self.path not in questions:
            return self._refuse(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path[:100]}")
        return self._answer(questions[self.path])

    @property
    def page(self) -> Page:
        """The server."""
        return cast(Page, self.server)

    @property
    def gate(self) -> Gate:
        """The server's."""
        return self.page.gate

    @property
    def _port(self) -> int:
        return int(self.page.server_address[1])

    def _inside(self) -> bool:
        return self.gate.lets_in(self.headers, self._port)  # type: ignore[arg-type]

    def _welcome(self) -> bool:
        if self.gate.known_host(self.headers.get("Host")):
            return True
        self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this page is not known by that name; start it with --name to "
                     "allow it")  # fmt: skip
        return False

    def _read(self) -> dict[str, Any] | None:
        """The body, a JSON object; None where it was refused."""
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON (Content-Type: application/json)")
            return None
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "say how long the body is (Content-Length)")
            return None
        if len(length) > 9 or int(length) > _MOST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a question has up to {_MOST} bytes")
            return None
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"this is no JSON: {error}")
            return None
        except RecursionError:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is no question: brackets within brackets without end")
            return None
        if not isinstance(asked, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "a question is a JSON object")
            return None
        return asked

    def _answer(self, question: Callable[[Desk], Any]) -> None:
        try:
            body = json.dumps(self.page.ask(question), allow_nan=False).encode()
        except (ValueError, RuntimeError, ArithmeticError) as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except Exception:  # a fault of ours: the browser is told that much, the terminal the rest
            _LOG.exception("%s could not be answered", self.path[:100])
            return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "this could not be answered; where the page was "
                                "started it says why")  # fmt: skip
        return self._send(body, "application/json")

    def _file(self, name: str, kind: str) -> None:
        self._send(resources.files("twinjax.page").joinpath("files", name).read_bytes(), kind)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(json.dumps({"error": why}).encode(), "application/json", status)

    def _send(
        self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a request's line is not for the terminal."""
