"""Voices that are models: their files found, read and loaded once, however many sessions speak with them."""

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from menura.errors import ConfigError, ModelError
from menura.neural.content import ContentModel
from menura.neural.files.hubert import read_hubert
from menura.neural.files.index import read_index
from menura.neural.files.pitch import read_fcpe, read_rmvpe
from menura.neural.files.voice import read_voice
from menura.neural.options import RuntimeOptions
from menura.neural.pitch import FcpePitch, RmvpePitch
from menura.neural.runtime import return_memory
from menura.neural.stream.blocks import Steps
from menura.neural.stream.model import Floats, PitchFinder, RvcModel, run
from menura.neural.stream.official import OfficialShape
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import OFFICIAL_HZ, OfficialStage, RvcStage
from menura.neural.swift import SwiftPitch
from menura.neural.synthesizer import Synthesizer
from menura.neural.tracker import TrackedPitch
from menura.places import data_folder

__all__ = [
    "BASE_MODELS",
    "PITCH_METHODS",
    "RUNNING",
    "Running",
    "base_model",
    "check_rvc",
    "check_settings",
    "load_rvc",
    "make_rvc",
]

BASE_MODELS: Mapping[str, str] = {"content": "hubert_base.pt", "rmvpe": "rmvpe.pt"}
"""What every voice needs beside itself: the name of its file in the folder ``models``."""
PITCH_METHODS = ("rmvpe", "fcpe", "swift", "tracker")
FCPE_NEEDS = "pitch 'fcpe' needs its file, fcpe_c_v001.pt, as pitch_model"
SCHEMES = ("menura", "official")
"""How a stream is cut, computed and joined."""
_SETTINGS = tuple(field.name for field in fields(RvcSettings))
_loaded: "WeakValueDictionary[tuple[Any, ...], Any]" = WeakValueDictionary()
"""What is in use, by file and options: weights are in memory once."""


def _plain(_: RuntimeOptions, __: StreamShape) -> Callable[[RvcModel, Steps], Floats]:
    return run


@dataclass(frozen=True, slots=True)
class Running:
    """How models are run and loaded for voices that are built in its context.

    Attributes:
        runner: Gives what has a stream's networks run, for where they run and how the stream is cut; by default one
            after another, in the thread that asks.
        once: Called with what a part is known by, and a function that finds or loads it.
    """

    runner: Callable[[RuntimeOptions, StreamShape], Callable[[RvcModel, Steps], Floats]] = _plain
    once: Callable[[tuple[Any, ...], Callable[[], Any]], Any] = lambda _, find: find()


RUNNING: ContextVar[Running] = ContextVar("menura_running", default=Running())  # noqa: B039 - frozen


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


def base_model(name: str) -> Path:
    """The file of a model that voices share.

    Raises:
        ModelError: It is not there; the text says which command gets it.
    """
    path = data_folder() / "models" / BASE_MODELS[name]
    if not path.exists():
        raise ModelError(
            f"Model loading failed: {BASE_MODELS[name]} is missing, which this voice needs:"
            f" run 'menura models pull {name}'"
        )
    return path


def load_rvc(
    model: str | Path,
    index: str | Path | None = None,
    *,
    content: str | Path | None = None,
    pitch: str = "rmvpe",
    pitch_model: str | Path | None = None,
    options: RuntimeOptions | None = None,
    progress: Callable[[float, str], Any] | None = None,
) -> RvcModel:
    """Load a voice and what it needs.

    Args:
        model: The voice, ``.pth``.
        index: Its features, ``.index``.
        content: HuBERT or ContentVec; by default the one that ``menura models pull`` has got.
        pitch: ``rmvpe``; ``fcpe``, whose file is then given as ``pitch_model``; ``swift``, whose network comes with
            the extra of that name; or ``tracker``, which needs no model.
        pitch_model: RMVPE's file, as ``content``; FCPE's.
        options: Where networks run.
        progress: Called with what is done, 0…1, and what is next.

    Raises:
        ModelError: A file is missing, damaged, unsafe or of another kind; the text says which and what to do.
        ConfigError: There is no such way to find pitch, or this machine lacks the provider.
    """
    options = options or RuntimeOptions()
    if pitch not in PITCH_METHODS:
        raise ConfigError(f"pitch must be one of {', '.join(PITCH_METHODS)}, not {pitch!r}")
    tell = progress or (lambda done, text: None)
    tell(0.0, "the voice")
    synthesizer = _once(("voice", _mark(model), options), lambda: _synthesizer(model, options))
    version = synthesizer.config.version
    content_path = base_model("content") if content is None else content
    tell(0.3, "the content model")
    listener = _once(
        ("content", version, _mark(content_path), options), lambda: _content(content_path, version, options)
    )
    tell(0.7, "the pitch model")
    finder: PitchFinder | None = None
    if synthesizer.config.f0:
        finder = _finder(pitch, pitch_model, options)
    features = None if index is None else _once(("index", _mark(index)), lambda: read_index(index))
    return_memory()  # what reading the checkpoints took
    return RvcModel(listener, synthesizer, finder, features)


def _once(key: tuple[Any, ...], load: Callable[[], Any]) -> Any:
    return RUNNING.get().once(key, lambda: _find(key, load))


def _find(key: tuple[Any, ...], load: Callable[[], Any]) -> Any:
    found = _loaded.get(key)
    if found is None:
        found = _loaded.setdefault(key, load())  # of two threads that load it at once, both get the same
    return found


