"""``/api/sessions``: who uses the server now."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from menura.errors import NotFoundError
from menura.server.api.errors import answers
from menura.server.limits import Limiter

__all__ = ["session_routes"]

SessionId = Annotated[str, Path(min_length=1, max_length=64)]


class OpenSessionReply(BaseModel):
    """An open socket."""

    id: str
    kind: str
    client: str
    token: str
    started_at: datetime
    voice: str | None
    processing: bool
    latency_ms: float | None


class Sessions(BaseModel):
    """All open sockets."""

    sessions: list[OpenSessionReply]


def session_routes(limiter: Callable[[], Limiter]) -> APIRouter:
    """The routes.

    Args:
        limiter: Gives what counts the sessions.
    """
    routes = APIRouter(prefix="/api/sessions", tags=["server"])

    @routes.get("", operation_id="listSessions")
    async def listed() -> Sessions:
        """Everybody who has a socket open now."""
        return Sessions(sessions=[_shown(session) for session in limiter().open_sessions()])

    @routes.delete("/{session_id}", status_code=204, operation_id="endSession", responses=answers(404, 422))
    async def end(session_id: SessionId) -> None:
        """End one: its client is told."""
        session = limiter().find(session_id)
        if session is None:
            raise NotFoundError("No open session has this id")
        session.end()

    return routes


def _shown(session: Any) -> OpenSessionReply:
    """What the socket tells of itself, beside what its limits know; what is not known of one is left out."""
    told = session.describe()
    known = {name: getattr(session, name) for name in ("id", "kind", "client", "token", "started_at")}
    return OpenSessionReply(
        voice=told.get("voice"),
        processing=told.get("processing", False),
        latency_ms=told.get("latency_ms"),
        **known,
    )
