"""Making and removing virtual microphones on Linux, through ``pactl``."""

from menura.devices.virtual import STEADY, VirtualMicrophone, loaded_modules
from menura.errors import DeviceError
from menura.live.sound_server import pactl

__all__ = ["create_virtual_microphone", "remove_virtual_microphone"]


def create_virtual_microphone(name: str = "menura") -> tuple[VirtualMicrophone, bool]:
    """Make a virtual microphone, or complete the one that is there.

    Returns:
        Its names, and whether anything had to be made.

    Raises:
        ConfigError: The name cannot be one.
        DeviceError: This is not Linux, ``pactl`` is missing, or the sound server does not answer or refuses.
    """
    wanted = VirtualMicrophone(name)
    have = _loaded()
    made: list[str] = []
    try:
        for module, key, arguments in wanted.modules:
            if not _indexes(have, module, key):
                made.append(_load(module, arguments))
    except DeviceError:
        for index in reversed(made):
            pactl("unload-module", index)
        raise
    return wanted, bool(made)


def remove_virtual_microphone(name: str = "menura") -> bool:
    """Remove a virtual microphone; programs that record from it are moved to another, or end.

    Returns:
        Whether there was one.

    Raises:
        ConfigError: The name cannot be one.
        DeviceError: This is not Linux, ``pactl`` is missing, or the sound server does not answer.
    """
    wanted = VirtualMicrophone(name)
    have = _loaded()
    indexes = [index for module, key, _ in reversed(wanted.modules) for index in _indexes(have, module, key)]
    for index in indexes:
        pactl("unload-module", index)
    return bool(indexes)


def _load(module: str, arguments: tuple[str, ...]) -> str:
    """Load a module; returns its index."""
    try:
        return pactl("load-module", module, *arguments).strip()
    except DeviceError:
        if STEADY not in arguments:
            raise
        return pactl("load-module", module, *(argument for argument in arguments if argument != STEADY)).strip()


def _loaded() -> list[tuple[str, str, str]]:
    return loaded_modules(pactl("list", "short", "modules"))


def _indexes(have: list[tuple[str, str, str]], module: str, key: str) -> list[str]:
    return [index for index, name, arguments in have if name == module and key in arguments.split()]
