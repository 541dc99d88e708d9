"""Bodies of requests, streamed to disk."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from menura.errors import (
    DiskFullError,
    LimitError,
    MenuraError,
    ModelError,
    ProtocolError,
    WaitTimeoutError,
    public_text,
)
from menura.store.files import PIECE, Incoming
from menura.store.library import VoiceLibrary
from menura.store.space import check_room

__all__ = ["FILE_BODY", "called", "receive", "receive_to"]

FILE_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {}}}}
"""For OpenAPI: the body is a file as it is."""
EMPTY = "the request has no body: send the file as it is"
PIECE_S, WHOLE_S = 30.0, 3600.0
"""Longest silence of a sender, and longest upload."""


@contextmanager
def called(name: str, *places: Path) -> Iterator[None]:
    """What is refused in the block is refused under the name that its sender knows.

    Args:
        name: What the sender calls the file; "" where it did not say.
        places: Where the server has it, under names like no word: they become the name. Other folders are left out.

    Raises:
        MenuraError: That of the block, its text changed. What is wrong with a model begins with the name.

    >>> with called("me.pth", Path("/srv/incoming/0f3a")):
    ...     raise ModelError("0f3a: it is no model")
    Traceback (most recent call last):
        ...
    menura.errors.ModelError: me.pth: it is no model
    """
    try:
        yield
    except MenuraError as error:
        text = str(error)
        for place in places:  # whose folders may have spaces
            text = text.replace(str(place), place.name)
        error.args = (text,)
        text = public_text(error)
        for place in places:
            text = text.replace(place.name, name or "the file")
        if name and name not in text and isinstance(error, ModelError):
            text = f"{name}: {text}"
        error.args = (text,)
        raise


async def receive(request: Request, library: VoiceLibrary, max_bytes: int) -> Incoming:
    """Write a request's body to a file of the library's that nothing is left of unless it is kept.

    Raises:
        LimitError: It is larger than ``max_bytes``, told or found.
        DiskFullError: There is no room.
        WaitTimeoutError: It comes too slowly.
        ProtocolError: It is empty.
    """
    await run_in_threadpool(_check, request, library.files.folder, max_bytes)
    incoming = await run_in_threadpool(library.incoming, max_bytes)
    try:
        await _pour(request, library.files.folder, incoming.write)
        if not incoming.size:
            raise ProtocolError(EMPTY)
        await run_in_threadpool(incoming.flush)
    except BaseException:
        incoming.__exit__()
        raise
    return incoming


async def receive_to(request: Request, path: Path, max_bytes: int) -> int:
    """Write a request's body to a file; the same errors. What came before one is left there. Returns its bytes."""
    await run_in_threadpool(_check, request, path.parent, max_bytes)
    size = 0
    with path.open("xb") as file:

        def write(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > max_bytes:
                raise _too_large(max_bytes)
            file.write(data)

        try:
            await _pour(request, path.parent, write)
        except OSError as error:
            if isinstance(error, MenuraError):
                raise
            raise DiskFullError("the server's disk has no room for this") from error
    if not size:
        raise ProtocolError(EMPTY)
    return size


def _too_large(max_bytes: int) -> LimitError:
    return LimitError(f"the file is larger than {max_bytes / 1e6:.0f} MB, the most that is taken")


def _check(request: Request, folder: Path, max_bytes: int) -> None:
    told = request.headers.get("content-length", "")
    size = int(told) if told.isdecimal() and len(told) < 20 else 0
    if size > max_bytes:
        raise _too_large(max_bytes)
    check_room(folder, size)


async def _pour(request: Request, folder: Path, write: Callable[[bytes], None]) -> None:
    def checked(data: bytes) -> None:
        check_room(folder, len(data))  # not all say how much they send
        write(data)

    try:
        async with asyncio.timeout(WHOLE_S):
            await _write(request, checked)
    except TimeoutError as error:
        if isinstance(error, MenuraError):
            raise
        raise WaitTimeoutError("the file comes too slowly") from None


async def _write(request: Request, write: Callable[[bytes], None]) -> None:
    pieces, held = request.stream(), bytearray()
    while True:
        async with asyncio.timeout(PIECE_S):
            piece = await anext(pieces, None)
        if piece is None:
            break
        held += piece
        if len(held) >= PIECE:
            await run_in_threadpool(write, bytes(held))
            held.clear()
    if held:
        await run_in_threadpool(write, bytes(held))
