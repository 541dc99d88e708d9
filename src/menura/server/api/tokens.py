"""``/api/tokens``: who else may use the server."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue
from menura.store.access_tokens import AccessTokens, NamedToken
from menura.store.lookup import library_there
from menura.store.role import Role

__all__ = ["token_routes"]

TokenId = Annotated[str, Path(min_length=1, max_length=80)]


class AccessTokenReply(BaseModel):
    """A token, without its text."""

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, kept: NamedToken, **more: str) -> Self:
        """As it is kept."""
        return cls(
            id=kept.id,
            name=kept.name,
            role=kept.role,
            created_at=kept.created_at,
            expires_at=kept.expires_at,
            last_used_at=kept.used_at,
            **more,
        )


class MadeToken(AccessTokenReply):
    """A token and its text, which is told this once."""

    token: str


class Tokens(BaseModel):
    """All named tokens."""

    tokens: list[AccessTokenReply]


class NewToken(BaseModel):
    """Whose it is, and what it allows."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=80)
    role: Role
    expires_in_s: float | None = Field(default=None, gt=0)


def token_routes(catalogue: Catalogue, tokens: AccessTokens) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/tokens", tags=["server"])

    @routes.get("", operation_id="listTokens", responses=answers(503))
    def listed() -> Tokens:
        """The named tokens."""
        there = not catalogue.fixed and library_there()
        return Tokens(tokens=[AccessTokenReply.of(token) for token in tokens.all()] if there else [])

    @routes.post("", status_code=201, operation_id="addToken", responses=answers(400, 409, 422, 503))
    def add(wanted: NewToken) -> MadeToken:
        """Make one: its text is told once."""
        made, text = tokens.add(wanted.name, wanted.role, wanted.expires_in_s)
        return MadeToken.of(made, token=text)

    @routes.delete("/{token_id}", status_code=204, operation_id="removeToken", responses=answers(404, 422, 503))
    def remove(token_id: TokenId) -> None:
        """Remove one: whoever has it may do nothing with it any more."""
        tokens.remove(token_id)

    return routes
