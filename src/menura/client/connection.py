"""RealtimeConnectionManager: a conversation with an AI provider over its Realtime API, kept alive."""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Self, TypeVar, overload
from urllib.parse import urlsplit

from menura.audio.format import AudioFormat, StreamFormat
from menura.client.callbacks import Callbacks, Notice
from menura.client.hub import Hub
from menura.client.link import Link, LinkCounts, Timing
from menura.client.options import ConnectionOptions, ConnectionState
from menura.client.stats import RealtimeStats, gather
from menura.client.stream import EventStream
from menura.client.target import OPENAI_URL, Key, Redactor, Target
from menura.clock import monotonic_s
from menura.engine.position import PlaybackPosition
from menura.errors import AuthenticationError, ConnectTimeoutError, FormatError, MenuraError, StateError
from menura.log import get_logger
from menura.protocol.realtime_server import ServerEvent
from menura.protocol.realtime_session import RealtimeSession

__all__ = ["RealtimeConnectionManager"]

_log = get_logger(__name__)
F = TypeVar("F", bound=Callable[[Any], Any])
MODEL = "gpt-realtime-2.1"
_BYTES_OR_INT16 = frozenset({"B", "b", "c", "h", "<h"})
_ENCODINGS = {
    "audio/pcm": AudioFormat.PCM16,
    "audio/pcmu": AudioFormat.G711_ULAW,
    "audio/pcma": AudioFormat.G711_ALAW,
}
_IDLE = frozenset({ConnectionState.IDLE, ConnectionState.CLOSED, ConnectionState.FAILED})


