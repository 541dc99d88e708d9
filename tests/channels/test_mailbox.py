from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.channels.mailbox import EMPTY, END, Fate, Mailbox, Ticket
from menura.channels.options import Policy
from menura.errors import ConfigError, SlowSubscriberError

LOSSY = [Policy.DROP_OLDEST, Policy.DROP_NEWEST, Policy.LATEST, Policy.ERROR]


def drain(box: Mailbox) -> list[object]:
    items = []
    while (item := box.take()) not in (EMPTY, END):
        box.admit()
        items.append(item)
    return items


@pytest.mark.parametrize(
    ("policy", "kept"),
    [(Policy.DROP_OLDEST, [3, 4, 5]), (Policy.DROP_NEWEST, [1, 2, 3]), (Policy.LATEST, [5]), (Policy.ERROR, [1, 2, 3])],
)
def test_policy_decides_what_stays_when_full(policy: Policy, kept: list[int]) -> None:
    box = Mailbox(policy, 3)
    assert [box.put(item) for item in (1, 2, 3, 4, 5)] == [None] * 5
    assert (box.received, box.dropped, len(box)) == (5, 5 - len(kept), len(kept))
    items = []
    while len(box):
        items.append(box.take())
    assert items == kept
    assert box.delivered == len(kept)


def test_block_lets_items_in_in_their_turn() -> None:
    box = Mailbox(Policy.BLOCK, 2)
    first, second = (box.put(item) for item in (1, 2))
    third, fourth = (box.put(item) for item in (3, 4))
    assert first is second is None
    assert isinstance(third, Ticket)
    assert isinstance(fourth, Ticket)
    assert (box.received, box.blocked, box.would_block) == (2, 2, True)
    assert box.take() == 1
    assert box.would_block, "who waits comes first"
    assert box.admit() == [third]
    assert (third.fate, fourth.fate) == (Fate.TAKEN, Fate.WAITING)
    assert drain(box) == [2, 3, 4]
    assert not box.would_block
    assert box.put(5) is None


def test_withdrawn_ticket_leaves_the_others_their_turn() -> None:
    box = Mailbox(Policy.BLOCK, 1)
    box.put(1)
    second, third = box.put(2), box.put(3)
    assert second and third
    box.withdraw(second)
    box.withdraw(second)
    assert second.fate is Fate.DISMISSED
    assert drain(box) == [1, 3]
    box.withdraw(third)
    assert third.fate is Fate.TAKEN


def test_error_is_told_where_the_loss_is_then_reading_goes_on() -> None:
    box = Mailbox(Policy.ERROR, 2)
    for item in (1, 2, 3):
        box.put(item)
    assert box.take() == 1
    box.put(4)
    assert box.take() == 2, "4 would come after a hole nobody was told about"
    with pytest.raises(SlowSubscriberError, match="2 items lost") as told:
        box.take()
    assert (told.value.lost, told.value.code, box.errors, box.dropped) == (2, "slow_subscriber", 1, 2)
    box.put(5)
    assert drain(box) == [5]


def test_error_untold_at_the_end_is_still_told() -> None:
    box = Mailbox(Policy.ERROR, 1)
    box.put(1)
    box.put(2)
    box.close()
    assert box.take() == 1
    with pytest.raises(SlowSubscriberError, match="1 item lost"):
        box.take()
    assert box.take() is END


def test_closed_channel_gives_what_was_queued_and_refuses_what_waits() -> None:
    box = Mailbox(Policy.BLOCK, 1)
    box.put(1)
    ticket = box.put(2)
    assert ticket
    assert box.close() == [ticket]
    assert ticket.fate is Fate.REFUSED
    assert box.put(3) is None
    assert drain(box) == [1]
    assert box.take() is END
    assert (box.received, box.dropped) == (1, 0)


def test_leaving_subscriber_drops_what_was_queued_and_dismisses_what_waits() -> None:
    box = Mailbox(Policy.BLOCK, 1)
    box.put(1)
    ticket = box.put(2)
    assert ticket
    assert box.close(Fate.DISMISSED) == [ticket]
    assert ticket.fate is Fate.DISMISSED
    assert box.take() is END
    assert (box.received, box.dropped) == (1, 1)


def test_last_item_finds_room_at_the_end() -> None:
    blocking, dropping = Mailbox(Policy.BLOCK, 1), Mailbox(Policy.DROP_OLDEST, 1)
    for box in (blocking, dropping):
        box.put(1)
        box.put_last(2)
    assert (drain(blocking), drain(dropping)) == ([1, 2], [2])


@pytest.mark.parametrize(("policy", "size"), [("sometimes", 1), ("block", 0), ("block", 1.5), ("block", True)])
def test_setting_that_cannot_be_is_refused(policy: str, size: int) -> None:
    with pytest.raises(ConfigError):
        Mailbox(policy, size)


class Model:
    """What a mailbox should hold, said as plainly as can be."""

    def __init__(self, policy: Policy, limit: int) -> None:
        self.policy, self.limit = policy, 1 if policy is Policy.LATEST else limit
        self.held: list[int] = []
        self.read: list[int] = []
        self.lost = False

    def put(self, item: int) -> None:
        if len(self.held) < self.limit and not self.lost:
            self.held.append(item)
        elif self.policy is Policy.ERROR:
            self.lost = True
        elif self.policy is not Policy.DROP_NEWEST:
            self.held = [*self.held[1:], item]

    def take(self) -> None:
        if self.held:
            self.read.append(self.held.pop(0))
        else:
            self.lost = False


@given(st.sampled_from(LOSSY), st.integers(1, 4), st.lists(st.booleans(), max_size=60))
def test_any_order_of_puts_and_takes_gives_what_the_policy_says(policy: Policy, limit: int, steps: list[bool]) -> None:
    box, model, read = Mailbox(policy, limit), Model(policy, limit), []
    for number, is_put in enumerate(steps):
        if is_put:
            box.put(number)
            model.put(number)
            continue
        model.take()
        try:
            item = box.take()
        except SlowSubscriberError:
            continue
        if item is not EMPTY:
            read.append(item)
    assert read == model.read
    assert box.received == steps.count(True) == box.delivered + box.dropped + len(box)
    assert box.delivered == len(read)


@given(st.integers(1, 3), st.lists(st.sampled_from(["put", "take", "withdraw"]), max_size=60))
def test_block_loses_nothing_and_keeps_the_order(limit: int, steps: list[str]) -> None:
    box, read, expected = Mailbox(Policy.BLOCK, limit), [], []
    waiting: deque[Ticket] = deque()
    for number, step in enumerate(steps):
        if step == "put":
            expected.append(number)
            if ticket := box.put(number):
                waiting.append(ticket)
        elif step == "withdraw" and waiting:
            ticket = waiting.pop()
            if ticket.fate is Fate.WAITING:
                expected.remove(ticket.item)
            box.withdraw(ticket)
        elif (item := box.take()) is not EMPTY:
            box.admit()
            read.append(item)
        assert len(box) <= limit
    assert read + drain(box) == expected
