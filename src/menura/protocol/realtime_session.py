"""A session with a Realtime provider: what may be sent when, and what must be said again. No sockets."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from menura.clock import Clock
from menura.errors import ProtocolError
from menura.protocol.realtime_audio import APPEND, PCM, WireFormat, append_message, decode_audio, wire_format
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_client import check_client_event
from menura.protocol.realtime_conversation import Conversation
from menura.protocol.realtime_faults import Fault, judge_error
from menura.protocol.realtime_memory import SessionCounts, Settings, SpokenItem, SpokenItems
from menura.protocol.realtime_server import (
    AudioDelta,
    ErrorEvent,
    ItemEvent,
    ItemTruncated,
    ResponseEvent,
    ServerEvent,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    parse_server_event,
)
from menura.protocol.realtime_turn import Kind, Turn, TurnLimits
from menura.protocol.realtime_wait import AnswerWait

__all__ = ["Phase", "RealtimeSession"]


class Phase(StrEnum):
    """Where a session stands."""

    OFFLINE = "offline"
    RESTORING = "restoring"
    READY = "ready"


_KINDS = {
    "input_audio_buffer.commit": Kind.COMMIT,
    "response.create": Kind.RESPONSE,
    "conversation.item.create": Kind.ITEM,
    "session.update": Kind.UPDATE,
}


class RealtimeSession:
    """What one caller says to a provider, over as many connections as it takes.

    The caller's side (:meth:`submit`, :meth:`append`, :meth:`truncate`, :meth:`cancel`) may be used at any time. The
    connection's side tells :meth:`opened` and :meth:`lost`, gives messages to :meth:`receive` and sends what
    :meth:`take` gives. A new connection first gets the settings, all that were not refused as one ``session.update``;
    once the provider has confirmed them, what it had not answered: the audio that no item was made of, and requests.

    One thread at a time.

    Args:
        clock: Seconds.
        limits: Of what is kept.
        remember_items: So many items of the conversation are told to a new session, as text.

    >>> session = RealtimeSession(clock=lambda: 0.0)
    >>> _ = session.submit({"type": "session.update", "session": {"voice": "alloy"}})
    >>> session.append(bytes(960))
    >>> session.opened()
    >>> json.loads(session.take())["session"], session.take()
    ({'type': 'realtime', 'audio': {'output': {'voice': 'alloy'}}}, None)
    >>> _ = session.receive('{"type": "session.updated", "session": {}}')
    >>> session.take()[:42]
    '{"type":"input_audio_buffer.append","audio'
    """

    def __init__(self, clock: Clock, limits: TurnLimits | None = None, remember_items: int = 0) -> None:
        self._clock = clock
        self.turn = Turn(limits or TurnLimits())
        self.settings = Settings()
        self.items = SpokenItems()
        self.conversation = Conversation(remember_items)
        self._recall: deque[str] = deque()  # of the conversation, yet to be told to this session
        self.counts = SessionCounts()
        self.wait = AnswerWait()
        self.phase = Phase.OFFLINE
        self.session_id = ""
        self.response_id: str | None = None
        self.responding = self.speaking = False
        self.fault: Fault | None = None  # the last that the provider told of in this session
        self.news: Fault | None = None  # what the message just received tells of
        self._restoring = ""  # the id of the update that restores the settings
        self._told = False
        self._serial = 0
        self._types: dict[str, str] = {}  # of events without an entry in the turn, to explain a refusal
        self._finds_turns = False
        self._formats: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], WireFormat]] = {}
        self._speech_end: int | None = None
        self._asked_s: float | None = None
        self._opened_s = self._busy_s = 0.0

    # --- the caller's side

    def submit(self, event: Mapping[str, Any]) -> str:
        """Say something.

        Args:
            event: Any client event, in today's shape or beta's.

        Returns:
            Its ``event_id``, given or made, by which errors name it; "" for audio.

        Raises:
            ProtocolError: It is malformed, or no such event.
            FormatError: Its audio ends within a frame.
            LimitError: Too much waits.
        """
        said: Any = event
        if not isinstance(said, Mapping) or not isinstance(said.get("type"), str):
            raise ProtocolError(f"an event is a dict with a type, not {str(said)[:64]!r}")
        if event["type"] == APPEND:
            self.append(decode_audio(event.get("audio")), str(event.get("event_id") or ""))
            return ""
        ready, remarks = to_ga(event)
        check_client_event(ready)
        self.counts.remarks.extend(remarks)
        del self.counts.remarks[:-64]
        event_id = ready["event_id"] = ready.get("event_id") or self._next_id("evt")
        kind = _KINDS.get(ready["type"], Kind.PASSING)
        if kind is Kind.ITEM:
            ready["item"] = {"id": self._next_id("item")} | ready["item"]
        if kind is Kind.UPDATE:
            _dump(ready)  # before it is remembered
            offline = self.phase is Phase.OFFLINE
            if not offline:
                self.turn.check_signals(self._clock())
            self.settings.update(event_id, ready["session"], sent=not offline)
            if offline:
                return event_id
        self._add(kind, ready, event_id)
        return event_id

    def _next_id(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}_{self._serial:012d}"

    def _add(self, kind: Kind, event: dict[str, Any], event_id: str) -> None:
        if event["type"] == "input_audio_buffer.clear":
            self.turn.cleared()
        if self.phase is Phase.OFFLINE and kind is Kind.PASSING:
            self.turn.counts.stale_events += 1  # it is about things of a session that is gone
            return
        text = _dump(event)
        self.turn.add(kind, text, self._clock(), event_id, event["item"]["id"] if kind is Kind.ITEM else "")
        self._types[event_id] = event["type"]
        while len(self._types) > 256:
            del self._types[next(iter(self._types))]

    def append(self, audio: bytes, event_id: str = "") -> None:
        """Say audio, in the session's input format.

        Raises:
            FormatError: It ends within a frame.
            LimitError: Too much waits, and the policy is ``error``.
        """
        now_s = self._clock()
        for part in self.input_format.cut(audio):
            self.turn.add_audio(append_message(part, event_id), len(part), now_s)
            event_id = ""

    def cancel(self) -> bool:
        """End the response that is being made; returns whether there is one."""
        if not self.responding:
            return False
        event = {"type": "response.cancel"}
        if self.response_id:
            event["response_id"] = self.response_id
        self.submit(event)
        return True

    def truncate(self, item_id: str | None, heard_ms: float) -> bool:
        """Tell the provider how much of a reply was heard, and take no more of its audio.

        Args:
            item_id: Of the reply; without, the last one with audio. Those after it were not heard at all.
            heard_ms: Rounded down; never more is told than the provider has sent.

        Returns:
            Whether there is anything to tell: False if the item is not of this session, or was heard to its end.
        """
        told = False
        for item in self.items.since(item_id):
            told |= self._truncate_item(item, heard_ms)
            heard_ms = 0.0  # nothing of those after it
        return told

    def _truncate_item(self, item: SpokenItem, heard_ms: float) -> bool:
        sent_ms = int(self.output_format.ms_of(item.size))
        if item.ended or (heard_ms >= sent_ms and not self.responding):
            return False
        item.ended = True
        self.submit(
            {
                "type": "conversation.item.truncate",
                "item_id": item.item_id,
                "content_index": item.content_index,
                "audio_end_ms": max(0, min(int(heard_ms), sent_ms)),
            }
        )
        return True

    @property
    def input_format(self) -> WireFormat:
        """What :meth:`append` takes."""
        return self._format("input")

    @property
    def output_format(self) -> WireFormat:
        """What the provider's audio is."""
        return self._format("output")

    def _format(self, direction: str) -> WireFormat:
        said = (self.settings.wanted, self.settings.effective)  # others where anything in them is another
        wanted, effective, form = self._formats.get(direction, (None, None, PCM))
        if wanted is not said[0] or effective is not said[1]:
            form = wire_format(said[0], direction) or wire_format(said[1], direction) or PCM
            self._formats[direction] = (*said, form)
        return form

    # --- the connection's side

    def opened(self) -> None:
        """There is a new connection: the settings go first."""
        if self.phase is not Phase.OFFLINE:
            self.lost()
        self.phase, self._opened_s = Phase.RESTORING, self._clock()
        self._busy_s, self.fault, self._told = self._opened_s, None, False
        recalled = [{"type": "conversation.item.create", "item": item} for item in self.conversation.items()]
        self._recall = deque(_dump(event) for event in recalled)
        if self.settings.wanted:
            self._restoring = self._next_id("restore")
            self.settings.restoring(self._restoring)

    def lost(self) -> None:
        """The connection is gone, and the session with it."""
        self.phase, self._restoring, self.session_id = Phase.OFFLINE, "", ""
        self.turn.rewind()
        self.items.clear()
        self.responding = self.speaking = self._finds_turns = False
        self.response_id, self._speech_end, self._asked_s = None, None, None
        self.wait.forget()

    def forget(self) -> None:
        """The caller is done: only settings and totals stay."""
        self.lost()
        self.turn.reset()
        self.conversation.clear()

    def take(self) -> str | None:
        """The next message to send, or None if nothing may be sent now."""
        if self.phase is Phase.READY:
            return self._sent(self._recall.popleft()) if self._recall else self._take_next()
        if self.phase is Phase.RESTORING and self._restoring and not self._told:
            self._told = True
            event = {"type": "session.update", "event_id": self._restoring, "session": self.settings.wanted}
            return self._sent(_dump(event))
        return None

    def _take_next(self) -> str | None:
        entry = self.turn.take(self._clock())
        if entry is None:
            return None
        if entry.kind is Kind.AUDIO:
            self.counts.audio_sent_bytes += entry.size
            self._trim_silence()
        if entry.kind is Kind.RESPONSE:
            self.wait.asked(entry.event_id, self._clock())
        if entry.kind is Kind.COMMIT or (entry.kind is Kind.RESPONSE and self._asked_s is None):
            self._asked_s = self._busy_s = self._clock()
        return self._sent(entry.text)

    def _sent(self, text: str) -> str:
        self.counts.events_sent += 1
        self.counts.bytes_sent += len(text)
        return text

    def _trim_silence(self) -> None:
        """While nobody speaks, a provider that finds the turns needs only what came just before."""
        if self._finds_turns and not self.speaking and self._speech_end is None:
            self.turn.trim(self.turn.position - self.input_format.bytes_of(self.turn.limits.preroll_ms))

    def receive(self, message: str | bytes) -> ServerEvent | None:
        """Take a message.

        Returns:
            The event, or None if it is audio of a reply that was cut short.

        Raises:
            ProtocolError: It is no event; it was counted, and the session goes on.
        """
        self.news = None
        self.counts.events_received += 1
        self.counts.bytes_received += len(message)
        try:
            event = parse_server_event(message)
        except ProtocolError:
            self.counts.malformed += 1
            raise
        if type(event) is ServerEvent:
            self.counts.unknown += 1
        self.conversation.see(event, self._heard(event))
        self.wait.saw(event.type, self._clock())
        reaction = _REACTIONS.get(event.type)
        keep = reaction(self, event) if reaction else True
        return event if keep is not False else None

    def _heard(self, event: ServerEvent) -> float:
        """Of an item that was truncated, the share of its audio that was heard."""
        if not isinstance(event, ItemTruncated):
            return 1.0
        item = next(iter(self.items.since(event.item_id)), None)
        return min(1.0, event.audio_end_ms / max(1.0, self.output_format.ms_of(item.size))) if item else 1.0

    def recycle_due(self, age_s: float, quiet_s: float) -> bool:
        """Whether the session is so old that it should be replaced, and nothing is going on in it."""
        now_s = self._clock()
        self.turn.expire(now_s)
        return (
            self.phase is Phase.READY
            and now_s - self._opened_s >= age_s
            and now_s - self._busy_s >= quiet_s
            and not (self.responding or self.speaking or self.turn.signals)
            and (self._finds_turns or not self.turn.uncommitted)
        )

    # --- what events mean

    def _on_session(self, event: SessionEvent) -> None:
        session_id = event.session.get("id")
        self.session_id = session_id if isinstance(session_id, str) else self.session_id
        if event.type == "session.created":
            self.settings.effective = event.session
        else:
            self.settings.accepted(event.session)
        at: Any = event.session.get("audio")
        for name in ("input", "turn_detection"):
            at = at.get(name) if isinstance(at, Mapping) else None
        self._finds_turns = bool(at)
        if self.phase is Phase.RESTORING and (event.type == "session.updated" or not self._restoring):
            self.phase = Phase.READY

    def _on_speech_started(self, event: SpeechStarted) -> None:
        self._finds_turns = self.speaking = True
        self._speech_end = None
        self._busy_s = self._clock()
        self.turn.trim(self.input_format.bytes_of(event.audio_start_ms))

    def _on_speech_stopped(self, event: SpeechStopped) -> None:
        self.speaking = False
        self._speech_end = self.input_format.bytes_of(event.audio_end_ms)
        self._asked_s = self._busy_s = self._clock()

    def _on_committed(self, _event: ServerEvent) -> None:
        self.speaking = False
        self.turn.committed(self._speech_end)
        self._speech_end = None
        self._busy_s = self._clock()

    def _on_cleared(self, _event: ServerEvent) -> None:
        self.speaking, self._speech_end = False, None

    def _on_response(self, event: ResponseEvent) -> None:
        self.responding = event.type == "response.created"
        self.response_id = event.response.id if self.responding else None
        self._busy_s = self._clock()
        if self.responding:
            self.turn.answered()
            self.wait.begun()
            return
        self.wait.ended()
        self._asked_s = None
        details = event.response.status_details
        if event.response.status == "failed" and details is not None and details.error is not None:
            self.fault = self.news = judge_error(details.error)

    def _on_audio(self, event: AudioDelta) -> bool:
        self.counts.audio_received_bytes += event.size
        if self._asked_s is not None:
            self._note_latency(self._clock() - self._asked_s)
            self._asked_s = None
        item = self.items.grow(event.item_id, event.content_index, event.size)
        self.counts.suppressed += item.ended
        return not item.ended

    def _note_latency(self, latency_s: float) -> None:
        counts = self.counts
        counts.answers += 1
        counts.first_audio_s = latency_s
        counts.first_audio_sum_s += latency_s
        counts.first_audio_max_s = max(counts.first_audio_max_s, latency_s)

    def _on_item(self, event: ItemEvent) -> None:
        if event.item.id:
            self.turn.made(event.item.id)

    def _on_error(self, event: ErrorEvent) -> None:
        self.counts.refused += 1
        event_id = event.error.event_id or ""
        fault = judge_error(event.error, self._types.get(event_id, ""))
        self.wait.refused(event_id)
        if event.error.code == "response_cancel_not_active":
            return  # it ended in the meantime, which is what was asked for
        self.fault = self.news = fault
        if self.phase is Phase.RESTORING and self._told and event_id in ("", self._restoring):
            self._on_settings_refused()
        elif not self.settings.refused(event_id):
            self.turn.settle(event_id)

    def _on_settings_refused(self) -> None:
        """Those that were never accepted are the caller's mistake; without others there is nothing to wait for. A
        provider that refuses what it took before is not the one to speak to."""
        self.settings.refused(self._restoring)
        if not self.settings.wanted:
            self.phase = Phase.READY
        elif self.fault is not None and not self.fault.ends:
            self.fault = self.news = Fault(self.fault.error, retry=True)


_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _dump(event: Mapping[str, Any]) -> str:
    try:
        return _to_json(event)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"{event.get('type')}: not JSON: {error}") from None


_REACTIONS: dict[str, Callable[[RealtimeSession, Any], bool | None]] = {
    "session.created": RealtimeSession._on_session,
    "session.updated": RealtimeSession._on_session,
    "input_audio_buffer.speech_started": RealtimeSession._on_speech_started,
    "input_audio_buffer.speech_stopped": RealtimeSession._on_speech_stopped,
    "input_audio_buffer.committed": RealtimeSession._on_committed,
    "input_audio_buffer.cleared": RealtimeSession._on_cleared,
    "response.created": RealtimeSession._on_response,
    "response.done": RealtimeSession._on_response,
    "response.output_audio.delta": RealtimeSession._on_audio,
    "conversation.item.added": RealtimeSession._on_item,
    "conversation.item.created": RealtimeSession._on_item,
    "conversation.item.done": RealtimeSession._on_item,
    "error": RealtimeSession._on_error,
}
