"""Voices that are models: their files found, read and loaded once, however many sessions speak with them."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from menura.clock import Clock
from menura.errors import ConfigError, ModelError
from menura.neural.content import ContentModel
from menura.neural.files.index import read_index
from menura.neural.files.later import hubert_later, rmvpe_later, voice_later
from menura.neural.files.pitch import read_fcpe
from menura.neural.nets.graph import Weights
from menura.neural.options import RuntimeOptions
from menura.neural.pitch import FcpePitch, RmvpePitch
from menura.neural.runtime import return_memory
from menura.neural.stream.blocks import Steps
from menura.neural.stream.model import Floats, PitchFinder, RvcModel, run
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import OfficialStage, RvcStage
from menura.neural.swift import SwiftPitch
from menura.neural.synthesizer import Synthesizer
from menura.neural.tracker import TrackedPitch
from menura.places import data_folder
from menura.voices.rvc_options import OPTIONS
from menura.voices.rvc_plan import RvcPlan, check_options, plan_options, settings_of

__all__ = [
    "BASE_MODELS",
    "RUNNING",
    "Running",
    "base_model",
    "check_rvc",
    "load_planned",
    "load_rvc",
    "make_rvc",
    "with_pitch",
]

BASE_MODELS: Mapping[str, str] = {"content": "hubert_base.pt", "rmvpe": "rmvpe.pt", "fcpe": "fcpe_c_v001.pt"}
"""What voices need beside themselves: the names of the files in the folder ``models``."""
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
        clock: For voices whose context becomes shorter where time does; None where there is all the time it takes.
    """

    runner: Callable[[RuntimeOptions, StreamShape], Callable[[RvcModel, Steps], Floats]] = _plain
    once: Callable[[tuple[Any, ...], Callable[[], Any]], Any] = lambda _, find: find()
    clock: Clock | None = None


RUNNING: ContextVar[Running] = ContextVar("menura_running", default=Running())  # noqa: B039 - frozen


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
        pitch: ``rmvpe`` or ``fcpe``; ``swift``, whose network comes with the extra of that name; or ``tracker``, which
            needs no model.
        pitch_model: The file of RMVPE or FCPE; by default as ``content``.
        options: Where networks run.
        progress: Called with what is done, 0…1, and what is next.

    Raises:
        ModelError: A file is missing, damaged, unsafe or of another kind; the text says which and what to do.
        ConfigError: There is no such way to find pitch, or this machine lacks the provider.
    """
    OPTIONS["pitch"].check(pitch)
    plan = replace(plan_options({}, {}), runtime=options or RuntimeOptions())
    files = {"model": model, "index": index, "content": content, "pitch": pitch, "pitch_model": pitch_model}
    return load_planned(plan, files, progress)


def load_planned(
    plan: RvcPlan, options: Mapping[str, Any], progress: Callable[[float, str], Any] | None = None
) -> RvcModel:
    """Load a voice as it was planned: see :func:`load_rvc`.

    Args:
        plan: Where and in which precision networks run.
        options: ``model``; ``index``, ``content``, ``pitch`` and ``pitch_model`` where they are given.
        progress: Called with what is done, 0…1, and what is next.
    """
    tell, runtime = progress or (lambda done, text: None), plan.runtime
    model, index, content = options["model"], options.get("index"), options.get("content")
    tell(0.0, "the voice")
    synthesizer = _once(("voice", _mark(model), plan.voice_runtime, plan.int8), lambda: _synthesizer(model, plan))
    version = synthesizer.config.version
    place = base_model("content") if content is None else content
    tell(0.3, "the content model")
    key = ("content", version, _mark(place), runtime, plan.int8)
    listener = _once(key, lambda: _content(place, version, plan))
    tell(0.7, "the pitch model")
    finder: PitchFinder | None = None
    if synthesizer.config.f0:
        pitch = options.get("pitch") or OPTIONS["pitch"].default
        finder = _finder(pitch, options.get("pitch_model"), plan.pitch_runtime)
    features = None if index is None else _once(("index", _mark(index)), lambda: read_index(index))
    return_memory()  # what reading the checkpoints took
    return RvcModel(listener, synthesizer, finder, features)


def with_pitch(model: RvcModel, plan: RvcPlan, options: Mapping[str, Any]) -> RvcModel:
    """The same voice, whose pitch is found as ``pitch`` and ``pitch_model`` of ``options`` say.

    Raises:
        ModelError: A file is missing, damaged, unsafe or of another kind; the text says which and what to do.
        MissingExtraError: What finds it is not installed.
    """
    if not model.synthesizer.config.f0:
        return model
    pitch = options.get("pitch") or OPTIONS["pitch"].default
    return replace(model, finder=_finder(pitch, options.get("pitch_model"), plan.pitch_runtime))


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


def _synthesizer(path: str | Path, plan: RvcPlan) -> Synthesizer:
    read = voice_later(path)
    return Synthesizer(read.config, read.weights, plan.voice_runtime, int8=plan.int8)


def _content(path: str | Path, version: str, plan: RvcPlan) -> ContentModel:
    read = hubert_later(path)
    return ContentModel(read.config, read.weights, version=version, int8=plan.int8, options=plan.runtime)


def _finder(pitch: str, path: str | Path | None, options: RuntimeOptions) -> PitchFinder:
    if pitch == "tracker":
        return TrackedPitch()
    if pitch == "swift":
        swift: PitchFinder = _once(("swift", options), lambda: SwiftPitch(options=options))
        return swift
    place = base_model(pitch) if path is None else path

    def load() -> PitchFinder:
        if pitch == "fcpe":
            fcpe = read_fcpe(place)
            return FcpePitch(fcpe.config, fcpe.weights, options)
        checkpoint = rmvpe_later(place)
        again = partial(_rmvpe_weights, place)
        return RmvpePitch(checkpoint.config, checkpoint.weights, options, again=again)

    finder: PitchFinder = _once((pitch, _mark(place), options), load)
    return finder


def _rmvpe_weights(place: str | Path) -> Weights:
    return rmvpe_later(place).weights


def make_rvc(rate: int, channels: int = 1, **options: Any) -> RvcStage:
    """The stage kind ``rvc`` of voices.

    Args:
        rate: Hz.
        channels: Of every block.
        options: ``model``, and any other of :data:`~menura.voices.rvc_options.OPTIONS`.

    Raises:
        ModelError, ConfigError: It cannot be loaded, or an option cannot be.
        MissingExtraError: What computes in the precision that was asked for is not installed.
    """
    _check_model(options)
    plan, settings = plan_options(options), settings_of(options)
    loaded, running, shape = load_planned(plan, options), RUNNING.get(), plan.shape()
    runner = running.runner(plan.runtime, shape)
    if plan.scheme == "official":
        block_s, context_s = plan.block_ms / 1000.0, plan.context_ms / 1000.0
        return OfficialStage(
            loaded, rate, channels, block_s=block_s, context_s=context_s, settings=settings, runner=runner
        )
    clock = running.clock if plan.adapt else None
    return RvcStage(loaded, rate, channels, shape=shape, settings=settings, runner=runner, clock=clock)


def check_rvc(**options: Any) -> None:
    """What :func:`make_rvc` is given, checked without loading a network: the models that all voices need, and what
    computes in a precision, may be missing yet.

    Raises:
        ConfigError: It cannot be.
    """
    _check_model(options)
    check_options(options)
    settings_of(options)


def _check_model(options: Mapping[str, Any]) -> None:
    if options.get("model") is None:
        raise ConfigError("model: name the voice's file")
