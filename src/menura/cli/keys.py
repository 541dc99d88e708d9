"""Single keys from a terminal, without waiting for them."""

import os
import select
import sys
from types import TracebackType
from typing import Any, Self

__all__ = ["Keys"]

MOST = 64
"""Bytes that are taken at once: who leans on a key is not followed for minutes."""


class Keys:
    """What was pressed since the last look. Ctrl-C stays what it is; where there is no terminal, nothing is pressed.

    Used with ``with``: after it the terminal is as it was.

    Args:
        handle: Of the terminal; by default that of standard input.
    """

    def __init__(self, handle: int | None = None) -> None:
        self._handle = _terminal() if handle is None else handle
        self._before: list[Any] | None = None

    @property
    def there(self) -> bool:
        """Whether anybody may press any."""
        return self._before is not None

    def __enter__(self) -> Self:
        if self._handle is not None and os.name == "posix":
            import termios
            import tty

            self._before = termios.tcgetattr(self._handle)
            tty.setcbreak(self._handle, termios.TCSANOW)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._handle is not None and self._before is not None:
            import termios

            termios.tcsetattr(self._handle, termios.TCSADRAIN, self._before)
            self._before = None

    def pressed(self) -> str:
        """The keys, in order."""
        if self._handle is None or self._before is None or not select.select([self._handle], [], [], 0.0)[0]:
            return ""
        return os.read(self._handle, MOST).decode(errors="ignore")


def _terminal() -> int | None:
    try:
        handle = sys.stdin.fileno()
        front = os.name == "posix" and os.isatty(handle) and os.tcgetpgrp(handle) == os.getpgrp()
        return handle if front and sys.stdout.isatty() else None  # whoever asks from the background is stopped
    except (AttributeError, ValueError, OSError):  # there is no such thing, or it is closed
        return None
