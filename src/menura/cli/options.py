"""Options that several commands have."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from menura.voices.voice import Voice, VoiceParameters

__all__ = ["Formant", "Mix", "Pitch", "Provider", "Quality", "Threads", "device_of", "turned"]

Pitch = Annotated[float, typer.Option(min=-24, max=24, help="Semitones on top of the voice.")]
Formant = Annotated[float, typer.Option(min=0.5, max=2, help="Factor on the formants: above 1, smaller.")]
Mix = Annotated[float, typer.Option(min=0, max=1, help="Share of the changed voice.")]


def _machine(name: str, metavar: str, text: str) -> Any:
    """What stands on this machine for what a voice that is a model does not say itself."""
    variable = f"MENURA_{name.upper()}"

    def note(value: str) -> str:
        if value:
            from menura.voices.rvc_plan import check_options

            os.environ[variable] = value
            check_options({})
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
