"""``menura tokens`` on the command line."""

from typing import Annotated

import typer

from menura.cli.options import AsJson

__all__ = ["tokens"]

tokens = typer.Typer(invoke_without_command=True)


@tokens.callback()
def tokens_alone(context: typer.Context, as_json: AsJson = False) -> None:
    """Named tokens: who may use a server, and for what."""
    if context.invoked_subcommand is None:
        list_all(as_json)


@tokens.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of whom or what it is for.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="listen, use or manage.")],
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="After which it is not valid: 12h, 30d, 8w.")
    ] = None,
) -> None:
    """Make a token and print it, once: menura keeps only its hash.

    listen sees what there is and hears previews; use speaks, records and
    converts besides; manage changes the library, settings and tokens too.
    """
    from menura.cli.tokens import add_token

    add_token(name, role, expires)


@tokens.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List them: so does menura tokens alone."""
    from menura.cli.tokens import list_tokens

    list_tokens(as_json=as_json)


@tokens.command("remove")
def remove(token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, or its name.")]) -> None:
    """Remove a token. Running servers take it no more within seconds, and end what it has open."""
    from menura.cli.tokens import remove_token

    remove_token(token)
