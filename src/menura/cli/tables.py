"""Tables on a terminal."""

from rich.console import Console
from rich.table import Table

__all__ = ["show_table"]


def show_table(table: Table) -> None:
    """Print it as it is: names come from elsewhere, and are no markup."""
    Console(markup=False, emoji=False, highlight=False).print(table)
