"""Who may ask: the page is for this computer, or for whoever has the token; never for another site's scripts."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

_SHORTEST = 16
_COOKIE = "twinjax"
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class Gate:
    """What a request must show.

    **Parameters**: `host`, the address that is listened on; `token`, None where none is asked for; `names` by which the
    page may be called besides, as in `ward.hospital.example`; `secret`, of this run, so that a cookie ends with it.
    **Raises** `ValueError` for an address beyond this computer without a token, or a token that can be guessed.
    """

    host: str
    token: str | None = None
    names: tuple[str, ...] = ()
    secret: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        if self.token is None and not self.local:
            raise ValueError(
                f"{self.host} can be reached from other computers, and the page shows a patient's data: set "
                f"TWINJAX_TOKEN to a secret of {_SHORTEST} characters or more (`openssl rand -hex 32` makes one), or "
                "leave --host out"
            )
        if self.token is not None and len(self.token) < _SHORTEST:
            raise ValueError(f"the token has {len(self.token)} characters; take {_SHORTEST} or more, at random")

    @property
    def local(self) -> bool:
        """Whether only this computer can ask."""
        return loopback(self.host)

    def known_host(self, said: str | None) -> bool:
        """Whether a request was sent to a name that is ours: another's name that leads here is an attack (DNS
        rebinding), which needs a name and not an address.
        """
        try:
            name = urlsplit(f"//{said or ''}").hostname or ""
        except ValueError:
            return False
        if name in (*LOCAL, *self.names, self.host) or (name and name == socket.gethostname().lower()):
            return True
        return not self.local and _is_address(name)

    def same_site(self, headers: Mapping[str, str]) -> bool:
        """Whether the page itself asks, as far as a browser says."""
        if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == headers.get("Host")

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the token, as `Authorization: Bearer` or in the cookie that it was exchanged for."""
        if self.token is None:
            return True
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.right(given.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._ticket)

    def right(self, given: str) -> bool:
        """Whether this is the token, in a time that does not tell how much of it was right."""
        return self.token is None or _same(given, self.token)

    def cookie(self, secure: bool) -> str:
        """What a browser keeps in place of the token until it closes: no script can read it, no other site sends it."""
        return f"{_COOKIE}={self._ticket}; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")

    @property
    def _ticket(self) -> str:
        return hmac.new(self.secret, (self.token or "").encode(), hashlib.sha256).hexdigest()


def loopback(host: str) -> bool:
    """Whether an address is this computer's own."""
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())
