"""Recordings of sessions: WAV files in a folder each, and a row that tells what they are."""

import hashlib
import secrets
import shutil
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from menura.audio.block import Samples
from menura.audio.wav import RIFF_MAX, WavWriter
from menura.errors import FileError, LibraryError, LimitError, MenuraError
from menura.store.database import Database
from menura.store.library import SETTINGS, VoiceLibrary
from menura.store.locks import locked
from menura.store.space import check_room
from menura.store.tables import RecordingRow
from menura.store.voice_data import plain, shown
from menura.units import frames_to_ms

__all__ = ["SIDES", "OpenRecording", "Recordings", "StoredRecording", "owner_of"]

Side = Literal["input", "output"]
SIDES: tuple[Side, Side] = ("input", "output")
MAX_BYTES = 20 * 10**9
"""Of all recordings together."""
MAX_S = 4 * 3600.0
"""Of one recording."""
MAX_NAME = 200
MAX_OWNER = 64
"""Names of tokens may be longer."""
_DATA_SIZE_AT, _DS64_FRAMES_AT, _FRAME_BYTES = 88, 36, 2
"""In the header that :class:`~menura.audio.wav.WavWriter` writes for one channel of 16 bits."""


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A recording.

    Attributes:
        state: ``recording``, ``done``, or ``cut`` where the process that made it ended first.
        sides: Which files it has.
        owner: Name of the token it was made with, as of :func:`owner_of`; "" for the operator.
        size: Bytes of its files.
    """

    id: str
    name: str
    state: str
    sides: tuple[str, ...]
    voice_name: str
    owner: str
    rate: int
    frames: int
    size: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def duration_ms(self) -> float:
        """Of its audio."""
        return frames_to_ms(self.frames, self.rate)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "sides": list(self.sides),
            "voice_name": self.voice_name,
            "rate": self.rate,
            "duration_ms": round(self.duration_ms, 3),
            "size": self.size,
            "created_at": self.created_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
        }


class OpenRecording:
    """A recording that goes on. One thread.

    Args:
        latency: Frames by which the output lags the input: so many are left out at its beginning, so that both files
            are aligned in time.
    """

    def __init__(self, recordings: "Recordings", row: StoredRecording, folder: Path, latency: int) -> None:
        self.stored = row
        self._recordings, self._skip, self._folder = recordings, latency, folder
        self._looked = 0
        self._most = int(recordings.max_s * row.rate)
        self._lock = locked(folder / "lock")
        self._files = {side: WavWriter(folder / f"{side}.wav", row.rate) for side in row.sides}

    @property
    def frames(self) -> int:
        """Of its longest file."""
        return max(file.frames for file in self._files.values())

    def write(self, x: Samples, y: Samples) -> None:
        """Append what went in and what came out, ``[n, 1]`` each.

        Raises:
            LimitError: It is as long as a recording may be.
            FileError: The disk is full or gone.
        """
        if self.frames - self._looked >= self.stored.rate:
            self._looked = self.frames
            check_room(self._folder)
        if self.frames + len(x) > self._most:
            raise LimitError(f"a recording is at most {self._recordings.max_s / 60.0:g} minutes long: begin another")
        if "input" in self._files:
            self._files["input"].write(x)
        left_out = min(self._skip, len(y))
        self._skip -= left_out
        if "output" in self._files:
            self._files["output"].write(y[left_out:])

    def abandon(self) -> None:
        """Let go of its files, which are not to be kept."""
        for file in self._files.values():
            file.leave()
        self._lock.close()

    def close(self) -> StoredRecording:
        """End it, and keep it; whatever was written is kept though the disk is full.

        Raises:
            LibraryError: The database fails; the next process that looks finishes it.
        """
        for file in self._files.values():
            try:
                file.commit()
            except FileError:
                file.leave()
        try:
            return self._recordings._finish(self.stored.id, "done")
        finally:
            self._lock.close()


class Recordings:
    """All recordings of a library. May be used from any thread, and by several processes at a time.

    Files are 16-bit PCM WAV, from 4 GiB on RF64, and tell their length anew each second: a process that is killed loses
    no more than that of them. What it left is found by its lock, which the system has given back, and finished as
    ``cut`` by who looks next.

    Args:
        folder: Made when the first one begins.
        database: Up to date.
        max_bytes: Of all together; beyond, no other begins.
        max_s: Of one.
    """

    def __init__(self, folder: Path, database: Database, *, max_bytes: int = MAX_BYTES, max_s: float = MAX_S) -> None:
        self.folder, self._database = folder, database
        self.max_bytes, self.max_s = max_bytes, max_s

    @classmethod
    def of(cls, library: VoiceLibrary) -> Self:
        """Those beside a library of voices, with the limits that its settings have.

        Raises:
            LibraryError: The database fails.
        """
        limits = library.setting(SETTINGS, {})
        max_bytes, max_s = limits.get("recordings_max_bytes", MAX_BYTES), limits.get("recordings_max_s", MAX_S)
        return cls(library.files.recordings, library.database, max_bytes=max_bytes, max_s=max_s)

    def start(
        self, sides: Iterable[Side], rate: int, *, voice_name: str, owner: str = "", name: str = "", latency: int = 0
    ) -> OpenRecording:
        """Begin a recording.

        Raises:
            LimitError: The recordings take as much room as they may.
            FileError: The place is not writable, or the disk is full.
            LibraryError: The database fails.
        """
        wanted = [side for side in SIDES if side in set(sides)]
        now = datetime.now(UTC)
        self._finish_left()
        with self._database.reading() as session:
            used = session.scalar(select(func.sum(RecordingRow.size))) or 0
        if used >= self.max_bytes:
            raise LimitError(f"recordings take {used / 1e9:.1f} GB, as much as they may: delete some")
        row = RecordingRow(
            id=f"recording-{secrets.token_hex(8)}",
            name=_name(name) or f"{voice_name[:150]} {now:%Y-%m-%d %H.%M.%S}",
            state="recording",
            sides=wanted,
            voice_name=voice_name[:200],
            owner=owner_of(owner),
            rate=rate,
            frames=0,
            size=0,
            created_at=now,
            ended_at=None,
        )
        stored, place = _stored(row), self.folder / row.id
        try:
            place.mkdir(parents=True)
        except OSError as error:
            raise FileError(f"cannot write to {self.folder}: {error.strerror}") from error
        opened: OpenRecording | None = None
        try:
            check_room(place)
            opened = OpenRecording(self, stored, place, latency)
            with self._database.writing() as session:
                session.add(row)
        except BaseException:
            if opened is not None:
                opened.abandon()
            shutil.rmtree(place, ignore_errors=True)
            raise
        return opened

    def list(self) -> "list[StoredRecording]":
        """All, the newest first.

        Raises:
            LibraryError: The database fails.
        """
        self._finish_left()
        with self._database.reading() as session:
            rows = session.scalars(select(RecordingRow).order_by(RecordingRow.created_at.desc(), RecordingRow.id))
            return [_stored(row) for row in rows]

    def get(self, recording_id: str) -> StoredRecording:
        """One of them.

        Raises:
            LibraryError: There is none of this id, or the database fails.
        """
        self._finish_left()
        with self._database.reading() as session:
            return _stored(_row(session, recording_id))

    def path(self, recording_id: str, side: Side) -> Path:
        """Its file, which is there once it has ended.

        Raises:
            LibraryError: There is none, or it goes on.
        """
        stored = self.get(recording_id)
        path = self.folder / stored.id / f"{side}.wav"
        if stored.state == "recording" or not path.is_file():
            raise LibraryError(f"{stored.name} has no {side} that could be read: it goes on, or has another side only")
        return path

    def rename(self, recording_id: str, name: str) -> StoredRecording:
        """Call it something else.

        Raises:
            LibraryError: There is none of this id, or it would have no name.
        """
        if not _name(name):
            raise LibraryError("a recording has a name")
        with self._database.writing() as session:
            row = _row(session, recording_id)
            row.name = _name(name)
            return _stored(row)

    def delete(self, recording_id: str) -> None:
        """Delete it, and its files.

        Raises:
            LibraryError: There is none of this id, or it goes on.
        """
        self._finish_left()
        with self._database.writing() as session:
            row = _row(session, recording_id)
            if row.state == "recording":
                raise LibraryError(f"{row.name} goes on: end it first")
            session.delete(row)
        shutil.rmtree(self.folder / recording_id, ignore_errors=True)

    # --- ending

    def _finish_left(self) -> None:
        """End what processes that are no more have left."""
        with self._database.reading() as session:
            going_on = list(session.scalars(select(RecordingRow.id).where(RecordingRow.state == "recording")))
        for recording_id in going_on:
            try:
                lock = locked(self.folder / recording_id / "lock")
            except MenuraError:
                continue
            with lock:
                self._finish(recording_id, "cut")

    def _finish(self, recording_id: str, state: str) -> StoredRecording:
        place = self.folder / recording_id
        for part in place.glob("*.part.wav"):
            with suppress(OSError):
                part.replace(part.with_name(part.name.replace(".part.wav", ".wav")))
        files = [path for path in place.glob("*.wav") if path.is_file()]
        with self._database.writing() as session:
            row = _row(session, recording_id)
            if row.state == "recording":
                row.state, row.ended_at = state, datetime.now(UTC)
                row.frames = max((_frames(path) for path in files), default=0)
                row.size = sum(path.stat().st_size for path in files)
            return _stored(row)


def owner_of(token: str) -> str:
    """A token's name as recordings keep it: whole, or the beginning of a long one and what tells it from others.

    >>> owner_of("Ann"), len(owner_of(80 * "n")), owner_of(64 * "n") == owner_of(65 * "n")
    ('Ann', 64, False)
    """
    if len(token) <= MAX_OWNER:
        return token
    told = f"… {hashlib.sha256(token.encode()).hexdigest()[:16]}"
    return token[: MAX_OWNER - len(told)] + told


def _name(name: str) -> str:
    return plain(shown(name)).strip()[:MAX_NAME]


def _stored(row: RecordingRow) -> StoredRecording:
    return StoredRecording(
        row.id, row.name, row.state, tuple(row.sides), row.voice_name, row.owner, row.rate, row.frames, row.size,
        row.created_at, row.ended_at,
    )  # fmt: skip


def _row(session: Session, recording_id: str) -> RecordingRow:
    row = session.get(RecordingRow, recording_id) if recording_id.isprintable() and len(recording_id) <= 64 else None
    if row is None:
        raise LibraryError(f"Recording not found: {shown(recording_id)[:64]}")
    return row


def _frames(path: Path) -> int:
    """As its header tells."""
    with path.open("rb") as file:
        header = file.read(_DATA_SIZE_AT + 4)
    if len(header) < _DATA_SIZE_AT + 4:
        return 0
    size = int(struct.unpack_from("<I", header, _DATA_SIZE_AT)[0])
    if size == RIFF_MAX:
        return int(struct.unpack_from("<Q", header, _DS64_FRAMES_AT)[0])
    return size // _FRAME_BYTES
