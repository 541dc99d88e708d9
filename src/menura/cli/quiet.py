"""What C libraries print is not for the people who use a command."""

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache

__all__ = ["quiet_libraries"]

DEBUG = "MENURA_DEBUG"


@cache
def quiet_libraries() -> None:
    """Send what C libraries print to stderr nowhere; Python's own stays. On Linux, once; not with ``MENURA_DEBUG``.

    PortAudio as Debian builds it, and ALSA, print a dozen lines there where a device does not open or is lost, which
    the program then says in one. They print through C's ``stderr``, Python writes to the file descriptor.
    """
    if not sys.platform.startswith("linux") or os.environ.get(DEBUG):
        return
    with suppress(OSError, ValueError, AttributeError):  # a C library without them prints what it likes
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        nowhere = libc.fopen(b"/dev/null", b"w")
        if nowhere:
            ctypes.c_void_p.in_dll(libc, "stderr").value = nowhere
