"""Addresses, subjects, the queues out and the order in, without a broker."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.channels import nats_link
from menura.channels.nats_address import NatsAddress, NatsOptions, Subjects, escape, unescape
from menura.channels.nats_incoming import MAX_PUBLISHERS, Incoming
from menura.channels.nats_inlet import MAX_STOPPED, Inlet
from menura.channels.nats_outgoing import MAX_LANES, NO_LIMIT, WINDOW_BYTES, Outgoing
from menura.channels.nats_question import Question
from menura.channels.options import Policy
from menura.channels.wire import REPLAYED, Frame, Kind, decode, encode
from menura.clock import VirtualClock
from menura.errors import ConfigError, ConnectionLostError, FormatError, LimitError

SECRET = "hunter2-hunter2"


# --- names and addresses


@given(st.text(min_size=1, max_size=50))
def test_a_name_is_one_token_of_a_subject_and_comes_back(name) -> None:
    token = escape(name)
    assert token.isascii() and not set(token) & set(". *>\t\r\n") and token
    assert unescape(token) == name


def test_different_names_have_different_subjects() -> None:
    names = ["a.b", "a b", "a%2Eb", "a", "A", "é", "e\u0301", "*", ">", "a>", "%"]
    assert len({Subjects("p").frames(name) for name in names}) == len(names)


@pytest.mark.parametrize("prefix", ["", "a b", "a.>", "*", "a..b", ".a", "a.", "a\r\nPUB x 0", 3])
def test_a_prefix_that_breaks_out_is_refused(prefix) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        NatsOptions(prefix=prefix)


def test_credentials_of_an_address_are_used_and_never_shown() -> None:
    address = NatsAddress(f"nats://me:{SECRET}@host:4333", NatsOptions())
    assert (address.user, address.password, address.servers) == ("me", SECRET, ["nats://host:4333"])
    assert NatsAddress(f"nats://{SECRET}@host", NatsOptions()).token == SECRET
    assert NatsAddress("nats://a%40b:c%2Fd@host", NatsOptions()).user == "a@b"
    options = NatsOptions(user="me", password=SECRET, token=SECRET)
    assert SECRET not in repr(address) + str(address) + repr(options)


def test_options_go_before_the_address() -> None:
    address = NatsAddress("nats://me:one@host", NatsOptions(user="you", password="two"))
    assert (address.user, address.password) == ("you", "two")


@pytest.mark.parametrize(
    "url",
    ["", "host:4222", f"http://me:{SECRET}@host", "nats://", f"nats://me:{SECRET}@host:port", f"nats://{SECRET}@h/path",
     f"nats://a,tls://me:{SECRET}@b", "ws://host"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_its_credentials(url) -> None:
    with pytest.raises(ConfigError, match="url") as caught:
        NatsAddress(url, NatsOptions())
    assert SECRET not in str(caught.value)


def test_an_ipv6_address_keeps_its_brackets() -> None:
    assert NatsAddress("nats://[::1]:4333", NatsOptions()).servers == ["nats://[::1]:4333"]


@pytest.mark.parametrize(
    "options",
    [{"policy": "lose"}, {"max_queue": 0}, {"max_age_s": -1.0}, {"stale_s": 0}, {"connect_timeout_s": "x"},
     {"user": "me"}, {"idle_timeout_s": float("nan")}],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_by_name(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        NatsOptions(**options)


# --- out


def make(policy: str = "drop_oldest", max_queue: int = 3, max_age_s: float | None = 5.0):
    clock = VirtualClock()
    out = Outgoing(Policy(policy), max_queue, max_age_s, clock)
    return out, out.lane("a", "p.ch.a"), clock


def written(parts: list[bytes]) -> list[bytes]:
    """Messages of commands, which must be whole."""
    heads, frames, ends = parts[::3], parts[1::3], parts[2::3]
    assert set(ends) <= {b"\r\n"}
    for head, frame in zip(heads, frames, strict=True):
        assert head.endswith(b" %d\r\n" % len(frame))
    return [decode(frame).body for frame in frames]


def sequences(parts: list[bytes]) -> list[int]:
    return [decode(frame).sequence for frame in parts[1::3]]


@pytest.mark.parametrize(
    ("policy", "left", "dropped"),
    [("drop_oldest", [b"2", b"3", b"4"], 2), ("drop_newest", [b"0", b"1", b"2"], 2), ("latest", [b"4"], 4)],
)
def test_a_full_queue_follows_the_policy(policy, left, dropped) -> None:
    out, lane, _ = make(policy)
    for i in range(5):
        out.put(lane, b"%d" % i)
    assert written(out.take()) == left
    assert (out.stats().dropped, out.stats().sent, out.stats().published) == (dropped, len(left), 5)


def test_what_was_dropped_is_missing_in_the_count_that_receivers_see() -> None:
    for policy, seen in (("drop_oldest", [3, 4, 5, 6]), ("drop_newest", [1, 2, 3, 6])):
        out, lane, _ = make(policy)
        for _ in range(5):
            out.put(lane, b"x")
        parts = out.take()
        out.put(lane, b"x")
        assert sequences(parts + out.take()) == seen


@pytest.mark.parametrize("policy", ["block", "error"])
def test_a_full_queue_that_drops_nothing_says_so(policy) -> None:
    out, lane, _ = make(policy)
    for i in range(3):
        out.put(lane, b"%d" % i)
    with pytest.raises(LimitError, match="3 messages wait"):
        out.put(lane, b"3")
    assert written(out.take()) == [b"0", b"1", b"2"]


def test_what_waited_too_long_is_left_out() -> None:
    out, lane, clock = make(max_age_s=1.0)
    out.put(lane, b"old")
    clock.advance(1.5)
    out.put(lane, b"new")
    assert written(out.take()) == [b"new"]
    assert out.stats().expired == 1


def test_channels_take_turns() -> None:
    out, lane, _ = make(max_queue=100)
    quiet = out.lane("b", "p.ch.b")
    for _ in range(50):
        out.put(lane, bytes(WINDOW_BYTES // 20))
    out.put(quiet, b"heard")
    assert b"heard" in written(out.take())[:3]


def test_no_more_than_a_window_is_with_the_broker_until_it_confirms() -> None:
    out, lane, _ = make(max_queue=100)
    for _ in range(60):
        out.put(lane, bytes(WINDOW_BYTES // 20))
    first = len(written(out.take()))
    assert 20 <= first <= 21 and not out.take()
    out.confirm(out.mark())
    assert len(written(out.take())) == first


def test_what_the_broker_may_not_have_is_sent_again_before_all_else() -> None:
    out, lane, clock = make(max_queue=10, max_age_s=1.0)
    out.put(lane, b"0")
    out.take()
    out.confirm(out.mark())
    out.put(lane, b"1")
    clock.advance(0.9)
    out.put(lane, b"2")
    out.take()
    out.put(lane, b"3")
    out.restore()
    clock.advance(0.5)
    assert written(out.take()) == [b"2", b"3"]
    stats = out.stats()
    assert (stats.resent, stats.expired, stats.sent, stats.waiting) == (2, 1, 3, 0)


def test_a_queue_holds_no_more_after_a_loss_than_before() -> None:
    out, lane, _ = make(max_queue=3)
    for i in range(9):
        out.put(lane, b"%d" % i)
        out.take()
    out.put(lane, b"9")
    out.restore()
    assert written(out.take()) == [b"7", b"8", b"9"]


def test_a_message_that_cannot_travel_leaves_no_gap() -> None:
    out, lane, _ = make()
    out.put(lane, b"0")
    with pytest.raises(FormatError):
        out.put(lane, object())
    out.max_payload = 100
    with pytest.raises(LimitError, match="shorter"):
        out.put(lane, bytes(100))
    out.put(lane, b"1")
    assert sequences(out.take()) == [1, 2]


def test_a_subscriber_without_room_stops_its_channel_alone_and_not_for_ever() -> None:
    out, lane, clock = make(max_queue=10)
    other = out.lane("b", "p.ch.b")
    lane.limit_by(7, 2, clock())
    for i in range(4):
        out.put(lane, b"%d" % i)
        out.put(other, b"b")
    assert written(out.take()).count(b"b") == 4 and len(lane.waiting) == 2
    lane.limit_by(7, 3, clock())
    assert written(out.take()) == [b"2"]
    lane.limit_by(8, NO_LIMIT, clock())
    assert not out.take()
    clock.advance(60.0)
    lane.forget_limits(clock() - 1.0)
    assert written(out.take()) == [b"3"]


def test_kept_messages_are_given_to_who_asks() -> None:
    out, lane, clock = make(max_queue=4, max_age_s=1.0)
    out.keep(lane, 2)
    for i in range(6):
        out.put(lane, b"%d" % i)
        out.take()
    unknown, known = Question(5, 0.0, {}), Question(0, 9.0, {lane.publisher: 3})
    new = out.answer(lane, unknown, "p.in.x.a")
    assert written(new)[:-1] == [b"4", b"5"] and new[0].startswith(b"PUB p.in.x.a ")
    assert [decode(frame).flags for frame in new[1::3]] == [REPLAYED, REPLAYED, 0]
    assert decode(new[-2]).kind is Kind.WELCOME
    assert written(out.answer(lane, Question(0, 0.0, {7: 1}), "x"))[:-1] == []
    assert written(out.answer(lane, known, "x"))[:-1] == [b"3", b"4", b"5"]
    assert written(out.answer(lane, Question(0, 0.5, {}), "x"))[:-1] == [b"%d" % i for i in range(6)]
    clock.advance(2.0)
    assert written(out.answer(lane, known, "x"))[:-1] == []
    assert written(out.answer(lane, Question(1, 9.0, {}), "x"))[:-1] == [b"5"]


@given(st.integers(0, 2**32), st.floats(0, 1e6), st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
def test_a_question_comes_as_it_was_asked(count, away_s, known) -> None:
    frame = decode(Question(count, away_s, known).encode(5))
    asked = Question.decode(frame)
    assert (frame.publisher, asked.replay, asked.known) == (5, count, known)
    assert asked.away_s == pytest.approx(away_s, abs=0.001)


@given(st.binary(max_size=60))
def test_a_damaged_question_is_read_as_far_as_it_goes(body) -> None:
    assert len(Question.decode(Frame(Kind.HELLO, 1, 1, 0, body)).known) <= 3


def test_memory_is_bounded_by_names_and_bytes() -> None:
    out, lane, _ = make(max_queue=10_000)
    for i in range(3 * MAX_LANES):
        out.put(out.lane(f"n{i}", "s"), b"x")
        out.confirm(out.mark() if out.take() else 0)
    assert len(out.lanes) <= MAX_LANES
    for _ in range(100):
        out.put(lane, bytes(1_000_000))
    assert lane.waiting_bytes < 20 << 20 and out.stats().dropped > 80
    assert sum(len(frame) for _, _, frame in lane.kept) < 20 << 20


# --- in


def frame(sequence: int, publisher: int = 1, flags: int = 0, kind: Kind = Kind.BYTES) -> Frame:
    return Frame(kind, publisher, sequence, flags, b"")


def feed(incoming: Incoming, *frames: Frame) -> list[int]:
    return [each.sequence for one in frames for each in incoming.take(one)]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 30)), max_size=100))
def test_nothing_comes_twice_or_after_what_is_newer(order) -> None:
    incoming = Incoming()
    out = [each for publisher, sequence in order for each in incoming.take(frame(sequence, publisher))]
    for publisher in (1, 2, 3):
        mine = [each.sequence for each in out if each.publisher == publisher]
        assert mine == sorted(set(mine))
        if mine:
            first = next(sequence for who, sequence in order if who == publisher)
            assert mine[0] == first
    missing = sum(
        max(mine) - min(mine) + 1 - len(mine)
        for publisher in (1, 2, 3)
        if (mine := [each.sequence for each in out if each.publisher == publisher])
    )
    assert (incoming.lost, incoming.received, incoming.repeated) == (missing, len(out), len(order) - len(out))


def test_kept_frames_go_before_live_ones_and_none_twice() -> None:
    incoming = Incoming()
    incoming.expect()
    assert feed(incoming, frame(8), frame(9)) == []
    assert feed(incoming, frame(6, flags=REPLAYED), frame(7, flags=REPLAYED), frame(8, flags=REPLAYED)) == [6, 7, 8]
    assert [each.sequence for each in incoming.welcome(1)] == [9]
    assert feed(incoming, frame(10)) == [10]
    assert (incoming.lost, incoming.received) == (0, 5)


def test_a_publisher_that_begins_or_does_not_answer_is_not_held_for_ever() -> None:
    incoming = Incoming()
    incoming.expect()
    assert feed(incoming, frame(1), frame(2)) == [1]
    assert feed(incoming, frame(5, 2), frame(6, 2)) == []
    assert sorted(each.sequence for each in incoming.release()) == [2, 5, 6]
    assert feed(incoming, frame(3), frame(7, 2)) == [3, 7]


def test_a_flood_of_held_frames_is_let_go() -> None:
    incoming = Incoming()
    incoming.expect()
    assert len(feed(incoming, *[frame(i) for i in range(2, 1000)])) == 998


def test_invented_publishers_take_no_memory() -> None:
    incoming = Incoming()
    for publisher in range(5 * MAX_PUBLISHERS):
        incoming.take(frame(5, publisher))
    assert incoming.publishers <= MAX_PUBLISHERS


def test_what_a_publisher_sends_once_more_after_its_goodbye_is_left_out() -> None:
    incoming = Incoming()
    assert feed(incoming, frame(5), frame(6), frame(7)) == [5, 6, 7]
    incoming.leave(1)
    assert feed(incoming, frame(5), frame(6), frame(7), frame(8)) == [8]
    assert (incoming.publishers, incoming.repeated, incoming.lost) == (1, 3, 0)


def test_invented_publishers_do_not_have_a_full_subscriber_say_more_and_more() -> None:
    told: list[int] = []

    async def main() -> None:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        inlet = Inlet(
            "a", lambda name, item: never, lambda name: None, lambda *stop: told.append(stop[1]), VirtualClock()
        )
        for publisher in range(3 * MAX_STOPPED):
            inlet.arrived(b"", encode(Kind.BYTES, publisher, 1))
        assert len(told) == MAX_STOPPED
        inlet.close()

    asyncio.run(main())


def test_what_a_broker_that_came_back_smaller_cannot_take_is_left_out_and_counted() -> None:
    out, lane, _ = make()
    for data in (b"one", bytes(5000), b"two"):
        out.put(lane, data)
    out.max_payload = 1000
    assert written(out.take()) == [b"one", b"two"]
    assert (out.stats().sent, out.stats().dropped) == (2, 1)


def test_who_is_cut_off_each_time_tries_less_and_less_often(monkeypatch) -> None:
    class Cut:
        def __init__(self) -> None:
            self.lost: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
            self.lost.set_result(ConnectionLostError("cut off"))
            self.messages = 0

        def ping(self) -> asyncio.Future[None]:
            return asyncio.get_running_loop().create_future()

        async def close(self) -> None:
            pass

    class Nobody:
        def up(self, wire: object) -> None: ...
        def down(self) -> None: ...
        def complain(self, text: str) -> None: ...

    async def connect(*_: object) -> Cut:
        return Cut()

    async def main() -> list[float]:
        most: list[float] = []  # that each wait may last
        monkeypatch.setattr(nats_link, "connect", connect)
        monkeypatch.setattr(nats_link.random, "uniform", lambda low, high: most.append(link._wait_s) or 0.0)
        link = nats_link.Link(NatsAddress("nats://h", NatsOptions()), NatsOptions(), Nobody(), VirtualClock())
        await link.open()
        while link.reconnects < 8:
            await asyncio.sleep(0)
        await link.close()
        return most

    assert asyncio.run(main())[:8] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
