"""In which precision this processor computes fast."""

import platform
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from menura.extras import need

__all__ = ["bfloat16_here", "eight_bits_here"]

EIGHT_BITS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""What Linux calls 8-bit dot products."""
CPU_INFO = Path("/proc/cpuinfo")


@lru_cache(maxsize=1)
def eight_bits_here() -> bool:
    """Whether the processor is known to have 8-bit dot products: without, 8 bits save little and cost precision."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    try:
        return flags_have_eight_bits(CPU_INFO.read_text(errors="replace"))
    except OSError:
        return False


def flags_have_eight_bits(text: str) -> bool:
    """The same of what Linux says about a processor.

    >>> flags_have_eight_bits("model name : x\\nflags : fpu avx2 avx512_vnni")
    True
    >>> flags_have_eight_bits("flags : fpu avx2")
    False
    """
    lines = (line.partition(":") for line in text.splitlines())
    return any(EIGHT_BITS & set(value.split()) for name, _, value in lines if name.strip() in ("flags", "Features"))


@lru_cache(maxsize=1)
def bfloat16_here() -> bool:
    """Whether OpenVINO is installed, and the processor computes in bfloat16."""
    if find_spec("openvino") is None:
        return False
    core = need("openvino", extra="openvino").Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
