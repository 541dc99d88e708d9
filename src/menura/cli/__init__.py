"""The command line."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``menura``; an error menura knows ends in one line on stderr and exit status 1."""
    from menura.cli.app import app
    from menura.errors import MenuraError

    try:
        app()
    except MenuraError as error:
        print(f"menura: {error}", file=sys.stderr)
        sys.exit(1)
