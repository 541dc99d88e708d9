"""The database: opened, brought up to date, spoken to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from menura.errors import LibraryError, MissingExtraError
from menura.log import get_logger

__all__ = ["Database"]

_log = get_logger(__name__)
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6D656E75
"""Of PostgreSQL's advisory locks: "menu"."""
BUSY_MS = 10_000
_READS = "menura_reads"


class Database:
    """A connection pool to a database that is up to date.

    Args:
        url: ``sqlite:///file`` or ``postgresql+psycopg://…``.

    Raises:
        LibraryError: It cannot be opened, a newer menura has written it, or it is another program's.
        MissingExtraError: PostgreSQL's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        except ModuleNotFoundError as error:
            raise MissingExtraError("PostgreSQL needs its driver: pip install 'menura[postgres]'") from error
        except (NoSuchModuleError, SQLAlchemyError) as error:
            raise LibraryError(f"not the address of a database: {_mild(error)}") from error
        self.place = self._engine.url.render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        self._readers = sessionmaker(self._engine.execution_options(**{_READS: True}), expire_on_commit=False)
        try:
            if not self._current():
                self._upgrade()
        except BaseException:
            self._engine.dispose()
            raise

    def _current(self) -> bool:
        """Whether there is nothing to bring up to date: Alembic takes longer to be imported than all else here."""
        last = max(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("m[0-9]*.py"))
        try:
            with self._engine.execution_options(**{_READS: True}).begin() as connection:
                return connection.scalars(text("select version_num from alembic_version")).all() == [last]
        except SQLAlchemyError:  # there is none yet; whatever else it is, an upgrade tells
            return False

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's."""
        return self._engine

    def _upgrade(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", _MIGRATIONS.as_posix().replace("%", "%%"))
        try:
            with self._engine.begin() as connection:
                _alone(connection)
                self._check_owner(connection)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise LibraryError(
                f"{self.place} was written by a newer menura: install that, or name another with MENURA_DATABASE"
            ) from error
        except SQLAlchemyError as error:
            raise LibraryError(
                f"cannot open the library {self.place}: {_mild(error)}; MENURA_DATABASE names another"
            ) from error

    def _check_owner(self, connection: Connection) -> None:
        tables = inspect(connection).get_table_names()
        if tables and "alembic_version" not in tables:
            raise LibraryError(
                f"{self.place} belongs to another program: nothing was changed in it;"
                " name a database for menura alone with MENURA_DATABASE"
            )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads: nobody waits for it, and it waits for nobody.

        Raises:
            LibraryError: The database fails.
        """
        with self._told(), self._readers.begin() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction: all that is done in it, or nothing. No other such runs meanwhile, in any process: what it has
        read stays so, and what it does to files is seen by the next.

        Raises:
            LibraryError: The database fails.
        """
        with self._told(), self._sessions.begin() as session:
            _alone(session.connection())
            yield session

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            _log.warning("the library's database failed: %s", _mild(error))
            raise LibraryError(f"the library cannot be read or written: {_mild(error)}") from error

    def close(self) -> None:
        """Leave it."""
        self._engine.dispose()


def _alone(connection: Connection) -> None:
    """Let nobody else in until the transaction ends; SQLite does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")  # two that read and then write would deadlock


def _mild(error: BaseException) -> str:
    """What the driver says, without the statement and its values."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
