"""Who may ask the page: whoever opened it here or at its own address, and no other page.

A browser lets any page send requests to this machine. Those that come from another page say so in
``Origin`` or ``Sec-Fetch-Site``; those of a name that was made to point here say another ``Host``.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class OwnVisitorsOnly:
    """ASGI middleware that answers 403 to what comes from elsewhere.

    Args:
        app: what answers the others.
        host: address or name that is listened on.
    """

    def __init__(self, app: App, host: str) -> None:
        self.app = app
        self.host = host

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        reason = refusal(scope["headers"], self.host) if "headers" in scope else None
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            text = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": text})
            await send({"type": "http.response.body", "body": reason.encode()})


def refusal(headers: list[tuple[bytes, bytes]], host: str) -> str | None:
    """Why a request is not answered; None where it is.

    Args:
        headers: its names, in small letters, and values.
        host: address or name that is listened on.
    """
    named = {name.decode("latin-1"): value.decode("latin-1").lower() for name, value in headers}
    if sum(name == b"host" for name, _ in headers) != 1 or not _is_own(named["host"], host):
        return "this page is not at that address: open it as spatialembed serve says, or --host"
    if "origin" in named and urlsplit(named["origin"]).netloc != named["host"]:
        return "another page asked: open this one itself"
    elsewhere = named.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if elsewhere and named.get("sec-fetch-mode") != "navigate":
        return "another page asked: open this one itself"
    return None


def _is_own(asked: str, host: str) -> bool:
    """Whether a request's ``Host`` is this page's: a name that others can make point here is not.

    No one can do that to an address in numbers.
    """
    try:
        name = urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return False
    local = _is_loopback(host)
    try:
        return ip_address(name).is_loopback or not local
    except ValueError:
        return name in {"localhost", host.lower(), *(() if local else _names())}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _names() -> set[str]:
    """What this machine is called."""
    name = socket.gethostname().lower()
    return {name, f"{name}.local", socket.getfqdn().lower()}
