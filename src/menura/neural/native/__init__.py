"""Networks computed by our own kernels (``native/decode*.c``) where the processor is known to gain by it."""

from menura.neural.native.decoder import NativeDecoder, covers

__all__ = ["NativeDecoder", "covers"]
