import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from menura.errors import ConfigError, FileError, NotFoundError, StateError
from menura.server.tokens import Token
from menura.store.access_tokens import AccessTokens
from menura.store.library import VoiceLibrary
from tests.postgres import postgres

Make = Callable[[], AccessTokens]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[AccessTokens] = []

    def make() -> AccessTokens:
        made.append(AccessTokens(tmp_path))
        return made[-1]

    yield make
    for tokens in made:
        tokens.close()
        tokens.close()


def test_token_is_found_by_its_text_which_is_not_kept(make: Make, tmp_path: Path) -> None:
    tokens = make()
    token, text = tokens.add("stream", "use")
    assert Token(text).matches(text)
    assert tokens.find(text) == token
    assert (token.name, token.role, token.expires_at, token.used_at) == ("stream", "use", None, None)
    assert tokens.find(text[:-1]) is None
    assert tokens.find("\ud800") is None
    tokens.close()
    assert not any(text.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert text not in repr(token)
    assert token.digest not in repr(token)


def test_looking_for_tokens_makes_nothing(tmp_path: Path) -> None:
    tokens = AccessTokens(tmp_path / "home")
    assert tokens.all() == []
    assert tokens.find("menura_nothing") is None
    assert list(tmp_path.iterdir()) == []
    tokens.add("stream", "use")
    assert [token.name for token in tokens.all()] == ["stream"]
    tokens.close()
    assert [token.name for token in tokens.all()] == ["stream"]
    tokens.close()


def test_a_place_that_cannot_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FileError, match="MENURA_HOME names another place"):
        AccessTokens(tmp_path / "file" / "home").add("stream", "use")


def test_other_processes_see_what_changes(make: Make) -> None:
    first, second = make(), make()
    token, text = first.add("stream", "listen")
    assert second.find(text) == token
    assert second.remove("stream") == token
    assert first.find(text) is None
    assert first.all() == []


def test_library_and_tokens_share_a_database(make: Make, tmp_path: Path) -> None:
    make().add("a", "manage")
    with VoiceLibrary(tmp_path) as library:
        assert library.voices()
    assert [token.name for token in make().all()] == ["a"]


def test_expired_token_is_listed_and_not_found(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = make()
    token, text = tokens.add("short", "use", 3600)
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == timedelta(hours=1)
    assert tokens.find(text)
    assert not token.expired(token.expires_at - timedelta(microseconds=1))
    assert token.expired(token.expires_at)
    with sqlite3.connect(next(Path(tokens._folder or "").glob("*.db"))) as database:
        database.execute("update tokens set expires_at = '2020-01-01 00:00:00'")
    database.close()
    assert tokens.find(text) is None
    assert [one.name for one in tokens.all()] == ["short"]


def test_use_is_noted(make: Make) -> None:
    tokens = make()
    token, _ = tokens.add("stream", "use")
    moment = datetime.now(UTC).replace(microsecond=0)
    tokens.touch({token.id: moment, "nobody": moment})
    tokens.touch({})
    assert tokens.all()[0].used_at == moment


def test_names_are_used_once(make: Make) -> None:
    tokens = make()
    tokens.add("stream", "use")
    with pytest.raises(StateError, match="already"):
        tokens.add("stream", "listen")
    with pytest.raises(NotFoundError, match="no token 'other'"):
        tokens.remove("other")


def test_there_are_not_too_many(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("menura.store.access_tokens.MAX_TOKENS", 2)
    tokens = make()
    tokens.add("a", "use")
    tokens.add("b", "use")
    with pytest.raises(StateError, match="remove some"):
        tokens.add("c", "use")


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\nb", "a\x1b[31mb", "x" * 81, "a\u202eb"])
def test_name_that_is_none_is_refused(make: Make, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        make().add(name, "use")


@pytest.mark.parametrize(
    ("role", "expires_in_s"),
    [("admin", None), ("", None), ("use", 0.0), ("use", -1.0), ("use", float("nan")), ("use", 1e18)],
)
def test_token_that_cannot_be_is_refused(make: Make, role: str, expires_in_s: float | None) -> None:
    with pytest.raises(ConfigError):
        make().add("a", role, expires_in_s)


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    AccessTokens(tmp_path / "later").close()
    assert list(tmp_path.iterdir()) == []


def test_tokens_live_in_postgresql_too(tmp_path: Path) -> None:
    with postgres() as url:
        tokens = AccessTokens(tmp_path, url)
        token, text = tokens.add("stream", "use", 3600)
        tokens.touch({token.id: token.created_at})
        found = tokens.find(text)
        assert found is not None
        assert (found.used_at, found.expires_at) == (token.created_at, token.expires_at)
        with pytest.raises(StateError):
            tokens.add("stream", "use")
        tokens.remove(token.id)
        assert tokens.all() == []
        tokens.close()
