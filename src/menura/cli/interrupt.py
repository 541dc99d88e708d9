"""Ending a command that runs until it is told to."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["before_ending", "ended_politely", "until_interrupted"]

_KILLS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _heard() -> set[int]:
    """Signals that end a command: behind ``nohup`` a closed terminal does not."""
    return {signal.SIGINT, signal.SIGTERM, *(n for n in _KILLS if signal.getsignal(n) is not signal.SIG_IGN)}


@contextmanager
def ended_politely() -> Iterator[None]:
    """Who is told to end cleans up first, half-written files and devices, and ends by that signal as others see it."""
    told: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        told.append(number)
        sys.exit(128 + number)

    mine = [number for number in _KILLS if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        mine = []  # Python lets no other change signals
    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
        if told:
            signal.raise_signal(told[0])


@contextmanager
def before_ending(end: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C, a polite kill and a closed terminal call ``end``; what is run in here then ends in its own time.

    After it the signal does what it would have done at once.
    """
    told: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        told.append(number)
        end()

    before = {number: signal.signal(number, hear) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if told:
        signal.raise_signal(told[0])


@contextmanager
def until_interrupted() -> Iterator[threading.Event]:
    """An event that Ctrl-C, a polite kill or a closed terminal sets, so that the command can finish its files; a second
    one ends it."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    before = {number: signal.signal(number, end) for number in _heard()}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
