"""What is published and not yet with the broker: bounded, by policy and by age, in order."""

import secrets
import threading
from collections import deque
from typing import Any, Final

from menura.channels.nats_question import Question
from menura.channels.nats_stats import OutgoingStats
from menura.channels.options import Policy
from menura.channels.wire import REPLAYED, Kind, encode, encode_message
from menura.clock import Clock
from menura.errors import LimitError

__all__ = ["LIMIT_HOLDS_S", "NO_LIMIT", "Lane", "Outgoing"]

MAX_LANES: Final = 1024
"""Channels whose count goes on from one frame to the next without their having been created here."""
MAX_ENDED: Final = 64
"""Channels closed here whose end is still told to subscribers that were away."""
WINDOW_BYTES: Final = 1 << 20
"""What the broker may have in hand and not yet have confirmed. It is also what a frozen broker may get late."""
NO_LIMIT: Final = 2**64 - 1
LIMIT_HOLDS_S: Final = 2.0
"""A subscriber that stops a publisher says so again more often than this."""
MAX_LIMITS: Final = 256
KEPT: Final = 256
"""Messages kept, beside a full queue of them, for subscribers that come back later than the publisher."""
MAX_BYTES: Final = 16 << 20
"""Bytes that wait on one channel, and that it keeps, at most."""
_END: Final = b"\r\n"
_FLAGS_AT: Final = 4


_Entry = tuple[int, float, bytes]
"""Sequence, when it was published, and the frame."""


class Lane:
    """One channel's way out.

    Attributes:
        publisher: Random: a receiver tells one life of this channel at this process from another by it.
        sequence: Of the frame made last.
        patient: Whether what waits does so for a subscriber that must miss nothing: then nothing is too old.
        limit: Highest sequence that may leave, where a subscriber elsewhere has no room for more; ``None``: no limit.
        ended: Whether its channel was closed: nobody waits for room any more.
    """

    __slots__ = (
        "_kept_bytes", "_limits", "command", "created", "ended", "head", "kept", "limit", "max_queue", "patient",
        "publisher", "ready", "replay", "sequence", "size", "waiting", "waiting_bytes",
    )  # fmt: skip

    def __init__(self, subject: str, max_queue: int) -> None:
        self.command = self.head = f"PUB {subject} ".encode()
        self.size = -1  # of the message that the head announces
        self.publisher = secrets.randbits(64)
        self.sequence = 0
        self.max_queue = max_queue
        self.waiting: deque[_Entry] = deque()
        self.waiting_bytes = 0
        self.kept: deque[_Entry] = deque()
        self.replay = 0
        self._kept_bytes = 0
        self.created = self.ended = False
        self.ready = False
        self.limit: int | None = None
        self.patient = False
        self._limits: dict[int, tuple[int, float]] = {}

    @property
    def full(self) -> bool:
        """Whether the next frame would push one out."""
        return len(self.waiting) >= self.max_queue or self.waiting_bytes >= MAX_BYTES

    def add(self, entry: _Entry) -> None:
        """Let a frame wait."""
        self.waiting.append(entry)
        self.waiting_bytes += len(entry[2])

    def keep(self, entry: _Entry, size: int) -> None:
        """Keep a frame that leaves for who asks for it later."""
        kept = self.kept
        if kept and entry[0] <= kept[-1][0]:
            return  # it leaves once more
        kept.append(entry)
        self._kept_bytes += size
        while (len(kept) > self.max_queue + KEPT or self._kept_bytes > MAX_BYTES) and len(kept) > self.replay:
            self._kept_bytes -= len(kept.popleft()[2])

    def pop(self) -> _Entry:
        """The frame that has waited longest."""
        entry = self.waiting.popleft()
        self.waiting_bytes -= len(entry[2])
        return entry

    def put_back(self, entry: _Entry) -> None:
        """It waits again, before all others."""
        self.waiting.appendleft(entry)
        self.waiting_bytes += len(entry[2])

    def may_leave(self) -> bool:
        """Whether the next frame has a receiver with room."""
        return bool(self.waiting) and (self.limit is None or self.waiting[0][0] <= self.limit)

    def limit_by(self, subscriber: int, limit: int, now_s: float) -> None:
        """A subscriber elsewhere has room up to a sequence; ``NO_LIMIT``: for all."""
        if limit == NO_LIMIT:
            self._limits.pop(subscriber, None)
        elif subscriber in self._limits or len(self._limits) < MAX_LIMITS:
            self._limits[subscriber] = limit, now_s
            self.patient = True
        self.forget_limits(now_s - LIMIT_HOLDS_S)

    def forget_limits(self, before_s: float) -> None:
        """Subscribers not heard of since then have no say any more: a dead one stops nobody."""
        if self._limits:
            self._limits = {who: (limit, at) for who, (limit, at) in self._limits.items() if at >= before_s}
        self.limit = min((limit for limit, _ in self._limits.values()), default=None)


