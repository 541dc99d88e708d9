"""Commands of ``menura``; each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from menura import __version__
from menura.cli.channel_app import channel
from menura.cli.options import (
    AsJson,
    Formant,
    Mix,
    Pitch,
    Provider,
    Quality,
    Threads,
    VoiceId,
    device_of,
    turned,
)
from menura.cli.tokens_app import tokens
from menura.cli.voices_app import models, voices

__all__ = ["app"]

app = typer.Typer(
    help="Change voices while people speak.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # that is imported for longer than all else here together
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"menura {__version__}")
        raise typer.Exit


def _show_voices(wanted: bool) -> None:
    if wanted:
        from menura.cli.voices import list_voices

        list_voices()
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Change voices while people speak."""


app.add_typer(voices, name="voices")
app.add_typer(models, name="models")


@app.command()
def convert(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Files, or folders of files.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="A file; a folder for several inputs.")],
    voice: VoiceId,
    pitch: Pitch = 0.0,
    formant: Formant = 1.0,
    mix: Mix = 1.0,
    quality: Quality = "",
    provider: Provider = "",
    threads: Threads = "",
    form: Annotated[str, typer.Option("--format", metavar="EXT", help="Format for several files, as wav or mp3.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    list_voices: Annotated[
        bool, typer.Option("--list-voices", callback=_show_voices, is_eager=True, help="List the voices.")
    ] = False,
) -> None:
    """Convert files into another voice.

    Length, rate and channels stay.
    """
    from menura.cli.convert import convert_all

    found, parameters = turned(voice, pitch, formant, mix)
    convert_all(inputs, output, found, parameters, form=form, quiet=quiet)


