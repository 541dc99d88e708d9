"""``menura serve``: the server on uvicorn."""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from menura.cli.interrupt import before_ending
from menura.cli.quiet import quiet_libraries
from menura.cli.relay import RelayFlags, relay_settings
from menura.cli.serving import LOG_FORMATS, NotifyingServer, set_up_log
from menura.errors import ConfigError, MenuraError
from menura.live.speaking_stats import Devices
from menura.server.access import Access
from menura.server.app import create_app
from menura.server.hosts import HostRules, plain_address
from menura.server.proxies import Proxies
from menura.server.rates import ServerLimits
from menura.server.tokens import Token
from menura.server.web_server import server_config
from menura.store.access_tokens import AccessTokens
from menura.store.lookup import all_voices

__all__ = ["AccessFlags", "run_server"]

LOG_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")
MAX_TOKEN_FILE = 16 * 1024
"""Bytes that are read of it: more is no token."""


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
        named = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL or not port
        hint = f"choose another with {'--host' if named else '--port'}"
        raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from error
    return listener


@dataclass(frozen=True, slots=True)
class AccessFlags:
    """As given on the command line.

    Attributes:
        token_file: Where the token is that clients need.
        hosts: Further names under which the server is addressed.
        require_token: Clients of this machine need a token too; where there are named ones, none is made.
        proxies: Addresses and networks of reverse proxies, which are believed when they say for whom they ask.
        limits: Others than the default, ``NAME=VALUE``.
    """

    token_file: Path | None = None
    hosts: Sequence[str] = ()
    require_token: bool = False
    proxies: Sequence[str] = ()
    limits: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Admission:
    """What clients need, and what of it is to be told."""

    access: Access
    made: str = field(default="", repr=False)  # a token that nobody knows yet


def _given_token(flags: AccessFlags, environment: Mapping[str, str]) -> Token | None:
    """The operator's token, from a file or from ``MENURA_TOKEN``."""
    path = flags.token_file
    if path is None:
        text, source = environment.get("MENURA_TOKEN"), "MENURA_TOKEN"
        if text is None:
            return None
    else:
        source = f"--token-file {path}"
        try:
            with path.open("rb") as file:
                text = file.read(MAX_TOKEN_FILE).decode("ascii", "replace").strip()
        except OSError as error:
            raise ConfigError(f"--token-file: cannot read {path} ({error.strerror})") from None
    try:
        return Token(text)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _admission(bound: str, host: str, token: Token | None, flags: AccessFlags) -> _Admission:
    """What clients of a server at this address need: a token, unless only this machine reaches it."""
    made = ""
    address, named = plain_address(bound), AccessTokens()
    proxies, limits = Proxies.of(flags.proxies), ServerLimits().changed(flags.limits)
    local = address is not None and address.is_loopback and not proxies  # through a proxy anybody comes to loopback
    required = flags.require_token or not local
    if token is None and required and not (flags.require_token and _any_valid(named)):
        made = Token.make()
        token = Token(made)
    required = required or token is not None
    hosts = HostRules.of(bound, host, named=flags.hosts, token=required)
    if proxies and not flags.hosts:
        hosts = HostRules(None)  # the proxy's names are the server's; who needs a token cannot be brought by a name
    return _Admission(Access(token, hosts, limits, named=named, required=required, proxies=proxies), made)


def _with_environment(flags: AccessFlags, environment: Mapping[str, str]) -> AccessFlags:
    """The flags, and what the environment says beside; a limit that is given as a flag counts above."""

    def listed(name: str) -> list[str]:
        return environment.get(name, "").replace(",", " ").split()

    return replace(
        flags,
        hosts=[*flags.hosts, *listed("MENURA_ALLOWED_HOSTS")],
        proxies=[*flags.proxies, *listed("MENURA_TRUSTED_PROXIES")],
        limits=[*listed("MENURA_LIMITS"), *flags.limits],
    )


def _any_valid(named: AccessTokens) -> bool:
    now = datetime.now(UTC)
    return any(not token.expired(now) for token in named.all())


def _announce(host: str, port: int, admission: _Admission, relay: bool) -> None:
    """Print where the server is. A token that was made is told here and never again; a given one is not told."""
    address = plain_address(host)
    everywhere = address is not None and address.is_unspecified
    local = {4: "127.0.0.1", 6: "::1"}[address.version] if address is not None and everywhere else host
    shown = f"[{local}]" if ":" in local else local
    query = f"?token={admission.made}" if admission.made else ""
    print(f"menura is at http://{shown}:{port}/{query}  (Ctrl-C ends it)", flush=True)
    if everywhere:
        print("from other machines: the same with this one's name or address", flush=True)
    if admission.access.required and not admission.made:
        print("the page asks for a token: add ?token= and the token to its address", flush=True)
    if relay:
        key = ", with the token as API key" if admission.access.required else ""
        print(f"the relay is at ws://{shown}:{port}/v1 for clients of the Realtime API{key}", flush=True)


def run_server(
    host: str,
    port: int,
    log_level: str = "warning",
    devices: Devices | None = None,
    relay: RelayFlags | None = None,
    access: AccessFlags | None = None,
    log_format: str = "plain",
) -> None:
    """Serve until interrupted; prints the page's address once the port is taken.

    Args:
        host: Address to listen on.
        port: 0 takes a free one.
        log_level: From which on lines are logged.
        devices: The machine's own, for clients that send no audio.
        relay: To an AI provider, as far as the environment does not say it.
        access: Who may use it, as far as the environment does not say it. On an address that other machines reach,
            clients need a token: one is made and printed where none is given.
        log_format: ``plain`` or ``json``.

    Raises:
        ConfigError: The address cannot be used, or the relay, the token or a host's name cannot be as told.
    """
    if log_level not in LOG_LEVELS:
        raise ConfigError(f"--log-level is one of {', '.join(LOG_LEVELS)}, not {log_level[:20]!r}")
    if log_format not in LOG_FORMATS:
        raise ConfigError(f"--log-format is one of {', '.join(LOG_FORMATS)}, not {log_format[:20]!r}")
    quiet_libraries()
    voices = all_voices()
    settings = relay_settings(relay or RelayFlags(), voices=voices)
    flags = access or AccessFlags()
    token = _given_token(flags, os.environ)
    flags = _with_environment(flags, os.environ)
    listener = _listen(host, port)
    try:
        bound, port = listener.getsockname()[:2]
        admission = _admission(bound, host, token, flags)
    except MenuraError:
        listener.close()
        raise
    served = admission.access
    app = create_app(devices=devices, relay=settings, access=served)
    config = server_config(app, served.limits, log_level, served.proxies)
    set_up_log(log_level, log_format)
    server = NotifyingServer(config)

    def end() -> None:
        server.should_exit = True

    with suppress(KeyboardInterrupt), before_ending(end):
        _announce(host, port, admission, bool(settings))
        server.run(sockets=[listener])