class Outgoing:
    """The queues of all channels. Putting is for any thread, the rest for one.

    Args:
        policy: What happens when a queue is full.
        max_queue: Frames a queue holds.
        max_age_s: What waited longer is left out; ``None`` keeps all.
        clock: Seconds.

    Attributes:
        lanes: The ways out, by channel.
        max_payload: Bytes the broker takes in one message.
    """

    def __init__(self, policy: Policy, max_queue: int, max_age_s: float | None, clock: Clock) -> None:
        self.policy = policy
        self.max_payload = 1 << 20
        self._max_queue = 1 if policy is Policy.LATEST else max_queue
        self._max_age_s = float("inf") if max_age_s is None else max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self.lanes: dict[str, Lane] = {}
        self._ended: dict[int, Lane] = {}  # by publisher number
        self._ready: deque[Lane] = deque()
        self._unconfirmed: deque[tuple[Lane, _Entry]] = deque()
        self._unconfirmed_bytes = 0
        self._confirmed = 0
        self._published = self._sent = self._bytes = self._resent = self._dropped = self._expired = 0

    def lane(self, name: str, subject: str) -> Lane:
        """The way out of a channel."""
        lane = self.lanes.get(name)
        if lane is None:
            with self._lock:
                if len(self.lanes) >= MAX_LANES:
                    self._forget_one()
                lane = self.lanes.setdefault(name, Lane(subject, self._max_queue))
        return lane

    def keep(self, lane: Lane, count: int) -> None:
        """This channel was created here: its last frames are kept for those who ask."""
        with self._lock:
            lane.created = True
            lane.replay = count

    def _forget_one(self) -> None:
        for name, lane in self.lanes.items():
            if not lane.created and not lane.waiting:
                del self.lanes[name]
                return

    def forget(self, name: str) -> None:
        """Begin this channel anew if it is published to again. What waits still leaves, and its end is still told."""
        with self._lock:
            lane = self.lanes.pop(name, None)
            if lane is not None:
                lane.ended = True
                self._ended[lane.publisher] = lane
                if len(self._ended) > MAX_ENDED:
                    del self._ended[next(iter(self._ended))]

    def of_publisher(self, name: str, publisher: int) -> Lane | None:
        """The lane with this number, also where its channel was closed meanwhile."""
        lane = self.lanes.get(name)
        return lane if lane is not None and lane.publisher == publisher else self._ended.get(publisher)

    def asked_of(self, name: str, question: Question) -> Lane | None:
        """The lane that answers a question: of a channel that was closed, only who has heard of it is told."""
        ended = next((self._ended[known] for known in question.known if known in self._ended), None)
        return ended or self.lanes.get(name)

    def loosen(self, before_s: float) -> None:
        """Subscribers not heard of since then stop nobody any more."""
        for lane in [*self.lanes.values(), *self._ended.values()]:
            if lane.limit is not None:
                lane.forget_limits(before_s)

    def put(self, lane: Lane, message: Any) -> None:
        """Queue a message as the channel's next frame.

        Raises:
            FormatError: It cannot travel.
            LimitError: It is too large for the broker; or the queue is full, and the policy drops nothing.
        """
        with self._lock:
            frame = encode_message(message, lane.publisher, lane.sequence + 1)
            size = len(frame)
            if size > self.max_payload:
                raise LimitError(
                    f"a message of {size} bytes; the broker takes {self.max_payload}: publish shorter streams"
                )
            if lane.full and not self._make_room(lane):
                return
            lane.sequence += 1
            self._published += 1
            lane.waiting.append((lane.sequence, self._clock(), frame))
            lane.waiting_bytes += size
            if not lane.ready:
                lane.ready = True
                self._ready.append(lane)

    def _is_ready(self, lane: Lane) -> None:
        if not lane.ready:
            lane.ready = True
            self._ready.append(lane)

    def _make_room(self, lane: Lane) -> bool:
        if self.policy in (Policy.BLOCK, Policy.ERROR):
            raise LimitError(f"{len(lane.waiting)} messages wait for the broker: it is away, or too slow")
        self._dropped += 1
        if self.policy is Policy.DROP_NEWEST:
            lane.sequence += 1  # receivers are to see that one is missing
            self._published += 1
            return False
        lane.pop()
        return True

    def put_control(self, lane: Lane, kind: Kind) -> None:
        """Queue a control frame behind what waits; it is never dropped."""
        with self._lock:
            lane.sequence += 1
            lane.add((lane.sequence, float("inf"), encode(kind, lane.publisher, lane.sequence)))
            self._is_ready(lane)

    def take(self) -> list[bytes]:
        """Commands to write now: a frame of each channel in turn, as many as the window lets through."""
        parts: list[bytes] = []
        room = WINDOW_BYTES - self._unconfirmed_bytes
        with self._lock:
            oldest = self._clock() - self._max_age_s
            idle = 0
            while room > 0 and idle < len(self._ready):
                before = len(parts)
                room = self._take_turns(parts, room, oldest)
                idle = idle + 1 if len(parts) == before else 0
        return parts

    def _take_turns(self, parts: list[bytes], room: int, oldest: float) -> int:
        lane = self._ready.popleft()
        room = self._take_from(lane, parts, room, oldest, 1 if self._ready else len(lane.waiting))
        if lane.waiting:
            self._ready.append(lane)
        else:
            lane.ready = False
            lane.patient = lane.limit is not None
        return room

    def _take_from(self, lane: Lane, parts: list[bytes], room: int, oldest: float, count: int) -> int:
        """Take so many of a channel; this runs once a message, so it looks up little."""
        waiting, unconfirmed = lane.waiting, self._unconfirmed
        before, taken, bytes_out = room, len(unconfirmed), 0
        limit = NO_LIMIT if lane.limit is None else lane.limit
        while count > 0 and room > 0 and waiting and waiting[0][0] <= limit:
            entry = waiting.popleft()
            frame = entry[2]
            size = len(frame)
            bytes_out += size
            if entry[1] < oldest and not lane.patient:
                self._expired += 1
                continue
            if size > self.max_payload:  # a broker came back that takes less, and would cut everybody off
                self._dropped += 1
                continue
            if size != lane.size:
                lane.size, lane.head = size, lane.command + b"%d\r\n" % size
            parts += (lane.head, frame, _END)
            lane.keep(entry, size)
            unconfirmed.append((lane, entry))
            room -= size
            count -= 1
        lane.waiting_bytes -= bytes_out
        self._unconfirmed_bytes += before - room
        self._bytes += before - room
        self._sent += len(unconfirmed) - taken
        return room

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes that the broker may not have yet."""
        return self._unconfirmed_bytes

    @property
    def held(self) -> bool:
        """Whether something waits, for the broker or for room elsewhere."""
        return any(lane.waiting for lane in list(self._ready))

    @property
    def waiting(self) -> bool:
        """Whether something could leave now."""
        return any(lane.may_leave() for lane in self._ready)

    def mark(self) -> int:
        """A number for all that was taken so far."""
        return self._confirmed + len(self._unconfirmed)

    def confirm(self, mark: int) -> None:
        """The broker has all up to a mark."""
        while self._confirmed < mark and self._unconfirmed:
            self._unconfirmed_bytes -= len(self._unconfirmed.popleft()[1][2])
            self._confirmed += 1

    def restore(self) -> None:
        """The connection is lost: what the broker may not have waits again, before what came later."""
        with self._lock:
            while self._unconfirmed:
                lane, entry = self._unconfirmed.pop()
                lane.put_back(entry)
                self._sent -= 1
                self._resent += 1
                self._bytes -= len(entry[2])
                self._is_ready(lane)
            self._unconfirmed_bytes = 0
            if self.policy is not Policy.BLOCK:
                for lane in self._ready:
                    while len(lane.waiting) > lane.max_queue and not lane.patient:
                        lane.pop()
                        self._dropped += 1

    def answer(self, lane: Lane, question: Question, subject: str) -> list[bytes]:
        """Commands that give one process frames this channel keeps.

        Who has heard of us gets what followed, who has not gets what was published while it was away, if it is not
        too old; and the last frames that are kept for all.
        """
        now = self._clock()
        since = question.known.get(lane.publisher)
        with self._lock:
            kept = list(lane.kept)
        if since is not None:
            kept = [entry for entry in kept if entry[0] > since and entry[1] >= now - self._max_age_s]
        else:
            oldest = now - min(question.away_s, self._max_age_s)
            first = len(kept) - min(question.replay, lane.replay)
            kept = [entry for i, entry in enumerate(kept) if i >= first or entry[1] > oldest]
        command = f"PUB {subject} ".encode()
        parts: list[bytes] = []
        frames = [_replayed(frame) for _, _, frame in kept if len(frame) <= self.max_payload]
        for frame in [*frames, encode(Kind.WELCOME, lane.publisher, lane.sequence)]:
            parts += (command + b"%d\r\n" % len(frame), frame, _END)
        return parts

    def stats(self) -> OutgoingStats:
        """Figures now."""
        with self._lock:
            waiting = sum(len(lane.waiting) for lane in self._ready)
            return OutgoingStats(
                self._published, self._sent, self._bytes, self._resent, self._dropped, self._expired, waiting
            )


def _replayed(frame: bytes) -> bytes:
    return frame[:_FLAGS_AT] + bytes([frame[_FLAGS_AT] | REPLAYED]) + frame[_FLAGS_AT + 1 :]
