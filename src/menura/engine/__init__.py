"""The server-side engine: bytes in, checked, processed and measured bytes out. Nothing here waits or opens anything."""
