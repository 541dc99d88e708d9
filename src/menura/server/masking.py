"""Keeps tokens out of the web server's log."""

import logging
import re
from typing import Any

__all__ = ["MaskSecrets"]

MASKED = "…"
_QUERY = re.compile(r"\?[^\s\"']+")
_SECRET = re.compile(r"(?i)(bearer\s+|menura\.token\.|openai-insecure-api-key\.|menura_(?=[\w-]{20}))[^\s,;\"']+")
_HEADERS = {"authorization", "cookie", "set-cookie", "sec-websocket-protocol"}


class MaskSecrets(logging.Filter):
    """Replaces what may hold a token in a record: the query of an address, and the headers that carry one.

    The whole query goes, since a token may be spelled in many ways (``%74oken=``).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask, and let pass."""
        if isinstance(record.args, tuple):
            hidden = any(isinstance(value, str) and value.lower() in _HEADERS for value in record.args)
            last = len(record.args) - 1
            record.args = tuple(
                MASKED if hidden and place == last else _masked(value) for place, value in enumerate(record.args)
            )
        record.msg = _masked(record.msg)
        return True


def _masked(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _SECRET.sub(rf"\1{MASKED}", _QUERY.sub(f"?{MASKED}", value))
