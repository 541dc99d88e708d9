"""Commands of ``menura`` as they are used, within this process: a process of one's own takes most of a second to start.

What a process is the point of (signals, devices, what is imported, how it ends) starts one itself.
"""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from menura.cli import main


def menura(*arguments: object, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end: what it would have printed, and its exit status."""
    words = ["menura", *map(str, arguments)]
    out, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", words),
        mock.patch.dict(os.environ, environment or {}),
        redirect_stdout(out),
        redirect_stderr(errors),
    ):
        status = _status()
    return subprocess.CompletedProcess(words, status, out.getvalue(), errors.getvalue())


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "menura", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def fails(*arguments: object, run: Callable[..., subprocess.CompletedProcess[str]] = menura) -> str:
    """Run what must fail; gives the one line it says."""
    done = run(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def _status() -> int:
    """As the interpreter ends a program."""
    try:
        main()
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        sys.stderr.write(f"{left.code}\n")
        return 1
    return 0