@app.command()
def devices(as_json: AsJson = False) -> None:
    """List the microphones and loudspeakers."""
    from menura.cli.devices import show_devices

    show_devices(as_json=as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed and found here. What is missing has a line with what to do."""
    from menura.cli.doctor import examine

    examine(as_json=as_json)


Input = Annotated[
    str | None,
    typer.Option("--input", "-i", metavar="NAME", help="Microphone: its name, a part of it, or its index."),
]


@app.command()
def capture(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="File; its ending chooses the format.")],
    microphone: Input = None,
    rate: Annotated[int, typer.Option(metavar="HZ", min=8000, max=192_000)] = 48_000,
    channels: Annotated[int, typer.Option(metavar="N", min=1, max=2)] = 1,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.01, help="How long; until Ctrl-C without it.")
    ] = None,
    vad: Annotated[bool, typer.Option("--vad", help="Keep only speech.")] = False,
) -> None:
    """Record a microphone to a file."""
    from menura.cli.capture import capture_to_file

    capture_to_file(output, device_of(microphone), rate=rate, channels=channels, seconds=seconds, vad=vad)


@app.command()
def live(
    voice: VoiceId,
    microphone: Input = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="NAME", help="Where the voice goes.")] = None,
    monitor: Annotated[str | None, typer.Option(metavar="NAME", help="Where you hear it besides.")] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep both: the microphone left, the voice right.")
    ] = None,
    pitch: Pitch = 0.0,
    formant: Formant = 1.0,
    mix: Mix = 1.0,
    quality: Quality = "",
    provider: Provider = "",
    threads: Threads = "",
    one_clock: Annotated[
        bool | None,
        typer.Option(
            "--one-clock/--two-clocks", help="Microphone and output are one device, or not.", show_default="found out"
        ),
    ] = None,
) -> None:
    """Speak with another voice, now. In a terminal, keys choose other voices."""
    from menura.cli.live import speak
    from menura.live.speaking import Devices

    found, parameters = turned(voice, pitch, formant, mix)
    devices = Devices(device_of(microphone), device_of(output), device_of(monitor), one_clock)
    speak(found, parameters, devices, record)


app.add_typer(channel, name="channel")
app.add_typer(tokens, name="tokens")
virtual_mic = typer.Typer(help="A microphone that speaks with your voice (Linux).", no_args_is_help=True)
app.add_typer(virtual_mic, name="virtual-mic")
MicrophoneName = Annotated[str, typer.Option("--name", metavar="NAME", help="Letters, digits, '_', '.' and '-'.")]


@virtual_mic.command("create")
def virtual_mic_create(name: MicrophoneName = "menura") -> None:
    """Make a virtual microphone, if it is not there."""
    from menura.cli.virtual_mic import create

    create(name)


@virtual_mic.command("remove")
def virtual_mic_remove(name: MicrophoneName = "menura") -> None:
    """Remove a virtual microphone, if it is there."""
    from menura.cli.virtual_mic import remove

    remove(name)


def _relay(name: str, metavar: str | None, text: str, shown: str | bool = False) -> Any:
    """An option of ``serve`` about the relay."""
    return typer.Option(name, metavar=metavar, help=text, show_default=shown)


def _access(name: str, metavar: str | None, text: str) -> Any:
    """An option of ``serve`` about who may use it."""
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


@app.command()
def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="critical, error, warning, info, debug or trace.")
    ] = "warning",
    log_format: Annotated[str, typer.Option(metavar="FORM", help="plain, or json: a line of JSON each.")] = "plain",
    microphone: Input = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="NAME", help="Where clients without audio are heard.")
    ] = None,
    token_file: Annotated[
        Path | None, _access("--token-file", "FILE", "The token clients need: a file with nothing else in it.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, _access("--allow-host", "NAME", "Another name of this server; as often as needed.")
    ] = None,
    require_token: Annotated[
        bool, _access("--require-token", None, "On loopback too; none is made where there are named ones.")
    ] = False,
    trust_proxy: Annotated[
        list[str] | None,
        _access("--trust-proxy", "ADDRESS", "A reverse proxy before this server, or its network; as often as needed."),
    ] = None,
    limit: Annotated[
        list[str] | None, _access("--limit", "NAME=VALUE", "Another limit, as sessions=500; as often as needed.")
    ] = None,
    relay_url: Annotated[
        str | None, _relay("--relay-url", "URL", "The provider: wss://host/v1.", shown="OpenAI")
    ] = None,
    relay_model: Annotated[str | None, _relay("--relay-model", "NAME", "The model it shall use.")] = None,
    relay_key_file: Annotated[
        Path | None, _relay("--relay-key-file", "FILE", "Its key: a file with nothing else in it.")
    ] = None,
    relay_voice_up: Annotated[
        str | None, _relay("--relay-voice-up", "ID", "In which it hears clients that name no voice.")
    ] = None,
    relay_voice_down: Annotated[
        str | None, _relay("--relay-voice-down", "ID", "In which they hear it, where they name none.")
    ] = None,
    relay_require_voice: Annotated[
        bool, _relay("--relay-require-voice", None, "It hears no client's own voice.")
    ] = False,
    relay_client_model: Annotated[
        bool, _relay("--relay-client-model", None, "Clients may choose the model: ?model=NAME.")
    ] = False,
    no_relay: Annotated[bool, _relay("--no-relay", None, "No relay, whatever the environment names.")] = False,
    quality: Quality = "",
    provider: Provider = "",
    threads: Threads = "",
) -> None:
    """Run the server with its page. Clients that send no audio use this machine's microphone and output.

    With an AI provider it has a relay: clients of the Realtime API take
    ws://HOST:PORT/v1 as their base URL, and speak and hear in other voices.
    The provider is --relay-url, its key in --relay-key-file or in
    MENURA_REALTIME_KEY; or it is OpenAI, with OPENAI_API_KEY.
    Whoever may use this server speaks on that account.

    On an address that other machines reach, clients need a token: that in
    --token-file or MENURA_TOKEN, or one that is made and printed; or a
    named one of menura tokens, which allows what its role does. Names of
    the server beside its address: --allow-host, or MENURA_ALLOWED_HOSTS.
    """
    from menura.cli.relay import RelayFlags
    from menura.cli.serve import AccessFlags, run_server
    from menura.live.speaking_stats import Devices

    flags = RelayFlags(
        relay_url,
        relay_model,
        relay_key_file,
        relay_voice_up,
        relay_voice_down,
        relay_require_voice,
        relay_client_model,
        no_relay,
    )
    access = AccessFlags(token_file, allow_host or (), require_token, trust_proxy or (), limit or ())
    run_server(host, port, log_level, Devices(device_of(microphone), device_of(output)), flags, access, log_format)
