"""The command line."""

import os
import sys
from contextlib import suppress

__all__ = ["main"]


def main() -> None:
    """Run ``menura``; an error menura or the system knows ends in one line on stderr and exit status 1."""
    from menura.cli.app import app
    from menura.cli.interrupt import ended_politely
    from menura.errors import MenuraError

    try:
        with ended_politely():
            app()
    except MenuraError as error:
        print(f"menura: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # of what is printed: the disk behind it is full, say
        if os.environ.get("MENURA_DEBUG"):
            raise
        print(f"menura: {error.strerror or error}", file=sys.stderr)
        with suppress(OSError, ValueError):  # the rest goes nowhere: Python's own end would try it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
