import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from typer.main import get_command

from menura import builtin_voices, cli, read_audio, write_audio
from menura.audio.files import AudioReader
from menura.cli.app import app
from tests.commands import fails, menura, program

SPEECH = Path("tests/fixtures/speech").resolve()


def test_one_file_is_converted(tmp_path: Path) -> None:
    done = program("convert", SPEECH / "af_heart_u1.flac", "-o", tmp_path / "out.mp3", "--voice", "robot")
    assert done.returncode == 0, done.stderr
    with AudioReader(tmp_path / "out.mp3") as reader:
        assert reader.rate == 24000


def test_failure_of_the_program_is_one_clear_line_and_status_1() -> None:
    done = program("convert", SPEECH / "af_heart_u1.flac", "-o", "out.wav", "--voice", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "menura: Voice not found: nobody; menura voices lists them\n",
    )


def test_folder_keeps_its_shape(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    shutil.copy(SPEECH / "af_heart_u1.flac", tmp_path / "in/one.flac")
    shutil.copy(SPEECH / "af_heart_u2.flac", tmp_path / "in/deep/two.flac")
    (tmp_path / "in/notes.txt").write_text("no audio")
    out = tmp_path / "out"
    done = menura("convert", tmp_path / "in", "-o", out, "-v", "helium", "--format", "wav", "--pitch", 2)
    assert done.returncode == 0, done.stderr
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == ["deep/two.wav", "one.wav"]
    assert len(read_audio(out / "one.wav")[0]) == len(read_audio(tmp_path / "in/one.flac")[0])


def test_one_bad_file_among_several_is_told_and_the_rest_done(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    done = menura("convert", bad, SPEECH / "af_heart_u1.flac", "-o", tmp_path / "out", "-v", "robot")
    assert done.returncode == 1
    assert "bad.wav: cannot be read as audio" in done.stderr
    assert done.stderr.strip().endswith("1 of 2 files could not be converted")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["af_heart_u1.flac"]


@pytest.mark.parametrize(
    ("source", "target", "voice", "says"),
    [
        ("missing.wav", "out.wav", "robot", "menura: missing.wav: no such file"),
        (SPEECH / "manifest.json", "out.wav", "robot", "cannot be read as audio"),
        (SPEECH / "af_heart_u1.flac", "out.wav", "nobody", "menura: Voice not found: nobody"),
        (SPEECH / "af_heart_u1.flac", "out.xyz", "robot", "cannot write this format; choose one of"),
        (SPEECH / "af_heart_u1.flac", "/proc/none/out.wav", "robot", "/proc/none"),
        (SPEECH / "af_heart_u1.flac", "/dev/null/out.wav", "robot", "/dev/null"),
        (SPEECH / "af_heart_u1.flac", "out.wav", "a\nb", "menura: Voice not found: a?b;"),
        (SPEECH / "af_heart_u1.flac", f"{'x' * 300}.wav", "robot", "x.wav: File name too long"),
    ],
)
def test_failure_is_one_clear_line(tmp_path: Path, source: object, target: str, voice: str, says: str) -> None:
    path = target if target.startswith("/") else tmp_path / target
    assert says in fails("convert", source, "-o", path, "--voice", voice)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["../../etc", "a/b", "..", "w v"])
def test_a_format_that_is_none_is_refused(form: str, tmp_path: Path) -> None:
    said = fails("convert", SPEECH / "af_heart_u1.flac", "-o", tmp_path / "o.wav", "-v", "robot", "--format", form)
    assert "--format is an ending" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a device that is always full")
@pytest.mark.parametrize("arguments", [["voices"], ["devices", "--json"]])
def test_output_that_cannot_be_written_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "menura", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "menura: No space left on device\n")


@pytest.mark.parametrize(
    "language", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_what_a_terminal_cannot_show_is_a_question_mark(language: dict[str, str]) -> None:
    environment = {**os.environ, **language}
    command = [sys.executable, "-m", "menura", "voices", "--search", "trailer"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "In a world ? the deepest voice" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
def test_closed_outputs_do_no_harm(tmp_path: Path) -> None:
    line = '"$0" -m menura convert "$1" -o "$2" --voice robot >&- 2>&-'
    done = subprocess.run(["sh", "-c", line, sys.executable, SPEECH / "af_heart_u1.flac", tmp_path / "out.wav"])
    assert done.returncode == 0
    assert (tmp_path / "out.wav").exists()


def test_ctrl_c_while_it_starts_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: type[Exception]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    done = menura("voices")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("option", ["threads", "provider", "quality"])
def test_what_a_machine_cannot_be_told_is_called_as_it_was_given(option: str) -> None:
    variable = f"MENURA_{option.upper()}"
    given = ("convert", "in.wav", "-o", "out.wav", "-v", "robot")
    with mock.patch.dict(os.environ):
        os.environ.pop(variable, None)
        assert fails(*given, f"--{option}", "many").startswith(f"menura: --{option}: ")
        run = partial(menura, environment={variable: "many"})
        assert fails(*given, run=run).startswith(f"menura: {variable}: ")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_conversion_that_is_ended_leaves_no_half_a_file(number: signal.Signals, tmp_path: Path) -> None:
    speech, rate = read_audio(SPEECH / "af_heart_u1.flac")
    write_audio(tmp_path / "long.wav", np.tile(speech, (400, 1)), rate)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "menura", "convert", tmp_path / "long.wav", "-o", out / "o.wav", "-v", "robot"]
    # who is started by nohup, or in the background of a script, ignores such signals and hands that on
    heed = partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as running:
        while not any(path.stat().st_size > 10_000 for path in out.iterdir()):
            assert running.poll() is None
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130 if number == signal.SIGINT else -number, "")
    assert list(out.iterdir()) == []


