"""What a service's surroundings want of ``menura serve``: lines of a log, and a word when it is ready."""

import json
import logging
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime

import uvicorn

from menura.server.masking import MaskSecrets

__all__ = ["LOG_FORMATS", "JsonLines", "NotifyingServer", "set_up_log"]

LOG_FORMATS = ("plain", "json")
_ADDRESS = "NOTIFY_SOCKET"


class JsonLines(logging.Formatter):
    """A record as one line of JSON: ``time``, ``level``, ``logger``, ``message``, ``exception`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_log(level: str, form: str) -> None:
    """Once the web server has set up its own log: menura's is told from the same level on, and all in one form.

    Args:
        level: As of ``--log-level``.
        form: One of :data:`LOG_FORMATS`.
    """
    menura = logging.getLogger("menura")
    menura.setLevel({"trace": "DEBUG"}.get(level, level.upper()))
    if form == "plain" and menura.getEffectiveLevel() >= logging.WARNING:
        return  # Python tells warnings by itself
    handler = logging.StreamHandler()
    handler.addFilter(MaskSecrets())
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter("%(levelname)s:     %(message)s"))
    if form == "json":
        for name in ("uvicorn", "uvicorn.access"):
            for other in logging.getLogger(name).handlers:
                other.setFormatter(JsonLines())
                if isinstance(other, logging.StreamHandler):
                    other.setStream(sys.stderr)  # requests too: one stream is read
        logging.captureWarnings(True)
        logging.getLogger().addHandler(handler)
    else:
        menura.addHandler(handler)
        menura.propagate = False


class NotifyingServer(uvicorn.Server):
    """Tells the service manager when it serves and when it ends (``Type=notify`` of systemd)."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve from here on."""
        await super().startup(sockets)
        if self.started:
            _notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve no more."""
        _notify("STOPPING=1")
        await super().shutdown(sockets)


def _notify(state: str) -> None:
    """Say it to who started this, if they want to know (sd_notify(3))."""
    address = os.environ.get(_ADDRESS, "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(state.encode(), address)
