"""Voices for live use: whoever builds one here shares models, and the order in which they run, with all others."""

import atexit
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any
from weakref import WeakSet

from menura.clock import monotonic_s
from menura.live.pool import waiting
from menura.live.scheduler import ModelScheduler, SchedulerStats, Seat, batch_of
from menura.neural.options import Provider, RuntimeOptions
from menura.neural.stream.pace import PaceStats
from menura.neural.stream.shape import StreamShape
from menura.voices import build
from menura.voices.build import VoiceStage
from menura.voices.rvc import RUNNING, Running
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["close_schedulers", "make_stage", "paces", "scheduler_stats", "shared_models", "shared_runner"]

FRAMES_HZ = 100.0
_lock = threading.Lock()
_loading: dict[tuple[Any, ...], threading.Lock] = {}
_schedulers: dict[tuple[str, int], ModelScheduler] = {}
_made: WeakSet[VoiceStage] = WeakSet()
"""Voices that may look back less far, for their figures."""


def _once(key: tuple[Any, ...], find: Callable[[], Any]) -> Any:
    """Of several who want a model at once, one loads it, and the others wait; other models are not held up."""
    with _lock:
        turn = _loading.setdefault(key, threading.Lock())
    with waiting(), turn:
        return find()


def shared_runner(options: RuntimeOptions, shape: StreamShape) -> Seat:
    """A place for one stream at the scheduler of the device."""
    with _lock:
        key = _hardware(options)
        scheduler = _schedulers.get(key)
        if scheduler is None:
            scheduler = _schedulers[key] = ModelScheduler(batch_of(options.provider))
    return scheduler.seat(shape.block / FRAMES_HZ)


def _hardware(options: RuntimeOptions) -> tuple[str, int]:
    """What computes: two runtimes on one processor, or one GPU, are in each other's way."""
    if options.provider in (Provider.CPU, Provider.OPENVINO):
        return "processor", 0
    kind = Provider.CUDA if options.provider == Provider.TENSORRT else options.provider
    return Provider(kind).value, options.device


def scheduler_stats() -> SchedulerStats:
    """Figures of all devices' schedulers together."""
    with _lock:
        schedulers = list(_schedulers.values())
    found = [scheduler.stats() for scheduler in schedulers]
    return SchedulerStats(*(sum(getattr(one, field.name) for one in found) for field in fields(SchedulerStats)))


def paces() -> list[PaceStats]:
    """How each voice that runs, and may look back less far, keeps up."""
    with _lock:
        stages = list(_made)
    return [found for stage in stages if (found := stage.pace()) is not None]


def close_schedulers() -> None:
    """End the devices' threads, as the process does when it ends: a network that runs is finished, so that nothing is
    torn down under it; what waits fails. Who comes later gets new ones.
    """
    with _lock:
        schedulers = list(_schedulers.values())
        _schedulers.clear()
    for scheduler in schedulers:
        scheduler.close()


atexit.register(close_schedulers)


@contextmanager
def shared_models(*, live: bool = True) -> Iterator[None]:
    """In it models are loaded once, however many ask at the same time, and run by the device's scheduler.

    Args:
        live: Voices must be in time: where they take too long, their context becomes shorter.
    """
    token = RUNNING.set(Running(shared_runner, _once, monotonic_s if live else None))
    try:
        yield
    finally:
        RUNNING.reset(token)


def make_stage(
    voice: Voice,
    rate: int,
    channels: int = 1,
    *,
    parameters: VoiceParameters | None = None,
    speaker_hz: float = 0.0,
    live: bool = True,
) -> VoiceStage:
    """As :func:`menura.voices.build.make_stage`, among other sessions.

    Args:
        live: It must be in time; False for what may take all the time that its best takes, a file say.

    Raises:
        ModelError: The voice's data make no chain.
    """
    with shared_models(live=live):
        stage = build.make_stage(voice, rate, channels, parameters=parameters, speaker_hz=speaker_hz)
    if stage.pace() is not None:
        with _lock:
            _made.add(stage)
    return stage
