"""The library of voices: built-in ones and the user's own."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from menura.errors import ConfigError, LibraryError, VersionError, VoiceNotFoundError
from menura.places import data_folder, database_url
from menura.store.database import Database
from menura.store.files import FileStore, Incoming
from menura.store.stored_voice import NewFile, StoredFile, StoredVoice
from menura.store.tables import FileRow, RecordingRow, SettingRow, VoiceFileRow, VoiceRow
from menura.store.voice_data import StageData, VoiceData, fingerprint, plain, shown
from menura.voices.builtin import builtin_voices
from menura.voices.voice import Category

__all__ = ["NewFile", "StoredFile", "StoredVoice", "VoiceLibrary"]

MAX_MODEL_BYTES = 4 * 1024**3
MAX_VOICES = 10_000
MAX_ID = 64
SETTINGS = "page"
"""What people set for everybody, under names of their own."""
_OWNER, _CHANGES = "library.id", "library.changes"
"""Settings: what the files of this database are kept under; how often its voices were changed."""


class VoiceLibrary:
    """Voices that outlive the program.

    What a method has returned from is kept, whatever happens to the process next; what it has not returned from is
    there wholly or not at all. May be used from any thread, and by several processes at a time.

    Args:
        folder: For files; by default the user's.
        url: Of the database; by default in that folder.

    Raises:
        ConfigError, FileError, LibraryError, MissingExtraError: It cannot be opened.
    """

    def __init__(self, folder: Path | None = None, url: str | None = None) -> None:
        place = data_folder() if folder is None else folder
        self.files = FileStore(place)
        try:
            self._database = Database(
                database_url(place) if url is None else database_url(place, {"MENURA_DATABASE": url})
            )
        except BaseException:
            self.files.close()
            raise
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def database(self) -> Database:
        """Where it is kept, and what belongs to it."""
        return self._database

    def close(self) -> None:
        """Leave it. Twice is fine."""
        self._database.close()
        self.files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- beginning

    def _begin(self) -> None:
        with self._database.writing() as session:
            row = session.get(SettingRow, _OWNER)
            if row is None:
                row = SettingRow(key=_OWNER, value=secrets.token_hex(8), updated_at=_now())
                session.add(row)
            self._seed(session)
        self.files.owner = str(row.value)
        if self.files.alone:
            self._clear()
            self.files.share()

    def _clear(self) -> None:
        with self._database.writing() as session:
            used = select(VoiceFileRow.sha256)
            for row in session.scalars(select(FileRow).where(FileRow.sha256.not_in(used))):
                session.delete(row)
            session.flush()
            known = list(session.scalars(select(FileRow.sha256)))
            recordings = list(session.scalars(select(RecordingRow.id)))
        self.files.clear(known)
        self.files.clear_recordings(recordings)

    @staticmethod
    def _seed(session: Session) -> None:
        """Built-in voices as this release has them."""
        rows = {row.id: row for row in session.scalars(select(VoiceRow).where(VoiceRow.builtin))}
        for position, voice in enumerate(builtin_voices()):
            data = VoiceData.of(voice)
            mark, row = fingerprint(data), rows.pop(voice.id, None)
            if row is None:
                row = _new_row(voice.id, builtin=True)
                session.add(row)
            elif row.fingerprint != mark:
                row.version += 1
                row.updated_at = _now()
            row.position, row.fingerprint = position, mark
            _fill(row, data)
        for row in rows.values():
            session.delete(row)  # a release that no longer has it
        if session.new or session.deleted or any(session.is_modified(row) for row in session.dirty):
            _changed(session)

    # --- reading

    def changes(self) -> int:
        """How often its voices were changed, in all processes: another number, other voices."""
        return int(self.setting(_CHANGES, 0))

    def voices(self, search: str = "", category: Category | str | None = None) -> list[StoredVoice]:
        """All voices, or those whose name or description holds every word of ``search``; built-in ones first.

        Raises:
            ConfigError: There is no such category.
        """
        query = select(VoiceRow).order_by(VoiceRow.builtin.desc(), VoiceRow.position, func.lower(VoiceRow.name))
        if category is not None:
            query = query.where(VoiceRow.category == str(_category(category)))
        words = plain(search).casefold().split()  # here, for databases do not agree on letters beyond ASCII
        with self._database.reading() as session:
            rows = [row for row in session.scalars(query) if _holds(row, words)]
            return [self._stored(row) for row in rows]

    def get(self, voice_id: str) -> StoredVoice:
        """One voice.

        Raises:
            VoiceNotFoundError: There is none of this id.
        """
        with self._database.reading() as session:
            return self._stored(_row(session, voice_id))

    def _stored(self, row: VoiceRow) -> StoredVoice:
        stages = [StageData.model_construct(kind=stage["kind"], params=stage["params"]) for stage in row.stages]
        files = {
            part.role: StoredFile(
                part.role,
                part.name,
                part.sha256,
                part.file.size,
                MappingProxyType(part.details),
                self.files.path(part.sha256),
            )
            for part in row.files
        }
        data = VoiceData.model_construct(
            name=row.name,
            category=Category(row.category),
            description=row.description,
            stages=stages,
            parameters=dict(row.parameters),
        )
        return StoredVoice(row.id, row.builtin, row.favourite, row.version, data, files, row.created_at, row.updated_at)

    # --- changing

    def create(self, data: VoiceData | Mapping[str, Any], files: Mapping[str, NewFile] | None = None) -> StoredVoice:
        """Add a voice of the user's own.

        Args:
            data: What it is; its category becomes ``custom``.
            files: By role; each is put under its hash.

        Raises:
            ConfigError, ModelError: It cannot be built.
            LibraryError: The library is full or fails.
        """
        data = (data if isinstance(data, VoiceData) else VoiceData.parse(data)).model_copy(
            update={"category": Category.CUSTOM}
        )
        files = files or {}
        data.check({role: str(file.incoming.flush()) for role, file in files.items()})
        with self._keeping(files), self._database.writing() as session:
            _check_room(session)
            row = _new_row(_new_id(), builtin=False)
            _fill(row, data)
            session.add(row)
            for role, file in files.items():
                self._attach(session, row, role, file)
            _changed(session)
            return self._stored(row)

    @contextmanager
    def _keeping(self, files: Mapping[str, NewFile]) -> Iterator[None]:
        """Files that were put under their hashes for nothing are taken away again."""
        try:
            yield
        except BaseException:
            with suppress(LibraryError):  # the database has failed; the next to open it alone clears them away
                self._remove_unused([file.incoming.sha256 for file in files.values()])
            raise

    def _remove_unused(self, hashes: list[str]) -> None:
        """Not what someone has put there again meanwhile: whoever refers to a file does so while nobody else may."""
        if not hashes:
            return
        with self._database.writing() as session:
            for sha256 in hashes:
                if session.get(FileRow, sha256) is None:
                    self.files.remove(sha256)

    def _attach(self, session: Session, row: VoiceRow, role: str, file: NewFile) -> None:
        sha256 = file.incoming.keep()
        known = session.get(FileRow, sha256) or FileRow(sha256=sha256, size=file.incoming.size, created_at=_now())
        part = VoiceFileRow(
            role=role, sha256=sha256, name=shown(file.name)[:255], details=dict(file.details), file=known
        )
        row.files = [other for other in row.files if other.role != role] + [part]

    def update(self, voice_id: str, changes: Mapping[str, Any], version: int | None = None) -> StoredVoice:
        """Change a voice: name, description, stages, parameters. Of a built-in one this makes a copy.

        Args:
            version: Of the voice that is changed; any by default: what others change meanwhile is kept.

        Raises:
            VoiceNotFoundError: There is none of this id.
            VersionError: It has another version by now.
            ConfigError, ModelError: It cannot be changed so.
        """
        while True:
            before = self.get(voice_id)
            _check_version(before, version)
            data = before.data.changed(changes).model_copy(update={"category": Category.CUSTOM})
            data.check({role: str(file.path) for role, file in before.files.items()})
            if before.builtin:
                return self._copy(before, data)  # a release alone changes those
            if after := self._write(before, data):
                return after

    def _write(self, before: StoredVoice, data: VoiceData) -> StoredVoice | None:
        """None if someone has changed it meanwhile: that is not to be lost."""
        with self._database.writing() as session:
            row = _row(session, before.id)
            if row.version != before.version:
                return None
            _fill(row, data)
            row.version += 1
            row.updated_at = _now()
            _changed(session)
            return self._stored(row)

    def duplicate(self, voice_id: str, name: str | None = None) -> StoredVoice:
        """Copy a voice, under another name.

        Raises:
            VoiceNotFoundError: There is none of this id.
            ConfigError: The name cannot be.
        """
        before = self.get(voice_id)
        changes = {"name": name or f"{before.data.name[:70]} (copy)", "category": Category.CUSTOM}
        return self._copy(before, before.data.changed(changes))

    def _copy(self, before: StoredVoice, data: VoiceData) -> StoredVoice:
        with self._database.writing() as session:
            _check_room(session)
            source = _row(session, before.id)
            row = _new_row(_new_id(), builtin=False)
            _fill(row, data)
            row.files = [
                VoiceFileRow(role=part.role, sha256=part.sha256, name=part.name, details=part.details, file=part.file)
                for part in source.files
                if part.role != "preview"
            ]
            session.add(row)
            _changed(session)
            return self._stored(row)

    def set_favourite(self, voice_id: str, favourite: bool) -> StoredVoice:
        """Mark a voice, built-in ones too.

        Raises:
            VoiceNotFoundError: There is none of this id.
        """
        with self._database.writing() as session:
            row = _row(session, voice_id)
            row.favourite = favourite
            _changed(session)
            return self._stored(row)

    def delete(self, voice_id: str, version: int | None = None) -> None:
        """Delete a voice of the user's own, and the files that no other has.

        Args:
            version: Which it is to have; any by default.

        Raises:
            VoiceNotFoundError: There is none of this id.
            VersionError: It has another version by now.
            LibraryError: It is a built-in one.
        """
        with self._database.writing() as session:
            row = _row(session, voice_id)
            if row.builtin:
                raise LibraryError(f"{row.name} came with menura and cannot be deleted")
            _check_version(row, version)
            mine = [part.sha256 for part in row.files]
            session.delete(row)
            _changed(session)
            gone = self._forget(session, mine)
        self._remove_unused(gone)

    def _forget(self, session: Session, hashes: list[str]) -> list[str]:
        used = set(session.scalars(select(VoiceFileRow.sha256).where(VoiceFileRow.sha256.in_(hashes))))
        gone = [sha256 for sha256 in dict.fromkeys(hashes) if sha256 not in used]
        for sha256 in gone:
            if row := session.get(FileRow, sha256):
                session.delete(row)
        return gone

    def incoming(self, max_bytes: int = MAX_MODEL_BYTES) -> Incoming:
        """Begin to write a file for :meth:`create` or :meth:`set_file`."""
        return self.files.incoming(max_bytes)

    def set_file(self, voice_id: str, role: str, file: NewFile) -> StoredVoice:
        """Give a voice a file, in place of the one it had in this role: a preview, say.

        Raises:
            VoiceNotFoundError: There is none of this id.
        """
        with self._keeping({role: file}), self._database.writing() as session:
            row = _row(session, voice_id)
            before = [part.sha256 for part in row.files if part.role == role]
            self._attach(session, row, role, file)
            _changed(session)
            gone = self._forget(session, before)
            stored = self._stored(row)
        self._remove_unused(gone)
        return stored

    # --- settings

    def setting(self, key: str, default: Any = None) -> Any:
        """What was kept under a key."""
        with self._database.reading() as session:
            row = session.get(SettingRow, key)
            return default if row is None else row.value

    def set_setting(self, key: str, value: Any) -> None:
        """Keep something that JSON can say; None forgets it."""
        with self._database.writing() as session:
            row = session.get(SettingRow, key)
            if value is None:
                if row is not None:
                    session.delete(row)
            elif row is None:
                session.add(SettingRow(key=key, value=value, updated_at=_now()))
            else:
                row.value, row.updated_at = value, _now()

    def change_setting(self, key: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change names of an object that is kept under a key, and no others, whoever changes those meanwhile.

        Returns:
            All of it.
        """
        with self._database.writing() as session:
            row = session.get(SettingRow, key)
            if row is None:
                row = SettingRow(key=key, value={})
                session.add(row)
            row.value, row.updated_at = dict(row.value) | dict(changes), _now()
            return dict(row.value)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return f"custom-{secrets.token_hex(6)}"


