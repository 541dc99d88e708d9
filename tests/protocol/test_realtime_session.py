import json
import random
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent
from pydantic import Field, TypeAdapter

from menura.clock import VirtualClock
from menura.dsp.ring import Overflow
from menura.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionLostError,
    LimitError,
    ProtocolError,
    ProviderError,
    QuotaError,
)
from menura.protocol.realtime_audio import decode_audio
from menura.protocol.realtime_faults import Backoff, judge_close, judge_error, judge_status
from menura.protocol.realtime_server import ErrorInfo, ServerEvent
from menura.protocol.realtime_session import Phase, RealtimeSession
from menura.protocol.realtime_turn import TurnLimits

MS = 48  # bytes
CLIENT: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeClientEvent, Field(discriminator="type")])


class Provider:
    """The other end of a session, by hand."""

    def __init__(self, **limits: Any) -> None:
        self.clock = VirtualClock()
        self.session = RealtimeSession(self.clock, TurnLimits(**limits))

    def open(self, session: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Connect and confirm; gives what was sent before that was done."""
        self.session.opened()
        first = self.sent()
        self.say("session.created", session=session or {})
        if first:
            self.say("session.updated", session=session or {})
        assert self.session.phase is Phase.READY
        return first

    def say(self, kind: str, **fields: Any) -> ServerEvent | None:
        return self.session.receive(json.dumps({"type": kind, "event_id": "e"} | fields))

    def sent(self) -> list[dict[str, Any]]:
        out = []
        while (text := self.session.take()) is not None:
            out.append(json.loads(text))
        return out

    def heard(self) -> bytes:
        """The audio of what is sent now."""
        return b"".join(decode_audio(event["audio"]) for event in self.sent() if "audio" in event)

    def error(self, event_id: str = "", code: str = "invalid_value") -> None:
        self.say("error", error={"type": "invalid_request_error", "code": code, "message": "no", "event_id": event_id})

    def audio(self, item_id: str, ms: int) -> ServerEvent | None:
        delta = "A" * (ms * MS * 4 // 3)
        part = {"response_id": "r", "item_id": item_id, "output_index": 0, "content_index": 0}
        return self.say("response.output_audio.delta", delta=delta, **part)


def noise(ms: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(ms * MS)


VAD = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}


def test_settings_go_first_and_audio_waits_until_they_are_confirmed() -> None:
    provider = Provider()
    session = provider.session
    session.submit({"type": "session.update", "session": {"voice": "alloy"}})
    session.append(noise(40))
    session.opened()
    assert [event["type"] for event in provider.sent()] == ["session.update"]
    provider.say("session.created", session={"id": "sess_1"})
    session.append(noise(20, 1))
    assert provider.sent() == []
    provider.say("session.updated", session={"id": "sess_1"})
    assert provider.heard() == noise(40) + noise(20, 1)
    assert session.session_id == "sess_1"


def test_without_settings_audio_waits_for_the_session() -> None:
    provider = Provider()
    provider.session.append(noise(20))
    provider.session.opened()
    assert provider.sent() == []
    provider.say("session.created", session={})
    assert provider.heard() == noise(20)


def test_new_session_gets_all_settings_as_one() -> None:
    provider = Provider()
    provider.open()
    for update in (
        {"modalities": ["audio", "text"], "voice": "alloy"},
        {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.4}}}},
        {"turn_detection": {"type": "semantic_vad"}, "instructions": "Be brief."},
    ):
        provider.session.submit({"type": "session.update", "session": update})
    assert len(provider.sent()) == 3
    provider.session.lost()
    [restored] = provider.open()
    assert restored["session"] == {
        "type": "realtime",
        "instructions": "Be brief.",
        "output_modalities": ["audio"],
        "audio": {"output": {"voice": "alloy"}, "input": {"turn_detection": {"type": "semantic_vad"}}},
    }


def test_refused_settings_are_not_repeated() -> None:
    provider = Provider()
    provider.open()
    provider.session.submit({"type": "session.update", "session": {"instructions": "a"}})
    bad = provider.session.submit({"type": "session.update", "session": {"voice": "nobody"}})
    provider.session.submit({"type": "session.update", "session": {"tools": []}})
    provider.sent()
    provider.say("session.updated", session={})
    provider.error(bad)
    provider.say("session.updated", session={})
    provider.session.lost()
    assert provider.open()[0]["session"] == {"type": "realtime", "instructions": "a", "tools": []}
    assert isinstance(provider.session.fault, type(None))


def test_first_settings_refused_leave_a_session_that_works() -> None:
    provider = Provider()
    provider.session.submit({"type": "session.update", "session": {"voice": "nobody"}})
    provider.session.append(noise(20))
    provider.session.opened()
    [update] = provider.sent()
    provider.say("session.created", session={})
    provider.error(update["event_id"])
    fault = provider.session.fault
    assert fault is not None
    assert isinstance(fault.error, ProviderError)
    assert (fault.ends, fault.error.event_id) == (False, update["event_id"])
    assert provider.heard() == noise(20)


def test_provider_that_refuses_settings_it_took_before_is_left() -> None:
    provider = Provider()
    provider.session.submit({"type": "session.update", "session": {"instructions": "a"}})
    provider.open()
    provider.session.lost()
    provider.session.append(noise(20))
    provider.session.opened()
    [update] = provider.sent()
    provider.error(update["event_id"])
    fault = provider.session.fault
    assert fault is not None
    assert (fault.ends, fault.retry) == (True, True)
    assert provider.sent() == []
    provider.session.lost()
    assert provider.open()[0]["session"]["instructions"] == "a"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.data())
@settings(max_examples=50, deadline=None)
def test_turn_is_heard_exactly_once_whenever_the_connection_breaks(sizes: list[int], data: st.DataObject) -> None:
    provider = Provider()
    provider.open()
    chunks = [noise(10 * size, seed) for seed, size in enumerate(sizes)]
    last = bytearray()
    for chunk in chunks:
        provider.session.append(chunk)
        for _ in range(data.draw(st.integers(0, 4))):
            text = provider.session.take()
            if text is None:
                break
            last += decode_audio(json.loads(text)["audio"])
        if data.draw(st.booleans()):
            provider.session.lost()
            last.clear()
            provider.open()
    last += provider.heard()
    assert bytes(last) == b"".join(chunks), "what the last session heard is the whole turn, to the byte"


def test_what_an_item_was_made_of_is_not_said_again() -> None:
    provider = Provider()
    provider.open()
    session = provider.session
    session.append(noise(200))
    session.submit({"type": "input_audio_buffer.commit"})
    session.append(noise(60, 1))
    provider.sent()
    provider.say("input_audio_buffer.committed", item_id="i")
    session.lost()
    provider.open()
    assert provider.heard() == noise(60, 1)


def test_unanswered_commit_and_request_are_repeated_in_order() -> None:
    provider = Provider()
    provider.open()
    session = provider.session
    session.append(noise(200))
    session.submit({"type": "input_audio_buffer.commit"})
    session.submit({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}})
    session.submit({"type": "response.create"})
    session.submit({"type": "conversation.item.delete", "item_id": "old"})
    before = provider.sent()
    session.lost()
    provider.open()
    after = provider.sent()
    assert after == before[:-1], "all but what named a thing of the old session"
    provider.say("input_audio_buffer.committed", item_id="i")
    provider.say("conversation.item.added", item={"type": "message", "id": after[-2]["item"]["id"]})
    provider.say("response.created", response={"id": "r"})
    session.lost()
    provider.open()
    assert provider.sent() == []


def test_refused_request_is_not_repeated() -> None:
    provider = Provider()
    provider.open()
    event_id = provider.session.submit({"type": "response.create"})
    provider.sent()
    provider.error(event_id, "conversation_already_has_active_response")
    fault = provider.session.fault
    assert fault is not None
    assert isinstance(fault.error, ProviderError)
    assert fault.error.event_type == "response.create"
    provider.session.lost()
    provider.open()
    assert provider.sent() == []


def test_refused_item_is_not_repeated_and_one_without_an_answer_not_for_ever() -> None:
    provider = Provider(max_age_s=30.0)
    provider.open()
    item = {"type": "message", "role": "user", "content": []}
    refused = provider.session.submit({"type": "conversation.item.create", "item": item})
    provider.session.submit({"type": "conversation.item.create", "item": item})
    provider.sent()
    provider.error(refused)
    assert provider.session.turn.signals == 1
    provider.clock.advance(31.0)
    provider.session.submit({"type": "response.create"})
    assert provider.session.turn.signals == 1


def test_commit_of_a_turn_that_the_provider_ended_itself_is_not_repeated() -> None:
    provider = Provider()
    provider.open(VAD)
    session = provider.session
    session.append(noise(500))
    session.submit({"type": "input_audio_buffer.commit"})
    provider.sent()
    provider.say("input_audio_buffer.speech_started", item_id="i", audio_start_ms=0)
    provider.say("input_audio_buffer.speech_stopped", item_id="i", audio_end_ms=500)
    provider.say("input_audio_buffer.committed", item_id="i")
    assert session.turn.signals == session.turn.kept_bytes == 0


def test_new_session_is_told_the_conversation_if_that_is_wanted() -> None:
    provider = Provider()
    session = provider.session = RealtimeSession(provider.clock, remember_items=6)
    provider.open()
    part = {"response_id": "r", "output_index": 0, "content_index": 0}
    asked = {"id": "q", "type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": None}]}
    call = {"id": "c", "type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
    output = {"id": "o", "type": "function_call_output", "call_id": "1", "output": "42"}
    provider.say("conversation.item.added", item=asked)
    provider.say("conversation.item.input_audio_transcription.completed", item_id="q", transcript="Who are you?")
    for item in (call, output, call | {"id": "d", "call_id": "2"}):
        provider.say("conversation.item.done", item=item | {"object": "realtime.item", "status": "completed"})
    provider.audio("a", 1000)
    provider.say("response.output_audio_transcript.done", item_id="a", transcript="I am a lyrebird, you know.", **part)
    provider.say("conversation.item.truncated", item_id="a", content_index=0, audio_end_ms=500)
    provider.say("response.output_text.done", item_id="b", text="Gone.", **part)
    provider.say("conversation.item.deleted", item_id="b")
    session.append(noise(20))
    provider.sent()
    for _ in range(2):
        session.lost()
        provider.open()
        *recalled, audio = provider.sent()
        assert [event["item"] for event in recalled] == [
            {"id": "q", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who are you?"}]},
            call,
            output,
            {
                "id": "a",
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I am a lyrebi"}],
            },
        ]
        for event in recalled:
            CLIENT.validate_python(event)
            provider.say("conversation.item.added", item=event["item"])
        assert audio["type"] == "input_audio_buffer.append"
    for i in range(10):
        provider.say("response.output_text.done", item_id=f"n{i}", text="x" * 100_000, **part)
    assert [item["id"] for item in session.conversation.items()] == [f"n{i}" for i in range(4, 10)]
    assert all(len(item["content"][0]["text"]) == 16_384 for item in session.conversation.items())
    session.forget()
    assert session.conversation.items() == []


def test_stale_audio_is_dropped_and_counted_and_its_commit_with_it() -> None:
    provider = Provider(max_age_s=5.0)
    session = provider.session
    session.append(noise(100))
    session.submit({"type": "input_audio_buffer.commit"})
    provider.clock.advance(4.0)
    session.append(noise(300, 1))
    provider.clock.advance(2.0)
    provider.open()
    assert provider.heard() == noise(300, 1)
    assert session.turn.counts.stale_bytes == 100 * MS
    assert session.turn.counts.stale_events == 1


def test_commit_without_any_audio_left_is_not_sent() -> None:
    provider = Provider(max_bytes=100 * MS)
    session = provider.session
    session.append(noise(100))
    session.submit({"type": "input_audio_buffer.commit"})
    session.append(noise(100, 1))
    provider.open()
    assert [event["type"] for event in provider.sent()] == ["input_audio_buffer.append"]
    assert session.turn.counts.stale_events == 1


def test_audio_while_nobody_speaks_is_kept_no_longer_than_its_preroll() -> None:
    provider = Provider(preroll_ms=500.0)
    provider.open(VAD)
    for i in range(100):
        provider.session.append(noise(20, i))
        provider.sent()
    assert provider.session.turn.kept_bytes == 500 * MS
    provider.session.lost()
    provider.open(VAD)
    assert provider.heard() == b"".join(noise(20, i) for i in range(75, 100))


def test_turn_found_by_the_provider_is_kept_from_its_start_to_its_end() -> None:
    provider = Provider()
    provider.open(VAD)
    session = provider.session
    for i in range(50):
        session.append(noise(20, i))
    provider.sent()
    provider.say("input_audio_buffer.speech_started", item_id="i", audio_start_ms=700)
    for i in range(50, 200):
        session.append(noise(20, i))
    provider.sent()
    assert session.turn.kept_bytes == (4000 - 700) * MS
    provider.say("input_audio_buffer.speech_stopped", item_id="i", audio_end_ms=3900)
    assert session.turn.kept_bytes == (4000 - 700) * MS, "until an item was made of it"
    provider.say("input_audio_buffer.committed", item_id="i")
    assert session.turn.kept_bytes == 100 * MS


def test_clear_forgets_what_no_commit_is_about() -> None:
    provider = Provider()
    provider.open()
    session = provider.session
    session.append(noise(100))
    session.submit({"type": "input_audio_buffer.commit"})
    session.append(noise(20, 1))
    provider.sent()
    session.append(noise(20, 2))
    session.submit({"type": "input_audio_buffer.clear"})
    session.append(noise(20, 3))
    assert [event["type"] for event in provider.sent()] == ["input_audio_buffer.clear", "input_audio_buffer.append"]
    session.lost()
    provider.open()
    assert provider.heard() == noise(100) + noise(20, 3)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [(Overflow.DROP_OLDEST, range(50, 150)), (Overflow.DROP_NEWEST, range(100)), (Overflow.ERROR, range(100))],
)
def test_audio_held_is_bounded_by_the_policy(policy: Overflow, kept: range) -> None:
    provider = Provider(max_bytes=100 * 20 * MS, overflow=policy)
    session = provider.session
    for i in range(150):
        if policy is Overflow.ERROR and i >= 100:
            with pytest.raises(LimitError):
                session.append(noise(20, i))
        else:
            session.append(noise(20, i))
    assert session.turn.kept_bytes == 100 * 20 * MS
    assert session.turn.counts.overflow_bytes == (0 if policy is Overflow.ERROR else 50 * 20 * MS)
    provider.open()
    assert provider.heard() == b"".join(noise(20, i) for i in kept)


def test_audio_sent_makes_way_for_audio_that_waits() -> None:
    provider = Provider(max_bytes=100 * MS)
    provider.open()
    for i in range(20):
        provider.session.append(noise(20, i))
        provider.sent()
    counts = provider.session.turn.counts
    assert (counts.forgotten_bytes, counts.overflow_bytes) == (300 * MS, 0)


def test_events_without_audio_are_bounded() -> None:
    provider = Provider()
    with pytest.raises(LimitError, match="does not answer"):
        for _ in range(2000):
            provider.session.submit({"type": "response.create"})


def test_reply_is_truncated_at_what_was_heard_and_never_beyond_what_was_sent() -> None:
    provider = Provider()
    provider.open()
    provider.say("response.created", response={"id": "r"})
    assert provider.audio("a", 400) is not None
    assert provider.session.cancel()
    assert provider.session.truncate("a", 1480.7)
    cancel, truncate = provider.sent()
    assert cancel["response_id"] == "r"
    assert (truncate["item_id"], truncate["audio_end_ms"], truncate["content_index"]) == ("a", 400, 0)
    assert provider.audio("a", 400) is None, "it is not for the listener any more"
    assert provider.session.counts.suppressed == 1
    assert not provider.session.truncate("a", 100.0), "once"
    provider.say("response.done", response={"id": "r", "status": "cancelled"})
    assert not provider.session.cancel()
    provider.audio("b", 400)
    assert not provider.session.truncate("b", 400.0), "heard to its end"
    assert provider.session.truncate(None, 99.9)
    assert provider.sent()[0]["audio_end_ms"] == 99
    provider.session.lost()
    provider.open()
    assert not provider.session.truncate("b", 100.0), "it was of another session"


def test_replies_after_the_one_that_was_cut_were_not_heard_at_all() -> None:
    provider = Provider()
    provider.open()
    for item in ("a", "b", "c"):
        provider.audio(item, 400)
    assert provider.session.truncate("b", 400.0)
    assert [(event["item_id"], event["audio_end_ms"]) for event in provider.sent()] == [("c", 0)]
    assert not provider.session.truncate("b", 400.0)


def test_cancel_that_came_too_late_is_no_error() -> None:
    provider = Provider()
    provider.open()
    provider.error("x", "response_cancel_not_active")
    assert provider.session.news is None


def test_response_that_failed_tells_why() -> None:
    provider = Provider()
    provider.open()
    details = {"type": "failed", "error": {"type": "insufficient_quota", "code": "insufficient_quota"}}
    provider.say("response.done", response={"id": "r", "status": "failed", "status_details": details})
    assert provider.session.news is not None
    assert isinstance(provider.session.news.error, QuotaError)
    provider.say("response.done", response={"id": "r", "status": "completed"})
    assert provider.session.news is None


def test_latency_is_from_the_end_of_speech_to_the_first_audio() -> None:
    provider = Provider()
    provider.open(VAD)
    provider.say("input_audio_buffer.speech_started", item_id="i", audio_start_ms=0)
    provider.say("input_audio_buffer.speech_stopped", item_id="i", audio_end_ms=20)
    provider.clock.advance(0.3)
    provider.audio("a", 20)
    provider.clock.advance(1.0)
    provider.audio("a", 20)
    assert provider.session.counts.first_audio_s == pytest.approx(0.3)
    assert provider.session.counts.answers == 1


def test_session_is_replaced_when_it_is_old_and_nothing_goes_on() -> None:
    provider = Provider()
    provider.open(VAD)
    due = provider.session.recycle_due
    provider.clock.advance(99.0)
    provider.session.append(noise(20))
    provider.sent()
    assert not due(100.0, 2.0)
    provider.clock.advance(2.0)
    assert due(100.0, 2.0)
    provider.say("input_audio_buffer.speech_started", item_id="i", audio_start_ms=0)
    provider.clock.advance(9.0)
    assert not due(100.0, 2.0)
    provider.say("input_audio_buffer.speech_stopped", item_id="i", audio_end_ms=20)
    provider.say("input_audio_buffer.committed", item_id="i")
    provider.say("response.created", response={"id": "r"})
    provider.clock.advance(9.0)
    assert not due(100.0, 2.0)
    provider.say("response.done", response={"id": "r"})
    assert not due(100.0, 2.0)
    provider.clock.advance(2.0)
    assert due(100.0, 2.0)


def test_session_with_manual_turns_is_not_replaced_within_one() -> None:
    provider = Provider()
    provider.open()
    provider.session.append(noise(20))
    provider.sent()
    provider.clock.advance(200.0)
    assert not provider.session.recycle_due(100.0, 2.0)
    provider.session.submit({"type": "input_audio_buffer.commit"})
    provider.sent()
    provider.say("input_audio_buffer.committed", item_id="i")
    provider.clock.advance(2.0)
    assert provider.session.recycle_due(100.0, 2.0)


def test_garbage_is_counted_and_changes_nothing() -> None:
    provider = Provider()
    provider.open()
    for message in ("x", b"\x00\xff", '{"type":"response.created"}', "[]"):
        with pytest.raises(ProtocolError):
            provider.session.receive(message)
    assert provider.session.counts.malformed == 4
    provider.say("brand.new")
    assert provider.session.counts.unknown == 1
    assert provider.session.phase is Phase.READY


def test_values_that_are_no_json_are_refused_and_not_remembered() -> None:
    provider = Provider()
    for bad in (float("nan"), object(), {1, 2}):
        with pytest.raises(ProtocolError):
            provider.session.submit({"type": "session.update", "session": {"type": "realtime", "extra": bad}})
    assert provider.session.settings.wanted == {}


def test_g711_session_takes_its_own_bytes() -> None:
    provider = Provider()
    provider.session.submit({"type": "session.update", "session": {"input_audio_format": "g711_ulaw"}})
    provider.open()
    provider.session.append(bytes(801))
    assert [len(decode_audio(event["audio"])) for event in provider.sent()] == [800, 1]


def test_forgotten_session_keeps_its_settings_only() -> None:
    provider = Provider()
    provider.session.submit({"type": "session.update", "session": {"voice": "alloy"}})
    provider.open()
    provider.session.append(noise(20))
    provider.session.forget()
    assert provider.session.turn.kept_bytes == 0
    assert provider.open()[0]["session"]["audio"] == {"output": {"voice": "alloy"}}
    assert provider.sent() == []


@pytest.mark.parametrize("wrong", [{"max_bytes": 0}, {"max_age_s": 0.0}, {"preroll_ms": -1.0}])
def test_limits_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TurnLimits(**wrong)


@pytest.mark.parametrize(
    ("code", "reason", "retry"),
    [
        (1000, "", True),
        (1001, "", True),
        (1006, "", True),
        (1011, "keepalive ping timeout", True),
        (1012, "", True),
        (1002, "", False),
        (1008, "", False),
        (1009, "", False),
        (3000, "", False),
        (3000, "invalid_request_error.invalid_api_key", False),
        (1011, "insufficient_quota", False),
        (4000, "invalid_request_error.model_not_found", False),
        (1008, "session_expired", True),
        (4999, "whatever", True),
    ],
)
def test_close_codes_tell_whether_to_come_back(code: int, reason: str, retry: bool) -> None:
    assert judge_close(code, reason).retry is retry


def test_earlier_error_explains_a_close() -> None:
    quota = judge_error(ErrorInfo(type="insufficient_quota", code="insufficient_quota", message="You are broke"))
    assert (quota.retry, quota.ends) == (False, True)
    assert isinstance(quota.error, QuotaError)
    assert judge_close(1011, "", quota).error is quota.error
    slots = judge_error(ErrorInfo(type="session_limit_reached", message="All slots in use"))
    assert judge_close(1008, "All slots in use", slots).retry
    trifle = judge_error(ErrorInfo(type="invalid_request_error", code="invalid_value"))
    assert isinstance(judge_close(1001, "", trifle).error, ConnectionLostError)


@pytest.mark.parametrize(
    ("status", "body", "error", "retry"),
    [
        (401, b"", AuthenticationError, False),
        (403, b"<html>", AuthenticationError, False),
        (402, b"", QuotaError, False),
        (404, b"", ProviderError, False),
        (400, b'{"error":{"code":"beta_api_shape_disabled","message":"m"}}', ProviderError, False),
        (429, b'{"error":{"code":"insufficient_quota","message":"m"}}', QuotaError, False),
        (429, b'{"error":{"code":"rate_limit_exceeded","message":"m"}}', ConnectionLostError, True),
        (429, b'{"error":3}', ConnectionLostError, True),
        (500, b"", ConnectionLostError, True),
        (503, b"", ConnectionLostError, True),
        (302, b"", ProviderError, False),
        (200, b"", ProviderError, False),
    ],
)
def test_statuses_tell_whether_to_come_back(status: int, body: bytes, error: type[Exception], retry: bool) -> None:
    fault = judge_status(status, {"Retry-After": "7"}, body)
    assert type(fault.error) is error
    assert fault.retry is retry
    assert fault.after_s == (7.0 if retry else None)
    assert judge_status(503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}).after_s is None


def test_waits_grow_are_spread_and_honour_the_provider() -> None:
    waits = [[Backoff(0.5, 30.0, random.Random(seed)).next()] for seed in range(300)]
    assert 0.2 < sum(w[0] for w in waits) / 300 < 0.3, "spread evenly from nothing on"
    backoff = Backoff(0.5, 30.0, random.Random(0))
    for tries in range(2000):
        assert 0.0 <= backoff.next() <= min(30.0, 0.5 * 2.0 ** min(tries, 20))
    assert backoff.next(after_s=100.0) >= 100.0
    assert backoff.next(after_s=1e9) <= 630.0
    backoff.reset()
    assert backoff.next() <= 0.5


# --- answers that do not come

DONE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0, "transcript": "Well"}


def ask(provider: Provider) -> str:
    event_id = provider.session.submit({"type": "response.create"})
    provider.sent()
    return event_id


def overdue(provider: Provider) -> str | None:
    return provider.session.wait.overdue(30.0, provider.clock())


def test_a_request_that_is_not_answered_is_overdue_once() -> None:
    provider = Provider()
    provider.open()
    ask(provider)
    provider.clock.advance(29.9)
    assert overdue(provider) is None
    provider.clock.advance(0.1)
    assert overdue(provider) == "begin"
    provider.clock.advance(100.0)
    assert overdue(provider) is None


def test_an_answer_that_stops_in_its_middle_is_overdue() -> None:
    provider = Provider()
    provider.open()
    ask(provider)
    provider.clock.advance(20.0)
    provider.say("response.created", response={"id": "r", "status": "in_progress"})
    provider.clock.advance(20.0)
    provider.say("response.output_audio_transcript.done", **DONE)
    provider.clock.advance(20.0)
    assert overdue(provider) is None
    provider.clock.advance(10.0)
    assert overdue(provider) == "rest"
    provider.say("response.output_audio_transcript.done", **DONE)
    provider.clock.advance(30.0)
    assert overdue(provider) == "rest"


@pytest.mark.parametrize("end", ["done", "refused", "refused by nobody knows what", "lost"])
def test_nothing_is_overdue_after(end: str) -> None:
    provider = Provider()
    provider.open()
    event_id = ask(provider)
    if end == "done":
        provider.say("response.created", response={"id": "r", "status": "in_progress"})
        provider.say("response.done", response={"id": "r", "status": "completed"})
    elif end == "lost":
        provider.session.lost()
    else:
        named = {"event_id": event_id} if end == "refused" else {}
        provider.say("error", error={"type": "invalid_request_error", "code": "nope", "message": "no"} | named)
    provider.clock.advance(100.0)
    assert overdue(provider) is None


def test_a_second_request_waits_for_its_own_answer() -> None:
    provider = Provider()
    provider.open()
    ask(provider)
    ask(provider)
    provider.say("response.created", response={"id": "r", "status": "in_progress"})
    provider.say("response.done", response={"id": "r", "status": "completed"})
    provider.clock.advance(30.0)
    assert overdue(provider) == "begin"


def test_a_request_is_awaited_from_when_it_leaves() -> None:
    provider = Provider()
    provider.session.submit({"type": "response.create"})
    provider.clock.advance(29.0)
    provider.open()
    provider.sent()
    provider.clock.advance(29.0)
    assert overdue(provider) is None
