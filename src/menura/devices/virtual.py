"""A microphone that is no hardware: what is played into one end, programs record from the other. Linux, by PulseAudio.

Here are the modules that make one and how to read what the sound server lists; :mod:`menura.live.virtual_mic` asks it.
PipeWire answers to the same commands.
"""

import re
from dataclasses import dataclass

from menura.errors import ConfigError

__all__ = ["STEADY", "VirtualMicrophone", "loaded_modules"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
RATE = 48_000
STEADY = "norewinds=1"
"""A sink that may take rendered audio back works in blocks of up to two seconds, and its microphone has gaps. Old
servers do not know the argument, and must be asked without it."""


@dataclass(frozen=True, slots=True)
class VirtualMicrophone:
    """Names of a virtual microphone's parts.

    Attributes:
        name: Letters, digits, ``_``, ``.`` and ``-``.

    Raises:
        ConfigError: The name has other characters.

    >>> VirtualMicrophone("menura").sink
    'menura_voice'
    """

    name: str = "menura"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(
                f"a virtual microphone's name is 1 to 40 letters, digits, '_', '.' or '-', not {self.name!r}"
            )

    @property
    def sink(self) -> str:
        """What menura plays into."""
        return f"{self.name}_voice"

    @property
    def source(self) -> str:
        """What other programs record from."""
        return f"{self.name}_mic"

    @property
    def title(self) -> str:
        """What other programs show."""
        return f"{self.name} microphone"

    @property
    def modules(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """What to load, in order: the module, the argument by which it is known again, all arguments."""
        sink, source = f"sink_name={self.sink}", f"source_name={self.source}"
        # the server's parser takes single quotes within its double ones
        shown = f"sink_properties=device.description='{self.name}_voice'"
        title = f"source_properties=device.description='{self.title.replace(' ', '_')}'"
        return (
            ("module-null-sink", sink, (sink, f"rate={RATE}", "channels=2", shown, STEADY)),
            ("module-remap-source", source, (source, f"master={self.sink}.monitor", title)),
        )


def loaded_modules(listing: str) -> list[tuple[str, str, str]]:
    """Index, name and arguments of each module, from ``pactl list short modules``.

    >>> loaded_modules("7\\tmodule-null-sink\\tsink_name=a rate=48000\\t\\n9\\tmodule-suspend-on-idle\\t\\t\\n")
    [('7', 'module-null-sink', 'sink_name=a rate=48000'), ('9', 'module-suspend-on-idle', '')]
    """
    rows = [line.split("\t") for line in listing.splitlines() if line.strip()]
    return [(row[0], row[1], row[2] if len(row) > 2 else "") for row in rows if len(row) > 1]
