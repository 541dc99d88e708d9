"""Who may open a socket."""

from urllib.parse import urlsplit

from fastapi import WebSocket

__all__ = ["admitted"]


def admitted(websocket: WebSocket) -> bool:
    """Whether a client may open this socket.

    A page must have come from here: a browser always says where from; other clients need not. Whatever key a client of
    the Realtime API brings is accepted, since none is needed: who can reach the server may use it.
    """
    origin = websocket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == websocket.headers.get("host")
