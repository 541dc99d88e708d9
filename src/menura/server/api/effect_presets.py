"""``/api/effect-presets``: chains of effects under a name."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from menura.errors import NotFoundError
from menura.protocol.control_actions import MAX_EFFECTS
from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue
from menura.store.effect_presets import MAX_NAME, EffectPreset, EffectPresets

__all__ = ["effect_preset_routes"]

PresetId = Annotated[str, Path(min_length=1, max_length=64)]


class PresetEffect(BaseModel):
    """An effect with all its parameters, as `setEffects` takes it."""

    kind: str
    params: dict[str, float | str]
    enabled: bool


class EffectPresetReply(BaseModel):
    """A chain of effects under a name."""

    id: str
    name: str
    effects: list[PresetEffect]
    created_at: datetime

    @classmethod
    def of(cls, kept: EffectPreset) -> Self:
        """As it is kept."""
        effects = [PresetEffect.model_validate(effect.as_dict()) for effect in kept.effects]
        return cls(id=kept.id, name=kept.name, effects=effects, created_at=kept.created_at)


class EffectPresetList(BaseModel):
    """All of them, by name."""

    presets: list[EffectPresetReply]


class NewPresetEffect(BaseModel):
    """An effect; what is missing of its parameters is their default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: str = Field(min_length=1, max_length=40, examples=["reverb"])
    params: dict[str, float | str] = Field(default_factory=dict, max_length=16)
    enabled: bool = True


class NewEffectPreset(BaseModel):
    """A chain and its name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["My hall"])
    effects: list[NewPresetEffect] = Field(min_length=1, max_length=MAX_EFFECTS)
    replace: bool = Field(
        default=False, description="Take the place of the preset that has this name, if there is one; its id stays."
    )


class PresetName(BaseModel):
    """How it is called."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["Big hall"])


def effect_preset_routes(catalogue: Catalogue) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/effect-presets", tags=["voices"])

    def presets(*, make: bool) -> EffectPresets | None:
        library = catalogue.library(make=make)
        return None if library is None else EffectPresets.of(library)

    def existing() -> EffectPresets:
        kept = presets(make=False)
        if kept is None:
            raise NotFoundError("No preset of effects has this id")
        return kept

    @routes.get("", operation_id="listEffectPresets", responses=answers(503))
    def listed() -> EffectPresetList:
        """The chains of effects that were kept."""
        kept = None if catalogue.fixed else presets(make=False)
        return EffectPresetList(presets=[EffectPresetReply.of(preset) for preset in (kept.all() if kept else ())])

    @routes.post("", status_code=201, operation_id="addEffectPreset", responses=answers(400, 409, 422, 503))
    def add(preset: NewEffectPreset) -> EffectPresetReply:
        """Keep a chain under a name that no other has, or in the place of the one that has it."""
        kept = presets(make=True)
        assert kept is not None  # it was made
        effects = [effect.model_dump() for effect in preset.effects]
        return EffectPresetReply.of(kept.add(preset.name, effects, replace=preset.replace))

    @routes.patch("/{preset_id}", operation_id="renameEffectPreset", responses=answers(400, 404, 409, 422, 503))
    def rename(preset_id: PresetId, name: PresetName) -> EffectPresetReply:
        """Give one another name."""
        return EffectPresetReply.of(existing().rename(preset_id, name.name))

    @routes.delete(
        "/{preset_id}", status_code=204, operation_id="deleteEffectPreset", responses=answers(404, 409, 422, 503)
    )
    def delete(preset_id: PresetId) -> None:
        """Forget one."""
        existing().delete(preset_id)

    return routes
