"""Buffers made once and lent again and again."""

from contextlib import suppress
from types import TracebackType

import numpy as np

from menura.errors import ConfigError, StateError

__all__ = ["BufferPool", "Lease"]


class Lease:
    """A buffer on loan; ``memory`` is its bytes, writable. Give it back with ``release`` or by leaving ``with``."""

    __slots__ = ("_index", "_pool", "memory")

    def __init__(self, pool: "BufferPool", index: int, memory: memoryview) -> None:
        self._pool: BufferPool | None = pool
        self._index = index
        self.memory = memory

    def release(self) -> None:
        """Give the buffer back; ``memory`` can no longer be read, and views made of it must not be.

        Raises:
            StateError: It was given back already.
        """
        if self._pool is None:
            raise StateError("this buffer was given back already")
        self.memory.release()
        self._pool._take_back(self._index)
        self._pool = None

    def __del__(self) -> None:
        with suppress(StateError):
            self.release()

    def __enter__(self) -> memoryview:
        return self.memory

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self.release()


class BufferPool:
    """A fixed number of buffers of one size. One thread may take while another gives back.

    Args:
        count: Buffers.
        size_bytes: Of each.

    >>> pool = BufferPool(2, 960)
    >>> with pool.acquire() as memory: memory[:2] = b"ab"
    >>> pool.in_use, pool.available
    (0, 2)
    """

    def __init__(self, count: int = 16, size_bytes: int = 48_000) -> None:
        if count < 1 or size_bytes < 1:
            raise ConfigError(f"a pool has at least 1 buffer of 1 byte: {count=}, {size_bytes=}")
        self.count, self.size_bytes = count, size_bytes
        # zeroed memory of this size costs address space until it is written to, and most pools never are
        self._all = np.zeros(count * size_bytes, np.uint8).data
        self._free = list(range(count))
        self.exhausted = 0

    @property
    def available(self) -> int:
        """Buffers not on loan."""
        return len(self._free)

    @property
    def in_use(self) -> int:
        """Buffers on loan."""
        return self.count - len(self._free)

    def acquire(self) -> Lease | None:
        """Borrow a buffer; ``None`` if all are on loan, which is counted in ``exhausted``.

        Its content is whatever the last borrower left.
        """
        try:
            index = self._free.pop()
        except IndexError:
            self.exhausted += 1
            return None
        return Lease(self, index, self._all[index * self.size_bytes : (index + 1) * self.size_bytes])

    def _take_back(self, index: int) -> None:
        self._free.append(index)

    def stats(self) -> dict[str, int]:
        """Figures for ``get_metrics``."""
        return {
            "pool_size": self.count,
            "buffer_size": self.size_bytes,
            "available": self.available,
            "in_use": self.in_use,
            "exhausted": self.exhausted,
        }
