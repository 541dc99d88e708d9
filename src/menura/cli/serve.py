"""``menura serve``: the server on uvicorn."""

import socket
from contextlib import suppress

import uvicorn

from menura.cli.quiet import quiet_libraries
from menura.cli.relay import RelayFlags, relay_settings
from menura.errors import ConfigError
from menura.live.speaking_stats import Devices
from menura.server.app import create_app
from menura.store.lookup import all_voices

__all__ = ["run_server"]

MAX_MESSAGE = 16 * 1024 * 1024
"""Above menura's own limit, so that a message a little too long is answered rather than cut off."""


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small messages at once only where the socket says that it is TCP: else the first wait for 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)  # from here on a client may connect, and is served as soon as the server runs
    except OSError as error:
        listener.close()
        hint = "choose another with --port" if port else "choose another with --host"
        raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from error
    return listener


def run_server(
    host: str,
    port: int,
    log_level: str = "warning",
    devices: Devices | None = None,
    relay: RelayFlags | None = None,
) -> None:
    """Serve until interrupted; prints the page's address once the port is taken.

    Args:
        host: Address to listen on.
        port: 0 takes a free one.
        log_level: Of uvicorn.
        devices: The machine's own, for clients that send no audio.
        relay: To an AI provider, as far as the environment does not say it.

    Raises:
        ConfigError: The address cannot be used, or the relay cannot be as told.
    """
    quiet_libraries()
    voices = all_voices()
    settings = relay_settings(relay or RelayFlags(), voices=voices)
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        create_app(voices, devices=devices, relay=settings),
        log_level=log_level,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    port = listener.getsockname()[1]
    print(f"menura is at http://{shown}:{port}/  (Ctrl-C ends it)", flush=True)
    if settings:
        print(f"the relay is at ws://{shown}:{port}/v1 for clients of the Realtime API", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
