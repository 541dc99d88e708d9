"""The database is opened quickly, and brought up to date only where it is not."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from menura.errors import LibraryError
from menura.store import database
from menura.store.database import Database

OPENED = """
import sys
from menura.store.database import Database
Database(sys.argv[1]).close()
print("alembic" in sys.modules)
"""


def alembic_was_needed(url: str) -> bool:
    done = subprocess.run([sys.executable, "-c", OPENED, url], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.strip() == "True"


def test_the_newest_migration_is_known_by_its_files_name(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(database._MIGRATIONS))
    opened = Database(f"sqlite:///{tmp_path}/db")
    with opened.reading() as session:
        assert (
            session.scalar(text("select version_num from alembic_version"))
            == ScriptDirectory.from_config(config).get_current_head()
        )
    assert opened._current()
    opened.close()


def test_one_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/db"
    assert alembic_was_needed(url)
    assert not alembic_was_needed(url)


def test_one_that_is_none_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("no database, but long enough to be taken for one" * 100)
    with pytest.raises(LibraryError, match="file is not a database; MENURA_DATABASE names another"):
        Database(f"sqlite:///{tmp_path}/db")
