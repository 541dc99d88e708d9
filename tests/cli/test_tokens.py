"""``menura tokens`` as it is used."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from menura.cli.tokens import duration_s
from menura.errors import ConfigError
from menura.store.access_tokens import AccessTokens
from tests import commands

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def menura(tmp_path: Path) -> Run:
    environment = {"MENURA_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    return lambda *arguments: commands.menura("tokens", *arguments, environment=environment)


def test_token_is_made_listed_and_removed(menura: Run, tmp_path: Path) -> None:
    made = menura("add", "my stream", "--role", "use", "--expires", "30d")
    assert re.fullmatch(r"menura_[\w-]{43}\n", made.stdout), made
    assert "my stream may use until" in made.stderr
    tokens = AccessTokens(tmp_path / "home")
    found = tokens.find(made.stdout.strip())
    tokens.close()
    assert found is not None
    listed = menura("list").stdout
    assert found.id in listed
    assert "never" in listed
    assert made.stdout.strip() not in listed
    assert menura("remove", "my stream").stdout == f"removed {found.id}  my stream\n"
    assert "my stream" not in menura("list").stdout


def test_listing_makes_nothing(menura: Run, tmp_path: Path) -> None:
    assert menura("list").returncode == 0
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "a", "--role", "admin"), "a role is one of listen, use, manage"),
        (("add", "a", "--role", "use", "--expires", "soon"), "--expires"),
        (("add", " ", "--role", "use"), "name"),
        (("remove", "nobody"), "there is no token 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(menura: Run, arguments: tuple[str, ...], says: str) -> None:
    done = menura(*arguments)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert says in done.stderr


@pytest.mark.parametrize("text", ["", "0d", "d", "1", "1y", "-1d", "1.5h", "٣d", "1d1h"])
def test_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--expires"):
        duration_s(text)
