"""``/api/effects``, ``/api/devices``, ``/api/base-models``, ``/api/health``, ``/api/ready``."""

from pathlib import Path

from fastapi import APIRouter, Response
from pydantic import BaseModel

from menura import __version__
from menura.devices.port import DeviceInfo
from menura.devices.portaudio import list_devices
from menura.server.api.errors import answers
from menura.server.catalogue import Catalogue
from menura.store.base_models import MODELS, models_here
from menura.voices.effects import EFFECTS, EffectKind

__all__ = ["system_routes"]


class EffectParamReply(BaseModel):
    """A parameter of an effect."""

    name: str
    label: str
    unit: str
    type: str
    min: float
    max: float
    default: float
    step: float


class EffectKindReply(BaseModel):
    """A kind of effect."""

    kind: str
    name: str
    description: str
    params: list[EffectParamReply]


class Effects(BaseModel):
    """What may follow a voice."""

    effects: list[EffectKindReply]


class Device(BaseModel):
    """A sound device of the server, in one direction."""

    index: int
    name: str
    host_api: str
    rate: int
    channels: int
    default: bool


class DeviceLists(BaseModel):
    """The server's sound devices."""

    inputs: list[Device]
    outputs: list[Device]


class BaseModelReply(BaseModel):
    """A model that voices share."""

    name: str
    file: str
    size: int
    what: str
    present: bool
    command: str


class BaseModels(BaseModel):
    """The models that voices share."""

    models: list[BaseModelReply]


class Health(BaseModel):
    """It is up."""

    status: str
    version: str


class Ready(BaseModel):
    """Whether it can serve; what is missing, if not."""

    ready: bool
    missing: list[str]


def _effect(effect: EffectKind) -> EffectKindReply:
    params = [
        EffectParamReply(
            name=p.name, label=p.label, unit=p.unit, type=p.type, min=p.min, max=p.max, default=p.default, step=p.step
        )
        for p in effect.params
    ]
    return EffectKindReply(kind=effect.kind, name=effect.name, description=effect.description, params=params)


def _device(device: DeviceInfo, channels: int, default: bool) -> Device:
    return Device(
        index=device.index,
        name=device.name,
        host_api=device.host_api,
        rate=device.default_rate,
        channels=channels,
        default=default,
    )


def system_routes(catalogue: Catalogue, page: Path) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api")

    @routes.get("/effects", operation_id="listEffects", tags=["voices"])
    def effects() -> Effects:
        """Effects for `setEffects`, with the range of each parameter."""
        return Effects(effects=[_effect(effect) for effect in EFFECTS.values()])

    @routes.get("/devices", operation_id="listDevices", tags=["server"], responses=answers(503))
    def devices() -> DeviceLists:
        """The sound devices of the server's machine."""
        found = list_devices(refresh=True)
        return DeviceLists(
            inputs=[_device(d, d.inputs, d.is_default_input) for d in found if d.inputs],
            outputs=[_device(d, d.outputs, d.is_default_output) for d in found if d.outputs],
        )

    @routes.get("/base-models", operation_id="listBaseModels", tags=["models"])
    def base_models() -> BaseModels:
        """Models that RVC voices share: which are here, and the command that gets them."""
        here = models_here()
        return BaseModels(
            models=[
                BaseModelReply(
                    name=model.name,
                    file=model.file,
                    size=model.size,
                    what=model.what,
                    present=model.name in here,
                    command=f"menura models pull {model.name}",
                )
                for model in MODELS.values()
                if not model.elsewhere or model.name in here  # else only a voice that asks for it needs it
            ]
        )

    @routes.get("/health", operation_id="health", tags=["server"])
    def health() -> Health:
        """Whether the server is up."""
        return Health(status="ok", version=__version__)

    @routes.get(
        "/ready", operation_id="ready", tags=["server"], responses={503: {"model": Ready, "description": "Not yet"}}
    )
    def ready(response: Response) -> Ready:
        """Whether it can serve: the library can be read, the page is there."""
        catalogue.refresh()
        missing = [f"library: {catalogue.problem}"] if catalogue.problem else []
        if not (page / "index.html").exists():
            missing.append("page: it was not built")
        if missing:
            response.status_code = 503
        return Ready(ready=not missing, missing=missing)

    return routes
