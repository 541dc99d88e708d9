"""Networks computed by our own kernels (``native/decode*.c``) where the processor is known to gain by it."""

from menura.neural.native.decoder import NativeDecoder, covers
from menura.neural.native.kernels import bfloat16_sets, instruction_sets

__all__ = ["NativeDecoder", "bfloat16_sets", "covers", "instruction_sets"]
