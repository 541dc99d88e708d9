"""Optional packages, through one function."""

from importlib import import_module
from types import ModuleType

from menura.errors import MissingExtraError

__all__ = ["need"]


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
