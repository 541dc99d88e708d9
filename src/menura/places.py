"""Where things are kept."""

import os
from collections.abc import Mapping
from pathlib import Path

from menura.errors import ConfigError

__all__ = ["data_folder", "database_url", "library_there"]


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's folder for voices and models: ``MENURA_HOME``, or where the system keeps such.

    >>> data_folder({"MENURA_HOME": "/srv/menura"}).as_posix()
    '/srv/menura'
    """
    if home := environment.get("MENURA_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_data_path

    return user_data_path("menura", appauthor=False)


def database_url(folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The database: ``MENURA_DATABASE``, a SQLAlchemy address, or a SQLite file in the folder.

    Raises:
        ConfigError: The address names a database that is not supported.

    >>> database_url(Path("/srv"), {})
    'sqlite:////srv/library.db'
    >>> database_url(Path("/srv"), {"MENURA_DATABASE": "postgresql://menura@db/voices"})
    'postgresql+psycopg://menura@db/voices'
    """
    url = environment.get("MENURA_DATABASE")
    if not url:
        return f"sqlite:///{(folder / 'library.db').absolute().as_posix()}"
    scheme, separator, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if not separator or kind not in ("sqlite", "postgresql", "postgres"):
        raise ConfigError("MENURA_DATABASE must begin with sqlite:// or postgresql://")
    if kind == "sqlite" and "?" in rest:
        raise ConfigError("MENURA_DATABASE: an SQLite database is named by its path alone, without options")
    return f"sqlite://{rest}" if kind == "sqlite" else f"postgresql+psycopg://{rest}"


def library_there(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a library of voices: it is made when something is put into it.

    Raises:
        ConfigError: As :func:`database_url`.
    """
    kind, _, path = database_url(data_folder(environment), environment).partition(":///")
    return kind != "sqlite" or Path(path).exists()
