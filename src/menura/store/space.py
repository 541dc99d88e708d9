"""Room on the disk: what is large leaves some for what is small, above all for the database."""

import shutil
from pathlib import Path

from menura.errors import DiskFullError

__all__ = ["SPARE_BYTES", "check_room"]

SPARE_BYTES = 256 * 1024**2
"""Kept free of recordings, uploads and conversions: a database that cannot write cannot forget them either."""


def check_room(folder: Path, size: int = 0) -> None:
    """Look whether there is room for so many bytes more.

    Args:
        folder: There already.
        size: As far as it is known.

    Raises:
        DiskFullError: There is not; the text is for clients.
    """
    if size + SPARE_BYTES > shutil.disk_usage(folder).free:
        raise DiskFullError("the server's disk has no room for this")
