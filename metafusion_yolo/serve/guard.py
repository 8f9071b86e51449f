"""Checks that every request must pass before its body is read."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
SENT = {  # with every answer
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
CUT = (400, 403, 408, 413)  # after which the rest of a request is not waited for
DRAINED = 4  # times the largest body that is read and thrown away, so that a client hears why it is refused
PAGE = re.compile(
    r"/|/(try|line-up|data-set|compare-runs|style\.css)|/static/[\w.]+"
)  # holds nothing of anyone, so it is given without a token


def refuse(status: int, text: str) -> JSONResponse:
    """Return an answer that refuses a request, one line of JSON."""
    more = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": "1"}}
    return JSONResponse({"error": text}, status, more.get(status, {"connection": "close"} if status in CUT else None))


class Guard:
    """Pass on requests from our own page or from no page that show the token, and are small and fast enough.

    Args:
        app: The application that answers.
        token: What each request must show; None for none. Then only the names of this machine are accepted as host,
            which stops pages of strangers whose name was made to lead here (DNS rebinding).
        most: Largest body, bytes.
        timeout: Seconds for a body to arrive.
        answered: Called with the status of each answer.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, most: int, timeout: float, answered: Callable[[int], None]
    ) -> None:
        self.app, self.token, self.most, self.timeout, self.answered = app, token, most, timeout, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered(message["status"])
                names = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in SENT.items() if name.encode() not in names]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal:
            await self._drain(receive, time.monotonic() + self.timeout)
        await (refusal or self.app)(scope, self._limited(receive), with_headers)

    async def _drain(self, receive: Receive, until: float) -> None:
        """Read the rest of a body, if it is small and fast."""
        left, more = DRAINED * self.most, True
        while more and left > 0:
            try:
                message = await asyncio.wait_for(receive(), until - time.monotonic())
            except asyncio.TimeoutError:
                return
            left -= len(message.get("body", b""))
            more = message.get("more_body", False)

    def _refusal(self, method: str, path: str, headers: Headers) -> JSONResponse | None:
        """Return the answer to a request that is rejected."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or (self.token is None and not LOCAL.fullmatch(hosts[0])):
            return refuse(
                400, "this server answers to localhost and 127.0.0.1 only; for other names start it with token="
            )
        origins, site = headers.getlist("origin"), headers.get("sec-fetch-site", "none")
        opened = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"  # a link to the page
        ours = {f"{scheme}://{hosts[0]}".lower() for scheme in ("http", "https")}
        if {origin.lower() for origin in origins} - ours or (site not in ("none", "same-origin") and not opened):
            return refuse(403, "pages of other sites may not use this server")
        shown = headers.getlist("authorization")
        expected = f"Bearer {self.token}".encode()
        public = self.token is None or (method == "GET" and PAGE.fullmatch(path))
        if not public and (len(shown) != 1 or not compare_digest(shown[0].encode(), expected)):
            return refuse(401, "this server needs its token: 'Authorization: Bearer TOKEN'")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.most:
            return refuse(413, self._too_large)
        return None

    @property
    def _too_large(self) -> str:
        return f"the request is larger than {self.most / 1e6:g} MB"

    def _limited(self, receive: Receive) -> Receive:
        """Return a `receive` that raises an error once the body is too large or too slow."""
        state: dict[str, Any] = {"bytes": 0, "until": time.monotonic() + self.timeout, "whole": False}

        async def limited() -> Message:
            if state["whole"]:  # what follows is the wait for the client to leave
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), state["until"] - time.monotonic())
            except asyncio.TimeoutError:
                raise HTTPException(408, f"the request took longer than {self.timeout:g} s to arrive") from None
            state["bytes"] += len(message.get("body", b""))
            state["whole"] = not message.get("more_body", False)
            if state["bytes"] > self.most:
                await self._drain(receive, state["until"])
                raise HTTPException(413, self._too_large)
            return message

        return limited