def _mark(path: str | Path) -> tuple[str, int, int]:
    """Changes when the file does."""
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"Model loading failed: cannot read {path}: {error.strerror}") from error
    return str(path.resolve()), status.st_size, status.st_mtime_ns


def _synthesizer(path: str | Path, options: RuntimeOptions) -> Synthesizer:
    checkpoint = read_voice(path)
    return Synthesizer(checkpoint.config, checkpoint.weights, options)


def _content(path: str | Path, version: str, options: RuntimeOptions) -> ContentModel:
    checkpoint = read_hubert(path)
    return ContentModel(checkpoint.config, checkpoint.weights, version=version, options=options)


def _finder(pitch: str, path: str | Path | None, options: RuntimeOptions) -> PitchFinder:
    if pitch == "tracker":
        return TrackedPitch()
    if pitch == "swift":
        swift: PitchFinder = _once(("swift", options), lambda: SwiftPitch(options=options))
        return swift
    if pitch == "fcpe" and path is None:
        raise ConfigError(FCPE_NEEDS)
    place = base_model("rmvpe") if path is None else path

    def load() -> PitchFinder:
        if pitch == "fcpe":
            fcpe = read_fcpe(place)
            return FcpePitch(fcpe.config, fcpe.weights, options)
        checkpoint = read_rmvpe(place)
        return RmvpePitch(checkpoint.config, checkpoint.weights, options)

    finder: PitchFinder = _once((pitch, _mark(place), options), load)
    return finder


def make_rvc(  # noqa: PLR0913 - all by name
    rate: int,
    channels: int = 1,
    *,
    model: str,
    index: str | None = None,
    content: str | None = None,
    pitch: str = "rmvpe",
    pitch_model: str | None = None,
    block_ms: float = 240.0,
    context_ms: float = 1000.0,
    threads: int = 0,
    provider: str = "cpu",
    scheme: str = "menura",
    **settings: Any,
) -> RvcStage:
    """The stage kind ``rvc`` of voices.

    Args:
        rate: Hz.
        channels: Of every block.
        model, index, content, pitch, pitch_model: As :func:`load_rvc` has them.
        block_ms: New audio for each computation.
        context_ms: What the content model hears before it.
        threads, provider: Where networks run.
        scheme: ``menura``, or ``official``: blocks computed and joined as RVC's own client does.
        settings: Of :class:`~menura.neural.stream.settings.RvcSettings`.

    Raises:
        ModelError, ConfigError: It cannot be loaded, or a setting cannot be.
    """
    check_settings(settings)
    options, shape = _running(provider, threads, block_ms, context_ms)
    _check_scheme(scheme, block_ms, context_ms)
    loaded = load_rvc(model, index, content=content, pitch=pitch, pitch_model=pitch_model, options=options)
    runner = RUNNING.get().runner(options, shape)
    if scheme == "official":
        block_s, context_s = block_ms / 1000.0, context_ms / 1000.0
        own = RvcSettings(**settings)
        return OfficialStage(loaded, rate, channels, block_s=block_s, context_s=context_s, settings=own, runner=runner)
    return RvcStage(loaded, rate, channels, shape=shape, settings=RvcSettings(**settings), runner=runner)


def check_settings(settings: Mapping[str, Any]) -> None:
    """See that they are settings of a voice.

    Raises:
        ConfigError: There is no such setting, or it cannot have this value.
    """
    unknown = sorted(set(settings) - set(_SETTINGS))
    if unknown:
        raise ConfigError(f"unknown setting {unknown[0]!r}; there are {', '.join(_SETTINGS)}")
    RvcSettings(**settings)


def _running(provider: str, threads: int, block_ms: float, context_ms: float) -> tuple[RuntimeOptions, StreamShape]:
    try:
        options = RuntimeOptions(provider=provider, threads=threads, cache=network_cache())  # type: ignore[arg-type]
        return options, StreamShape.of(block_ms, context_ms)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(str(error)) from error


def _check_scheme(scheme: str, block_ms: float, context_ms: float) -> None:
    if scheme not in SCHEMES:
        raise ConfigError(f"scheme must be one of {', '.join(SCHEMES)}, not {scheme!r}")
    if scheme == "official":
        OfficialShape(OFFICIAL_HZ, block_ms / 1000.0, extra_s=context_ms / 1000.0)


def check_rvc(  # noqa: PLR0913 - all by name
    *,
    model: str,
    pitch: str = "rmvpe",
    block_ms: float = 240.0,
    context_ms: float = 1000.0,
    threads: int = 0,
    provider: str = "cpu",
    index: str | None = None,
    content: str | None = None,
    pitch_model: str | None = None,
    scheme: str = "menura",
    **settings: Any,
) -> None:
    """What :func:`make_rvc` is given, checked without loading a network: the models that all voices need may be
    missing yet.

    Raises:
        ModelError, ConfigError: It cannot be.
    """
    check_settings(settings)
    _running(provider, threads, block_ms, context_ms)
    _check_scheme(scheme, block_ms, context_ms)
    if pitch not in PITCH_METHODS:
        raise ConfigError(f"pitch must be one of {', '.join(PITCH_METHODS)}, not {pitch!r}")
    if pitch == "fcpe" and pitch_model is None:
        raise ConfigError(FCPE_NEEDS)
    for name, value in (("model", model), ("index", index), ("content", content), ("pitch_model", pitch_model)):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{name} must be a path, not {value!r}")
