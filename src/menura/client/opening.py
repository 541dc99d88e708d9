"""Opens a socket to a provider, and says what it means when that fails."""

import logging
import ssl
from collections.abc import Callable

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from menura.client.options import ConnectionOptions
from menura.client.target import Target
from menura.client.wire import Wire
from menura.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionLostError,
    ConnectTimeoutError,
    ProviderError,
    reason_of,
)
from menura.log import get_logger
from menura.protocol.realtime_faults import Fault, judge_status

__all__ = ["open_socket"]

_log = get_logger(__name__)


class _WireLog(logging.LoggerAdapter[logging.Logger]):
    """Log of the socket library that never says what is on the wire: keys and voices are."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return level > logging.DEBUG and super().isEnabledFor(level)


class _Connect(connect):
    """A connection that follows no redirection: the key is for the address that was given."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(target: Target, options: ConnectionOptions) -> Wire | Fault:
    """Connect to a provider.

    Returns:
        The open socket, or why there is none. Of what the socket library raised nothing is kept: its exceptions may
        hold the address and what is secret in it.
    """
    try:
        headers = target.headers()
    except Exception as error:
        what = type(error).__name__  # its text may be about the key
        return Fault(AuthenticationError(f"no API key: the function that gives it raised {what}"), retry=False)
    try:
        socket = await _Connect(
            target.url,
            create_connection=Wire,
            additional_headers=headers,
            compression=None,  # base64 of speech hardly shrinks
            open_timeout=options.open_timeout_s,
            ping_interval=None,  # the link looks after that: not while it does not read
            close_timeout=options.close_timeout_s,
            max_size=options.max_message_bytes,
            logger=_WireLog(_log),
        )
        assert isinstance(socket, Wire)
        return socket
    except Exception as error:
        kind = next(kind for kind in _MEANINGS if isinstance(error, kind))
        return _MEANINGS[kind](error, target.public)


def _status(error: Exception, _where: str) -> Fault:
    assert isinstance(error, InvalidStatus)
    response = error.response
    return judge_status(response.status_code, response.headers, bytes(response.body or b""))


def _unreachable(error: Exception, where: str) -> Fault:
    return Fault(ConnectionLostError(f"cannot reach {where}: {reason_of(error)}"), retry=True)


def _unexpected(error: Exception, where: str) -> Fault:
    _log.error("connecting to %s failed: %s", where, type(error).__name__)
    return Fault(ConnectionLostError(f"cannot connect to {where}: {type(error).__name__}"), retry=True)


_MEANINGS: dict[type[Exception], Callable[[Exception, str], Fault]] = {
    InvalidStatus: _status,
    InvalidURI: lambda _, where: Fault(ConfigError(f"no WebSocket address: {where}"), retry=False),
    InvalidMessage: _unreachable,
    InvalidHandshake: lambda error, where: Fault(
        ProviderError(f"{where} is no WebSocket server: {type(error).__name__}"), retry=False
    ),
    ssl.SSLCertVerificationError: lambda error, where: Fault(
        ConnectionLostError(f"the certificate of {where} is not trusted: {error}"), retry=False
    ),
    TimeoutError: lambda _, where: Fault(ConnectTimeoutError(f"{where} did not answer in time"), retry=True),
    OSError: _unreachable,
    EOFError: _unreachable,
    Exception: _unexpected,
}
"""By the first kind that fits."""
