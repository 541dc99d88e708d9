"""``/api/rvc-options``: what may be set of a voice that is an RVC model."""

import math
from typing import Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel

from menura.voices.rvc_options import OPTIONS, Kind, RvcOption

__all__ = ["rvc_option_routes"]


class RvcOptionReply(BaseModel):
    """An option of a stage `rvc`; without a default where `quality` says it, without limits where it has none."""

    name: str
    what: str
    type: Literal["number", "whole", "choice", "switch"]
    default: bool | int | float | str | None
    min: float | None
    max: float | None
    unit: str
    choices: list[str]
    live: bool

    @classmethod
    def of(cls, option: RvcOption) -> Self:
        """As JSON has it."""
        return cls(
            name=option.name,
            what=option.what,
            type=option.kind.value,
            default=option.default,
            min=option.low if math.isfinite(option.low) else None,
            max=option.high if math.isfinite(option.high) else None,
            unit=option.unit,
            choices=[str(choice) for choice in option.choices],
            live=option.live,
        )


class RvcOptions(BaseModel):
    """What a voice's stage `rvc` may say beside its files."""

    options: list[RvcOptionReply]


def rvc_option_routes() -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/api/rvc-options", tags=["voices"])

    @routes.get("", operation_id="listRvcOptions")
    def options() -> RvcOptions:
        """The options of an RVC voice, with range and default of each: for `params` of its stage `rvc`."""
        return RvcOptions(options=[RvcOptionReply.of(one) for one in OPTIONS.values() if one.kind is not Kind.FILE])

    return routes
