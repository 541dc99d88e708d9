"""``/api/access``: who asks, and what they may do."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from menura.server.access import grant_of
from menura.store.role import Role

__all__ = ["access_routes"]


class AccessReply(BaseModel):
    """What whoever asks may do, and by what right."""

    role: Role = Field(description="What they may do; each role may do what those before it may.")
    token: str = Field(description="Name of their token; empty for the operator's, and where none was brought.")


def access_routes() -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/access", tags=["server"])

    @routes.get("", operation_id="getAccess")
    async def mine(request: Request) -> AccessReply:
        """What the token of this request allows."""
        grant = grant_of(request.scope)
        return AccessReply(role=grant.role, token=grant.token)

    return routes
