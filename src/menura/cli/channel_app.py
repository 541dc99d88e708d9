"""The commands of ``menura channel``; each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from menura.cli.options import Formant, Mix, Pitch, VoiceId, device_of, known_voices, turned

__all__ = ["channel"]

channel = typer.Typer(help="Audio to and from channels across machines (NATS).", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name.", show_default=False)]
Url = Annotated[str, typer.Option(envvar="MENURA_CHANNELS_URL", metavar="URL", help="Where the broker is.")]
Device = Annotated[str | None, typer.Option("--device", "-d", metavar="NAME", help="Its name, a part of it, or index.")]
BROKER = "nats://127.0.0.1:4222"


@channel.command("record")
def record(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its ending chooses the format.")],
    url: Url = BROKER,
) -> None:
    """Write a channel to a file. It ends when the channel is closed, or by Ctrl-C; what is missing is silence."""
    from menura.cli.channel import record_channel

    record_channel(url, name, file)


@channel.command("play")
def play(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Any file with audio.")],
    name: Name,
    url: Url = BROKER,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again.")] = False,
    pace: Annotated[
        float, typer.Option(metavar="SPEED", min=0, help="1 is real time, 0 as fast as it is taken.")
    ] = 1.0,
) -> None:
    """Read a file into a channel, and close it at the end."""
    from menura.cli.channel import play_to_channel

    play_to_channel(url, file, name, loop=loop, pace=pace or None)


@channel.command("speak")
def speak(
    name: Name,
    url: Url = BROKER,
    device: Device = None,
    rate: Annotated[int, typer.Option(metavar="HZ", min=8000, max=192_000)] = 48_000,
) -> None:
    """Say into a channel what a microphone hears."""
    from menura.cli.channel import speak_to_channel

    speak_to_channel(url, name, device_of(device), rate=rate)


@channel.command("listen")
def listen(name: Name, url: Url = BROKER, device: Device = None) -> None:
    """Hear a channel on a loudspeaker. It ends when the channel is closed, or by Ctrl-C."""
    from menura.cli.channel import listen

    listen(url, name, device_of(device))


@channel.command("convert")
def convert(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Channel of the audio.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Channel of the changed voice.")],
    voice: VoiceId,
    url: Url = BROKER,
    pitch: Pitch = 0.0,
    formant: Formant = 1.0,
    mix: Mix = 1.0,
    orders: Annotated[
        str | None, typer.Option("--orders", metavar="CHANNEL", help="Where it listens to menura channel switch.")
    ] = None,
) -> None:
    """Change the voice of a channel into another. It ends when the first is closed, or by Ctrl-C."""
    from menura.cli.channel import change_voice

    found, parameters = turned(voice, pitch, formant, mix)
    change_voice(url, source, target, found, parameters, orders)


@channel.command("switch")
def switch(
    orders: Annotated[str, typer.Argument(metavar="CHANNEL", help="The --orders of a menura channel convert.")],
    url: Url = BROKER,
    voice: Annotated[
        str | None, typer.Option("--voice", "-v", metavar="ID", help="Another voice.", autocompletion=known_voices)
    ] = None,
    pitch: Annotated[
        float | None, typer.Option(metavar="ST", min=-24, max=24, help="Semitones on top of the voice.")
    ] = None,
    formant: Annotated[
        float | None, typer.Option(metavar="FACTOR", min=0.5, max=2, help="Factor on the formants.")
    ] = None,
    mix: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=1, help="Share of the changed voice.")
    ] = None,
) -> None:
    """Give a running convert another voice. Or other settings; it says so, or why not."""
    from menura.cli.channel import ask_for

    settings = {"pitch_st": pitch, "formant": formant, "mix": mix}
    ask_for(url, orders, voice, {name: value for name, value in settings.items() if value is not None})