class RealtimeConnectionManager:
    """A session with a Realtime provider that outlives its connections.

    With :meth:`start` and :meth:`stop` it runs in a thread of its own and is used from any; with ``async with`` or
    :meth:`connect` it runs in the caller's event loop. Events go to callbacks (:meth:`on`) and to :meth:`events`.
    Callbacks run one after another beside the socket, which never waits for them; in an event loop they share it with
    everything else, and are called as an event comes where nothing waits, so there they must not block.

    When the connection breaks it comes back, unless that cannot help (key, quota, account, model): the settings of all
    ``session.update`` events go first, then the part of the turn that the provider has not confirmed. What the provider
    remembered of the conversation is gone with its session; ``remember_items`` tells the new one in text.

    Args:
        api_key: For OpenAI, by default ``OPENAI_API_KEY`` of the environment; a function is asked before each
            connection. It appears in no log, error or ``repr``.
        model: Named in the address.
        url: Of another provider: ``wss://host/v1``, or the whole address.
        session: Settings, as of ``session.update``.
        headers: Further ones.
        options: How the connection behaves; single settings of it may be given as keywords.
        timing: What time is; for tests.

    Raises:
        ConfigError: A setting has a value it cannot have.
        AuthenticationError: There is no key, and the provider is OpenAI.
        ProtocolError: ``session`` is malformed.

    >>> manager = RealtimeConnectionManager("sk-secret", recycle_after_s=25 * 60)
    >>> manager
    RealtimeConnectionManager('wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1', idle)
    """

    def __init__(
        self,
        api_key: Key | None = None,
        model: str | None = MODEL,
        url: str | None = None,
        *,
        session: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        options: ConnectionOptions | None = None,
        timing: Timing | None = None,
        **settings: Any,
    ) -> None:
        key = os.environ.get("OPENAI_API_KEY") if api_key is None and url is None else api_key
        self._target = Target(url, model, key, headers or {})
        if not key and not headers and self._target.url.startswith(OPENAI_URL):
            raise AuthenticationError("no API key: pass api_key or set OPENAI_API_KEY")
        if not self._target.secure:
            _log.warning("%s is not encrypted: key and voice can be read on the way", self._target.public)
        self._options = replace(options or ConnectionOptions(), **settings)
        self._timing = timing or Timing()
        self._lock = threading.Lock()  # of the session
        self._session = RealtimeSession(self._timing.clock, self._options.turn, self._options.remember_items)
        self._remarked: set[str] = set()
        self._callbacks = Callbacks()
        self._hub = Hub(self._options)
        self._control = threading.Lock()  # of start and stop
        self._link: Link | None = None
        self._threads: list[threading.Thread] = []
        self._tasks: list[asyncio.Task[None]] = []
        if session is not None:
            self.send_event({"type": "session.update", "session": session})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._target.public!r}, {self.state})"

    # --- beginning and end, from threads

    def start(self, timeout_s: float | None = None) -> None:
        """Connect, in a thread of its own; returns when the session is there and has its settings.

        Args:
            timeout_s: Try for so long; by default ``start_timeout_s`` of the options.

        Raises:
            AuthenticationError, QuotaError, ProviderError: The provider refuses; another try would not help.
            ConnectTimeoutError: It could not be reached in time; the text says why.
            StateError: It is started.
        """
        with self._control:
            link = self._begin()
            jobs: list[tuple[str, Callable[[Any], None], Any]] = [
                ("menura-realtime", asyncio.run, link.run()),
                ("menura-realtime-callbacks", self._callbacks.serve_thread, self._hub.notices),
            ]
            self._threads = [threading.Thread(target=job, args=(of,), name=name, daemon=True) for name, job, of in jobs]
            for thread in self._threads:
                thread.start()
        limit_s = self._options.start_timeout_s if timeout_s is None else timeout_s
        try:
            link.first.result(limit_s)
        except FutureTimeoutError as error:
            self.stop()
            if isinstance(error, MenuraError):
                raise
            raise self._too_late(link, limit_s) from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the connection, within a second; from any thread, callbacks included. Again does nothing.

        What waits to be sent and events not yet given to callbacks are dropped. Settings stay: :meth:`start` may
        follow.
        """
        with self._control:
            threads, self._threads = self._threads, []
            self._end()
        deadline_s = monotonic_s() + 1.0
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline_s - monotonic_s()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- beginning and end, in an event loop

    async def connect(self, timeout_s: float | None = None) -> None:
        """As :meth:`start`, in this event loop.

        Raises:
            AuthenticationError, QuotaError, ProviderError, ConnectTimeoutError, StateError: As there.
        """
        with self._control:
            link = self._begin(self._callbacks.at_once)
            jobs = (link.run(), self._callbacks.serve(self._hub.notices))
            self._tasks = [asyncio.get_running_loop().create_task(job) for job in jobs]
        limit_s = self._options.start_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                await asyncio.wrap_future(link.first)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError) and limit.expired():
                raise self._too_late(link, limit_s) from None
            raise

    async def aclose(self) -> None:
        """As :meth:`stop`, for :meth:`connect`."""
        with self._control:
            tasks, self._tasks = self._tasks, []
            self._end()
        others = [task for task in tasks if task is not asyncio.current_task()]
        if others:
            _, late = await asyncio.wait(others, timeout=1.0)
            for task in late:
                task.cancel()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- both

    def _begin(self, at_once: Callable[[ServerEvent, EventStream[Notice]], bool] | None = None) -> Link:
        if self.state not in _IDLE:
            raise StateError("the connection is started already")
        self._hub.begin(at_once)
        link = Link(self._session, self._lock, self._target, self._options, self._hub, self._timing)
        if self._link is not None:
            link.counts = self._link.counts
        self._link = link
        return link

    def _end(self) -> None:
        if self._link is not None:
            self._link.stop()

    def _too_late(self, link: Link, limit_s: float) -> ConnectTimeoutError:
        why = f": {link.counts.last_error}" if link.counts.last_error else ""
        return ConnectTimeoutError(f"not connected to {self._target.public} within {limit_s:g} s{why}")

    # --- what the caller says; from any thread

    def send_event(self, event: Mapping[str, Any]) -> str:
        """Send any client event, in today's shape or that of the beta.

        Before :meth:`start` and while the connection is being restored it waits, as long as it makes sense then.

        Args:
            event: It is copied.

        Returns:
            Its ``event_id``, given or made, which an error about it names; "" for audio.

        Raises:
            ProtocolError: It is malformed; nothing was sent.
            FormatError: Its audio ends within a frame.
            LimitError: Too much waits to be sent.
            StateError: The connection was stopped, or failed.
        """
        with self._lock:
            self._check_open()
            event_id = self._session.submit(event)
            remarks = self._session.counts.remarks
            new = {remark for remark in remarks if remark not in self._remarked} if remarks else ()
            remarks.clear()
        self._wake()
        for remark in new:
            self._remarked.add(remark)
            _log.warning("%s: %s", event["type"], remark)
        return event_id

    def send_audio(self, audio: bytes | bytearray | memoryview) -> None:
        """Send audio in the session's input format: mono PCM16 little-endian at 24 kHz, or G.711 at 8 kHz.

        Arrays of int16 will do. It goes out in events of at most 100 ms. This never waits: what cannot be sent is kept
        as the options say.

        Raises:
            FormatError: It ends within a frame, or it is an array of something else.
            LimitError: Too much waits, and the policy is ``error``.
            StateError: The connection was stopped, or failed.
        """
        if type(audio) is not bytes:
            audio = _as_bytes(audio)
        with self._lock:
            self._check_open()
            self._session.append(audio)
        self._wake()

    def commit(self) -> str:
        """End the turn: the audio so far becomes an item."""
        return self.send_event({"type": "input_audio_buffer.commit"})

    def clear(self) -> str:
        """Throw away the audio since the last item."""
        return self.send_event({"type": "input_audio_buffer.clear"})

    def update_session(self, session: Mapping[str, Any]) -> str:
        """Change the session's settings; a new session gets them too."""
        return self.send_event({"type": "session.update", "session": session})

    def create_response(self, response: Mapping[str, Any] | None = None) -> str:
        """Ask for an answer."""
        event: dict[str, Any] = {"type": "response.create"}
        return self.send_event(event if response is None else event | {"response": response})

    @property
    def responding(self) -> bool:
        """Whether an answer is being made."""
        return self._session.responding

    def cancel_response(self) -> bool:
        """End the answer that is being made; returns whether there is one."""
        with self._lock:
            self._check_open()
            done = self._session.cancel()
        self._wake()
        return done

    def truncate(self, position: PlaybackPosition) -> bool:
        """Tell the provider how much of its answer was heard, so that it knows what the listener knows.

        What still comes of that answer is not given to callbacks.

        Args:
            position: As the player or engine gives it: after an interruption what will have been heard when it is
                silent, else what has been heard by now.

        Returns:
            Whether there was anything to tell: not if all was heard, nothing was, or it is of an earlier session.
        """
        return self._cut(position, cancel=False)

    def interrupt(self, position: PlaybackPosition) -> bool:
        """The user speaks: end the answer that is being made, and :meth:`truncate` it."""
        return self._cut(position, cancel=True)

    def _cut(self, position: PlaybackPosition, cancel: bool) -> bool:
        heard_ms = position.end_ms if position.interrupted else position.played_ms
        nothing = position.item_id is None and not position.end_ms + position.discarded_ms
        with self._lock:
            self._check_open()
            if cancel:
                self._session.cancel()
            done = not nothing and self._session.truncate(position.item_id, heard_ms)
        self._wake()
        return done

    def _check_open(self) -> None:
        state = self._hub.state
        if state is ConnectionState.FAILED:
            raise StateError(f"the connection failed ({self._hub.error}): start() it again")
        if state is ConnectionState.CLOSED:
            raise StateError("the connection is stopped: start() it again")

    def _wake(self) -> None:
        if self._link is not None:
            self._link.wake()

    # --- what the caller hears

    @overload
    def on(self, event_type: str, callback: F) -> F: ...

    @overload
    def on(self, event_type: str) -> Callable[[F], F]: ...

    def on(self, event_type: str, callback: F | None = None) -> F | Callable[[F], F]:
        """Call a function with each event of a type; also as a decorator.

        Args:
            event_type: In today's name, or beta's (``response.audio.delta``): then the event bears that name too.
                ``*`` for all.
            callback: Gets the event, which reads like a dict and like an object. It may be a coroutine function.
        """

        def register(function: F) -> F:
            self._callbacks.add(event_type, function)
            return function

        return register if callback is None else register(callback)

    def on_event(self, callback: F) -> F:
        """Call a function with each event."""
        self._callbacks.add("*", callback)
        return callback

    def on_state_change(self, callback: F) -> F:
        """Call a function with each new :class:`~menura.client.options.ConnectionState`."""
        self._callbacks.add_state(callback)
        return callback

    def on_error(self, callback: F) -> F:
        """Call a function with each error: of the connection, of the provider, of a message, of another callback."""
        self._callbacks.add_error(callback)
        return callback

    def off(self, callback: Callable[[Any], Any]) -> None:
        """Call a function no more."""
        self._callbacks.remove(callback)

    def events(self) -> EventStream[ServerEvent]:
        """All events from now on, for ``async for`` or, in a thread, ``for``.

        It ends when the connection is stopped, and raises its error when that fails.
        """
        return self._hub.subscribe()

    @property
    def state(self) -> ConnectionState:
        """What the connection is doing."""
        return self._hub.state

    @property
    def input_format(self) -> StreamFormat:
        """What :meth:`send_audio` takes: as the session's settings say, those sent before those confirmed."""
        with self._lock:
            form = self._session.input_format
        return StreamFormat(_ENCODINGS[form.type], form.rate)

    @property
    def connected(self) -> bool:
        """Whether what is sent now goes out now."""
        return self.state is ConnectionState.CONNECTED

    def redactor(self, *, address: bool = False) -> Redactor:
        """What takes the key and the secret parts of the address out of a text before somebody else reads it.

        Args:
            address: Take out all of the provider's address.
        """
        parts = urlsplit(self._target.url)
        hidden = (self._target.url, parts.netloc, parts.hostname or "") if address else ()
        return Redactor(hidden, self._target.redact)

    def stats(self) -> RealtimeStats:
        """How it has fared so far."""
        links = self._link.counts if self._link else LinkCounts()
        with self._lock:
            return gather(self._session, links, self._hub, self._callbacks.raised)

    def get_stats(self) -> dict[str, Any]:
        """:meth:`stats` as a dict."""
        return asdict(self.stats())


def _as_bytes(audio: bytes | bytearray | memoryview) -> bytes:
    view = memoryview(audio)
    if view.format not in _BYTES_OR_INT16:
        raise FormatError(f"audio must be bytes or int16, not items of format {view.format!r}")
    return view.tobytes()