def test_option_out_of_range_is_refused(tmp_path: Path) -> None:
    done = menura("convert", SPEECH / "af_heart_u1.flac", "-o", tmp_path / "o.wav", "-v", "robot", "--pitch", 99)
    assert done.returncode == 2
    assert "--pitch" in done.stderr


@pytest.mark.parametrize("arguments", [("voices",), ("voices", "list"), ("convert", "--list-voices")])
def test_voices_are_listed(arguments: tuple[str, ...]) -> None:
    done = menura(*arguments)
    assert done.returncode == 0
    for voice in builtin_voices():
        assert voice.id in done.stdout


def test_a_line_that_is_not_for_a_terminal_is_one_record_and_never_cut() -> None:
    head, *rows = menura("voices").stdout.splitlines()
    assert head.split() == ["id", "name", "category", "description"]
    assert [row.split()[0] for row in rows] == [voice.id for voice in builtin_voices()]
    for row, voice in zip(rows, builtin_voices(), strict=True):
        assert row.endswith(voice.description)
    assert menura("voices", "--search", "nobody").stdout == "There is no such voice; menura voices lists all.\n"


@pytest.mark.parametrize("list_", [("voices",), ("voices", "list"), ("models",), ("models", "list"), ("tokens",)])
def test_what_is_listed_is_there_for_programs_too(list_: tuple[str, ...]) -> None:
    records = json.loads(menura(*list_, "--json").stdout)
    if list_[0] == "voices":
        assert set(records[0]) == {"id", "name", "category", "description"}
    elif list_[0] == "models":
        assert set(records[0]) == {"name", "file", "bytes", "here", "what"}


def test_a_shell_completes_voices_and_commands() -> None:
    asked = {"_MENURA_COMPLETE": "complete_bash", "COMP_WORDS": "menura live --voice nat", "COMP_CWORD": "3"}
    assert menura(environment=asked).stdout.split() == ["natural-man", "natural-woman"]
    asked |= {"COMP_WORDS": "menura vir", "COMP_CWORD": "1"}
    assert menura(environment=asked).stdout.split() == ["virtual-mic"]


def test_every_command_is_described_whole() -> None:
    """What a list of commands says of each is not cut short."""

    def described(command: Any, path: str) -> Iterator[tuple[str, str]]:
        for name, child in getattr(command, "commands", {}).items():
            yield f"{path} {name}", child.get_short_help_str(limit=80 - 6 - max(map(len, command.commands)) - 2)
            yield from described(child, f"{path} {name}")

    cut = {name: text for name, text in described(get_command(app), "menura") if not text or text.endswith("...")}
    assert cut == {}


def test_port_in_use_is_one_clear_line() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "choose another with --port" in fails("serve", "--port", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "nowhere.invalid"), "choose another with --host"),
        (("--log-level", "loud"), "--log-level is one of critical, error, warning, info, debug"),
    ],
)
def test_what_a_server_cannot_be_is_one_clear_line(arguments: tuple[str, str], says: str) -> None:
    assert says in fails("serve", "--port", 0, *arguments)


def test_import_is_light() -> None:
    code = "import sys, menura; print([m for m in ('pydantic', 'fastapi', 'av', 'soundfile') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (("--help",), ("rich", "pydantic", "numpy", "sqlalchemy")),
        (("voices",), ("numpy", "sqlalchemy", "fastapi")),
        (("convert", "nothing.wav", "-o", "out.wav", "-v", "robot"), ("sqlalchemy", "fastapi", "onnxruntime")),
    ],
)
def test_commands_import_what_they_need(arguments: tuple[str, ...], heavy: tuple[str, ...], tmp_path: Path) -> None:
    code = f"""
import atexit, sys
sys.argv[0] = "menura"
atexit.register(lambda: print("loaded", [name for name in {heavy!r} if name in sys.modules]))
from menura.cli import main
main()
"""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "MENURA_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.endswith("loaded []\n"), done.stdout + done.stderr
