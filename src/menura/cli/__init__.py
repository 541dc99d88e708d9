"""The command line."""

import io
import os
import sys
from contextlib import suppress

__all__ = ["main"]

INTERRUPTED = 128 + 2


def main() -> None:
    """Run ``menura``; an error menura or the system knows ends in one line on stderr and exit status 1."""
    _open_outputs()
    try:
        from menura.errors import MenuraError

        _run(MenuraError)
    except KeyboardInterrupt:  # before there was anything to clean up
        sys.exit(INTERRUPTED)


def _run(known: type[Exception]) -> None:
    from menura.cli.app import app
    from menura.cli.interrupt import ended_politely

    try:
        with ended_politely():
            app()
    except known as error:
        print(f"menura: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # of what is printed: the disk behind it is full, say
        if os.environ.get("MENURA_DEBUG"):
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"menura: {place}{error.strerror or error}", file=sys.stderr)
        with suppress(OSError, ValueError):  # the rest goes nowhere: Python's own end would try it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _open_outputs() -> None:
    """A closed output takes what is printed and loses it; one that cannot show a character shows ``?``."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
