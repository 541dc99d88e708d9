"""What an RVC voice's options come to on a machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from menura.errors import ConfigError
from menura.neural.native import bfloat16_sets
from menura.neural.options import Provider, RuntimeOptions
from menura.neural.precision import bfloat16_here, eight_bits_here
from menura.neural.stream.official import OfficialShape
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import OFFICIAL_HZ
from menura.places import data_folder
from menura.voices.rvc_options import OPTIONS, QUALITIES

__all__ = ["RvcPlan", "check_options", "network_cache", "plan_options", "settings_of"]

COMPUTES: Mapping[Provider, tuple[str, ...]] = {
    Provider.CPU: ("fp32", "int8", "bf16"),
    Provider.OPENVINO: ("fp32", "bf16"),
    Provider.CUDA: ("fp32", "fp16"),
    Provider.TENSORRT: ("fp32", "fp16"),
    Provider.DIRECTML: ("fp32", "fp16"),
    Provider.COREML: ("fp32", "fp16"),
}
"""Precisions of each provider. A processor's bf16 is OpenVINO's."""
ENVIRONMENT = {"quality": "MENURA_QUALITY", "provider": "MENURA_PROVIDER", "threads": "MENURA_THREADS"}
"""What counts on a machine for voices that do not say it themselves."""


@dataclass(frozen=True, slots=True)
class RvcPlan:
    """What a voice's options come to on this machine.

    Attributes:
        precision: What networks compute in.
        decoder: What our decoder computes in, which a processor runs.
        runtime: Where and how they run.
        block_ms, context_ms: How a stream is cut.
        scheme: How its blocks are joined.
        adapt: Whether the context may become shorter.
    """

    precision: str
    decoder: str
    runtime: RuntimeOptions
    block_ms: float
    context_ms: float
    scheme: str
    adapt: bool

    @property
    def int8(self) -> bool:
        """Whether content model and text encoder compute in 8 bits."""
        return self.precision == "int8"

    @property
    def voice_runtime(self) -> RuntimeOptions:
        """How the voice itself is computed, its decoder included."""
        return replace(self.runtime, bfloat16=True) if self.decoder == "bf16" else self.runtime

    @property
    def pitch_runtime(self) -> RuntimeOptions:
        """How pitch is found: in single precision, since it moves in another."""
        return replace(self.runtime, bfloat16=False, float16=False)

    def shape(self) -> StreamShape:
        """How a stream is cut."""
        return StreamShape.of(self.block_ms, self.context_ms)


def network_cache(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where voices' networks are kept as the processor wants them, so that they load sooner the next time: the folder
    ``cache/networks`` beside the models; None where ``MENURA_CACHE`` is ``off``.

    >>> network_cache({"MENURA_HOME": "/srv/menura"}).as_posix()
    '/srv/menura/cache/networks'
    >>> network_cache({"MENURA_CACHE": "off"})
    """
    if environment.get("MENURA_CACHE", "").lower() == "off":
        return None
    return data_folder(environment) / "cache" / "networks"


def settings_of(options: Mapping[str, Any]) -> RvcSettings:
    """Those that may change while the voice speaks."""
    return RvcSettings(**{name: value for name, value in options.items() if OPTIONS[name].live and value is not None})


def _machines(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the environment says."""
    found: dict[str, Any] = {}
    for name, variable in ENVIRONMENT.items():
        text = environment.get(variable, "")
        if not text:
            continue
        option = OPTIONS[name]
        try:
            found[name] = option.parse(text)
        except ConfigError as error:
            raise ConfigError(f"{variable}: {error}") from None
    return found


def _full(options: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """With what stands for those that are not given: the environment's, the preset's, the defaults."""
    given = {name: value for name, value in options.items() if value is not None}
    if not given.get("threads"):
        given.pop("threads", None)
    given = _machines(environment) | given
    preset = QUALITIES[given.get("quality", OPTIONS["quality"].default)]
    defaults = {name: option.default for name, option in OPTIONS.items() if option.default is not None}
    return defaults | dict(preset) | given


def check_options(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """See that a voice can have these options; nothing is loaded, and it may be for another machine.

    Args:
        options: By their names in a voice's stage; None as if it were not given.
        environment: ``MENURA_QUALITY``, ``MENURA_PROVIDER``, ``MENURA_THREADS`` stand for what is not given.

    Returns:
        All, with what stands for those that are not given.

    Raises:
        ConfigError: There is no such option, it cannot have the value, or two do not go together; the text says what
            can be.
    """
    for name, value in options.items():
        if name not in OPTIONS:
            raise ConfigError(f"unknown setting {name!r}; there are {', '.join(OPTIONS)}")
        if value is not None:
            OPTIONS[name].check(value)
    full = _full(options, environment)
    computes = COMPUTES[Provider(full["provider"])]
    if full["precision"] not in ("auto", *computes):
        raise ConfigError(
            f"precision {full['precision']!r} is none of provider {full['provider']!r}, which has {', '.join(computes)}"
            " and auto"
        )
    if full["decoder"] == "bf16" and full["provider"] != Provider.CPU:
        raise ConfigError(
            f"decoder 'bf16' is of provider 'cpu': of {full['provider']!r} it computes in what precision says"
        )
    if full["scheme"] == "official":
        OfficialShape(OFFICIAL_HZ, full["block_ms"] / 1000.0, extra_s=full["context_ms"] / 1000.0)
    else:
        StreamShape.of(full["block_ms"], full["context_ms"])
    return full


def plan_options(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> RvcPlan:
    """What options come to here.

    ``auto`` falls back to what this machine can do, since a preset is an aim, and the voice may come from another
    machine; a precision that is asked for by name is a demand: where it cannot be, loading says what to install.

    Raises:
        ConfigError: As :func:`check_options`; or a decoder in bfloat16 is asked for, and the processor has no such
            products.
    """
    full = check_options(options, environment)
    precision, provider = _resolved(full["precision"], Provider(full["provider"]))
    runtime = RuntimeOptions(
        provider=provider,
        threads=int(full["threads"]),
        device=int(full["device"]),
        bfloat16=precision == "bf16",
        float16=precision == "fp16",
        cache=network_cache(environment),
    )
    # an engine of TensorRT's is built for minutes for each length
    adapt = full["adapt"] and full["scheme"] == "menura" and provider is not Provider.TENSORRT
    decoder = _decoder(full["decoder"], provider)
    return RvcPlan(precision, decoder, runtime, full["block_ms"], full["context_ms"], full["scheme"], adapt)


def _resolved(precision: str, provider: Provider) -> tuple[str, Provider]:
    if precision == "auto":
        precision = _fastest(provider)
    return precision, Provider.OPENVINO if precision == "bf16" else provider


def _decoder(wanted: str, provider: Provider) -> str:
    """What the decoder computes in: bfloat16 costs nothing that is heard beside 8 bits elsewhere."""
    if wanted == "bf16" and not bfloat16_sets():
        raise ConfigError("decoder 'bf16': this processor has no products of bfloat16 (AVX512_BF16); say 'auto'")
    return "bf16" if wanted != "fp32" and provider is Provider.CPU and bfloat16_sets() else "fp32"


def _fastest(provider: Provider) -> str:
    """What is known to be faster there (``benchmarks/bench_rvc.py``); fp32 where nothing is."""
    if provider in (Provider.CUDA, Provider.TENSORRT):
        return "fp16"
    if provider is Provider.CPU and eight_bits_here():
        return "int8"
    return "bf16" if provider in (Provider.CPU, Provider.OPENVINO) and bfloat16_here() else "fp32"
