"""How the gate refuses a request or a socket: in the words that its client understands."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from math import ceil
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from menura.errors import RateLimitError, public_text
from menura.server.realtime_words import INVALID, SERVER, error_event

__all__ = ["NO_TOKEN", "OTHER_HOST", "OTHER_ORIGIN", "POLICY", "REALTIME", "Refusal", "later", "refuse"]

REALTIME = "/v1/realtime"
POLICY, TRY_AGAIN_LATER = 1008, 1013
REALTIME_CODES = {"unauthorized": "invalid_api_key", "forbidden": "insufficient_permissions"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>menura</title><h1>menura</h1><p>{}.</p></html>
"""
"""For people, who see a page's refusal in their browser."""
CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What who is not let in is told."""

    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_ms: int | None = None


def later(error: RateLimitError) -> Refusal:
    """Too much was asked for."""
    headers = {"Retry-After": str(ceil(error.retry_after_ms / 1000))}
    return Refusal(429, error.code, public_text(error), headers, error.retry_after_ms)


NO_TOKEN = Refusal(
    401,
    "unauthorized",
    "This server asks for its token: open the address that menura serve printed, or add ?token= and yours",
    CHALLENGE,
)
OTHER_HOST = Refusal(421, "host_not_allowed", "This server has another name: the operator may allow this one")
OTHER_ORIGIN = Refusal(403, "origin_not_allowed", "Pages of other sites may not use this server")


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
    """Answer whoever is not let in.

    Args:
        refusal: What it is told.
        scope: Of the request or socket (ASGI).
        receive: From its client.
        send: To it.
        headers: Of the answer, besides those of the refusal.
    """
    body: dict[str, Any] = {"error": refusal.text, "code": refusal.code}
    if refusal.retry_after_ms is not None:
        body["retry_after_ms"] = refusal.retry_after_ms
    headers = {**headers, **refusal.headers}
    if scope["type"] == "http" and scope["path"] == "/" and _reads_html(scope):
        await HTMLResponse(PAGE.format(escape(refusal.text)), refusal.status, headers)(scope, receive, send)
    elif scope["type"] == "http":
        await JSONResponse(body, refusal.status, headers)(scope, receive, send)
    elif scope["path"] == REALTIME and refusal.code in REALTIME_CODES:
        await _tell(scope, send, error_event(refusal.text, REALTIME_CODES[refusal.code], INVALID), POLICY)
    elif scope["path"] == REALTIME and refusal.retry_after_ms is not None:
        event = error_event(refusal.text, "rate_limit_exceeded", SERVER)
        event["error"]["retry_after_ms"] = refusal.retry_after_ms
        await _tell(scope, send, event, TRY_AGAIN_LATER)
    elif refusal.retry_after_ms is not None and "websocket.http.response" in scope.get("extensions", {}):
        await JSONResponse(body, refusal.status, headers)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": POLICY})


def _reads_html(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"])


async def _tell(scope: Scope, send: Send, event: Mapping[str, Any], close_code: int) -> None:
    """Refuse a client of the Realtime API, whose libraries show nothing of an HTTP answer."""
    protocol = "realtime" if "realtime" in scope.get("subprotocols", ()) else None
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": []})
    await send({"type": "websocket.send", "text": json.dumps(event)})
    await send({"type": "websocket.close", "code": close_code, "reason": event["error"]["code"]})
