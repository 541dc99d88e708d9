"""Options that several commands have."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from menura.voices.voice import Voice, VoiceParameters

__all__ = [
    "AsJson",
    "Formant",
    "Mix",
    "Pitch",
    "Provider",
    "Quality",
    "Threads",
    "VoiceId",
    "device_of",
    "known_voices",
    "turned",
]


def known_voices(incomplete: str) -> list[tuple[str, str]]:
    """Ids that begin so, each with its name: what a shell offers."""
    from menura.errors import MenuraError
    from menura.store.lookup import all_voices

    with suppress(MenuraError):  # a shell that completes a line has no place for an error
        return [(voice.id, voice.name) for voice in all_voices() if voice.id.startswith(incomplete)]
    return []


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
VoiceId = Annotated[
    str,
    typer.Option(
        "--voice", "-v", metavar="ID", help="Which voice; menura voices shows them.", autocompletion=known_voices
    ),
]
Pitch = Annotated[float, typer.Option(metavar="ST", min=-24, max=24, help="Semitones on top of the voice.")]
Formant = Annotated[
    float, typer.Option(metavar="FACTOR", min=0.5, max=2, help="Factor on the formants: above 1, smaller.")
]
Mix = Annotated[float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of the changed voice.")]


def _machine(name: str, metavar: str, text: str) -> Any:
    """What stands on this machine for what a voice that is a model does not say itself."""
    variable = f"MENURA_{name.upper()}"

    def note(value: str) -> str:
        if value:
            from menura.errors import ConfigError
            from menura.voices.rvc_plan import check_options

            typed = os.environ.get(variable) != value
            os.environ[variable] = value
            try:
                check_options({})
            except ConfigError as error:
                raise ConfigError(str(error).replace(variable, f"--{name}") if typed else str(error)) from None
        return value

    return typer.Option(
        f"--{name}", metavar=metavar, envvar=variable, callback=note, show_default=False, help=f"Of RVC voices: {text}"
    )


Quality = Annotated[str, _machine("quality", "NAME", "best, balanced, fast or lightest, where they do not say it.")]
Provider = Annotated[str, _machine("provider", "NAME", "cpu, cuda, tensorrt, directml, coreml or openvino.")]
Threads = Annotated[str, _machine("threads", "N", "threads of a computation; 0 for as many as there are cores.")]


def device_of(wanted: str | None) -> str | int | None:
    """A name, or an index of ``menura devices``."""
    return int(wanted) if wanted is not None and wanted.isascii() and wanted.isdigit() else wanted


def turned(voice: str, pitch: float, formant: float, mix: float) -> "tuple[Voice, VoiceParameters]":
    """A voice, and its own parameters with the user's on top.

    Raises:
        VoiceNotFoundError: There is none.
        ConfigError: Both together are more than there can be.
    """
    from menura.store.lookup import look_up

    found, own = look_up(voice)
    changes = {"pitch_st": own.pitch_st + pitch, "formant": own.formant * formant, "mix": own.mix * mix}
    return found, own.changed(changes)
