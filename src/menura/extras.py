"""Optional packages, through one function."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from menura.errors import MissingExtraError

__all__ = ["find", "need"]


def need(package: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        package: Name to import.
        extra: The extra of menura that installs it.

    Raises:
        MissingExtraError: It is not installed; the text says how to install it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(f"this needs {package}: pip install 'menura[{extra}]'") from error


def find(package: str, extra: str) -> Path:
    """Directory of an optional package, without importing it: for what lies in it beside its modules.

    Raises:
        MissingExtraError: It is not installed; the text says how to install it.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(f"this needs {package}: pip install 'menura[{extra}]'")
    return Path(spec.submodule_search_locations[0])
