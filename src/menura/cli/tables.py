"""Lists: aligned columns for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Columns", "show_records", "show_table"]

Columns = Mapping[str, Callable[[Mapping[str, Any]], str]]
"""What people see of a record, by the head of the column."""

UNBOUNDED = 10_000
"""Columns of a file or a pipe: there a line is one record, however long."""


def show_records(
    records: Sequence[Mapping[str, Any]],
    columns: Columns,
    *,
    none: str,
    right: Collection[str] = (),
    as_json: bool = False,
) -> None:
    """Print a list.

    Args:
        records: What JSON shows of each.
        columns: What people see of each; the first is never cut.
        none: What people are told instead of an empty table.
        right: Columns of figures.
        as_json: Print the records themselves.
    """
    if as_json:
        print(json.dumps(records, indent=2, default=datetime.isoformat))
    elif not records:
        print(none)
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for head in columns:
            table.add_column(head, justify="right" if head in right else "left", no_wrap=not table.columns)
        for record in records:
            table.add_row(*(cell(record) for cell in columns.values()))
        show_table(table)


def show_table(table: Table) -> None:
    """Print it as it is: names come from elsewhere, and are no markup."""
    if sys.stdout.isatty():
        Console(markup=False, emoji=False, highlight=False).print(table)
        return
    console = Console(markup=False, emoji=False, highlight=False, width=UNBOUNDED)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        print(line.rstrip())
