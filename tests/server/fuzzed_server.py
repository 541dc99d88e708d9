"""A real server for hostile messages: no rates, and no sound hardware, which takes long to fail."""

import socket
import sys

import uvicorn

from menura.errors import DeviceError
from menura.live.lanes import DeviceLane
from menura.server.access import Access
from menura.server.app import create_app
from menura.server.limits import Rate, ServerLimits
from menura.server.web_server import server_config


async def _no_devices(*_: object) -> DeviceLane:
    raise DeviceError("no devices here")


def main() -> None:
    free = Rate(1e6, 10**6)
    often = dict.fromkeys(("voice", "transport", "settings", "status", "requests", "connections"), free)
    limits = ServerLimits(**often)
    DeviceLane.open = _no_devices  # type: ignore[method-assign, assignment]
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(relay=False, access=Access(limits=limits))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(server_config(app, limits)).run(sockets=[listener])


if __name__ == "__main__":
    main()
