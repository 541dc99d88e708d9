"""``/api/settings``: what the page remembers for everybody."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue

__all__ = ["Settings", "settings_routes"]

KEY = "page"


class Settings(BaseModel):
    """Settings; what was never set has its default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    voice: str | None = Field(default=None, max_length=64, description="Selected at first.")
    theme: str = Field(default="system", pattern="^(system|light|dark)$")
    status_interval_ms: int = Field(default=200, ge=20, le=10_000)
    sample_rate: int = Field(default=48_000, ge=8000, le=192_000)
    noise_suppression: bool = False
    auto_gain: bool = False
    echo_cancellation: bool = False


def settings_routes(catalogue: Catalogue) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/settings", tags=["server"])

    @routes.get("", operation_id="getSettings", responses=answers(503))
    def get() -> Settings:
        """The settings."""
        library = None if catalogue.fixed else catalogue.library(make=False)
        kept: Any = library.setting(KEY, {}) if library is not None else {}
        known = {name: value for name, value in dict(kept).items() if name in Settings.model_fields}
        return Settings.model_validate(known)

    @routes.put("", operation_id="putSettings", responses=answers(409, 422, 503))
    def put(settings: Settings) -> Settings:
        """Keep settings: all of them; what is left out becomes its default."""
        library = catalogue.library()
        assert library is not None  # it was made
        library.set_setting(KEY, settings.model_dump())
        return settings

    return routes
