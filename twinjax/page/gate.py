"""Who may ask: the page is for this computer, or for whoever has the token; never for another site's scripts."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

_SHORTEST = 16
_COOKIE = "twinjax"
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class Gate:
    """What a request must show.

    **Parameters**: `host`, the address that is listened on; `token`, None where none is asked for; `names` by which the
    page may be called besides, as in `ward.hospital.example`; `secret`, of this run, so that a cookie ends with it.
    **Raises** `ValueError` for an address beyond this computer, or a further name, without a token, and for a token of
    fewer than 16 characters; that these are random is not checked.
    """

    host: str
    token: str | None = dataclasses.field(default=None, repr=False)
    names: tuple[str, ...] = ()
    secret: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", self.host.lower())  # as browsers say it
        object.__setattr__(self, "names", tuple(n.lower() for n in self.names))
        if self.token is None and not self.local:
            raise ValueError(
                f"{self.host} can be reached from other computers, and the page shows a patient's data: set "
                f"TWINJAX_TOKEN to a secret of {_SHORTEST} characters or more (`openssl rand -hex 32` makes one), or "
                "leave --host out"
            )
        if self.token is None and self.names:
            raise ValueError(
                f"by the name {self.names[0]} the page can be reached from elsewhere, as through a proxy, and it shows "
                f"a patient's data: set TWINJAX_TOKEN to a secret of {_SHORTEST} characters, or leave --name out"
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
        try:
            return origin is None or urlsplit(origin).netloc == headers.get("Host")
        except ValueError:  # no address
            return False

    def lets_in(self, headers: Mapping[str, str], port: int = 0) -> bool:
        """Whether a request has the token, as `Authorization: Bearer` or in the cookie that it was exchanged for."""
        if self.token is None:
            return True
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.right(given.strip()):
            return True
        pairs = (c.strip().partition("=") for c in headers.get("Cookie", "").split(";"))
        return any(name == f"{_COOKIE}_{port}" and _same(value, self._ticket) for name, _, value in pairs)

    def right(self, given: str) -> bool:
        """Whether this is the token, in a time that does not tell how much of it was right."""
        return self.token is None or _same(given, self.token)

    def cookie(self, secure: bool, port: int = 0) -> str:
        """What a browser keeps in place of the token until it closes: no script can read it, no other site sends it.
        Named by the port, as browsers send an address's cookies to all its ports.
        """
        return f"{_COOKIE}_{port}={self._ticket}; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")

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
    return hmac.compare_digest(a.encode(errors="surrogatepass"), b.encode(errors="surrogatepass"))