def _new_row(voice_id: str, *, builtin: bool) -> VoiceRow:
    now = _now()
    return VoiceRow(
        id=voice_id,
        builtin=builtin,
        favourite=False,
        version=1,
        fingerprint="",
        position=0,
        created_at=now,
        updated_at=now,
        files=[],
    )


def _changed(session: Session) -> None:
    """Count a change of the voices: no other counts meanwhile."""
    session.flush()
    row = session.get(SettingRow, _CHANGES)
    if row is None:
        session.add(SettingRow(key=_CHANGES, value=1, updated_at=_now()))
    else:
        row.value, row.updated_at = int(row.value) + 1, _now()
    session.flush()


def _fill(row: VoiceRow, data: VoiceData) -> None:
    plain = data.model_dump(mode="json")
    for name in ("name", "category", "description", "stages", "parameters"):
        if getattr(row, name) != plain[name]:
            setattr(row, name, plain[name])


def _row(session: Session, voice_id: str) -> VoiceRow:
    row = session.get(VoiceRow, voice_id) if voice_id.isprintable() and len(voice_id) <= MAX_ID else None
    if row is None:
        raise VoiceNotFoundError(f"Voice not found: {shown(voice_id)[:MAX_ID]}")
    return row


def _check_version(voice: StoredVoice | VoiceRow, version: int | None) -> None:
    if version is not None and voice.version != version:
        name = voice.data.name if isinstance(voice, StoredVoice) else voice.name
        raise VersionError(f"{name} was changed meanwhile: it is version {voice.version} now")


def _holds(row: VoiceRow, words: list[str]) -> bool:
    text = f"{row.name}\n{row.description}".casefold()
    return all(word in text for word in words)


def _check_room(session: Session) -> None:
    if (session.scalar(select(func.count()).select_from(VoiceRow)) or 0) >= MAX_VOICES:
        raise LibraryError(f"the library is full: {MAX_VOICES} voices; delete some first")


def _category(category: Category | str) -> Category:
    try:
        return Category(category)
    except ValueError:
        raise ConfigError(f"category must be one of {', '.join(Category)}, not {category!r}") from None
