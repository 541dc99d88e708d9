"""Buffers on loan."""

import resource
from pathlib import Path

import pytest

from menura.engine.pool import BufferPool
from menura.errors import ConfigError, StateError


def test_buffers_are_lent_until_none_is_left() -> None:
    pool = BufferPool(2, 10)
    first, second = pool.acquire(), pool.acquire()
    assert first is not None
    assert second is not None
    assert pool.acquire() is None
    assert pool.stats() == {"pool_size": 2, "buffer_size": 10, "available": 0, "in_use": 2, "exhausted": 1}
    first.release()
    assert pool.in_use == 1
    assert pool.acquire() is not None


def test_buffers_are_apart_and_keep_their_place() -> None:
    pool = BufferPool(2, 4)
    first, second = pool.acquire(), pool.acquire()
    assert first is not None
    assert second is not None
    first.memory[:], second.memory[:] = b"1111", b"2222"
    assert (bytes(first.memory), bytes(second.memory)) == (b"1111", b"2222")
    second.release()
    again = pool.acquire()
    assert again is not None
    assert bytes(again.memory) == b"2222"


def test_a_pool_that_is_not_used_takes_no_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    before = resident()
    pools = [BufferPool(16, 1 << 20) for _ in range(4)]
    assert resident() - before < 8 << 20
    assert len(pools) == 4


def test_a_buffer_is_given_back_once() -> None:
    pool = BufferPool(1, 10)
    lease = pool.acquire()
    assert lease is not None
    lease.release()
    with pytest.raises(StateError, match="already"):
        lease.release()
    with pytest.raises(ValueError, match="released"):
        bytes(lease.memory)


def test_a_lease_that_is_forgotten_comes_back() -> None:
    pool = BufferPool(1, 10)
    pool.acquire()
    assert pool.available == 1
    with pool.acquire() as memory:  # type: ignore[union-attr]
        assert len(memory) == 10
    assert pool.available == 1


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ConfigError):
        BufferPool(0)
