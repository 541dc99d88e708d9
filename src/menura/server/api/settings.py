"""``/api/settings``: what the server remembers for everybody."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue
from menura.store.library import SETTINGS, VoiceLibrary
from menura.store.recordings import MAX_BYTES, MAX_S
from menura.store.voice_data import within

__all__ = ["Settings", "settings_routes"]

MAX_PAGE_BYTES = 16 * 1024


def _page(page: dict[str, Any]) -> dict[str, Any]:
    return within(page, MAX_PAGE_BYTES)


VoiceId = Annotated[str | None, Field(max_length=64, description="Selected at first.")]
Theme = Literal["system", "light", "dark"]
IntervalMs = Annotated[int, Field(ge=20, le=10_000)]
Rate = Annotated[int, Field(ge=8000, le=192_000)]
Bytes = Annotated[int, Field(ge=0, le=10**15, description="Of all recordings together: beyond, no other begins.")]
Seconds = Annotated[float, Field(ge=1, le=86_400, description="Of one recording.")]
Page = Annotated[
    dict[str, Any],
    AfterValidator(_page),
    Field(description="What else the page keeps: any object of at most 16 KiB. It is replaced as a whole."),
]


class Settings(BaseModel):
    """Settings; what was never set has its default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True)

    voice: VoiceId = None
    theme: Theme = "system"
    status_interval_ms: IntervalMs = 200
    sample_rate: Rate = 48_000
    noise_suppression: bool = False
    auto_gain: bool = False
    echo_cancellation: bool = False
    recordings_max_bytes: Bytes = MAX_BYTES
    recordings_max_s: Seconds = MAX_S
    page: Page = Field(default_factory=dict)


class SettingsChange(Settings):
    """What is to change; the rest stays."""


def _known(kept: Any) -> Settings:
    return Settings.model_validate({name: value for name, value in kept.items() if name in Settings.model_fields})


def settings_routes(catalogue: Catalogue) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/settings", tags=["server"])

    def made() -> VoiceLibrary:
        library = catalogue.library()
        assert library is not None  # it was made
        return library

    @routes.get("", operation_id="getSettings", responses=answers(503))
    def get() -> Settings:
        """The settings."""
        library = None if catalogue.fixed else catalogue.library(make=False)
        return _known(library.setting(SETTINGS, {}) if library is not None else {})

    @routes.put("", operation_id="putSettings", responses=answers(409, 422, 503))
    def put(settings: Settings) -> Settings:
        """Keep settings: all of them; what is left out becomes its default."""
        made().set_setting(SETTINGS, settings.model_dump())
        return settings

    @routes.patch("", operation_id="changeSettings", responses=answers(409, 422, 503))
    def change(changes: SettingsChange) -> Settings:
        """Change settings; what is left out stays."""
        return _known(made().change_setting(SETTINGS, changes.model_dump(exclude_unset=True)))

    return routes
