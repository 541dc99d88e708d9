"""``menura voices`` and ``menura models`` as they are used."""

import json
import os
import resource
import shutil

import numpy as np
import pytest

from menura import read_audio, write_audio
from menura.errors import FileError
from menura.store.library import VoiceLibrary
from menura.store.models import import_model
from tests import commands
from tests.neural.rvc import FIXTURES
from tests.store.test_base_models import Mirror
from tests.utterances import speech


@pytest.fixture
def menura(tmp_path):
    def run(*arguments, **environment):
        home = {"MENURA_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
        return commands.menura(*arguments, environment=home | environment)

    return run


def test_listing_makes_nothing(menura, tmp_path):
    assert "natural-woman" in menura("voices").stdout
    assert not (tmp_path / "home").exists()
    assert "robot" in menura("voices", "--search", "throat").stdout


def test_a_category_that_is_none_is_told(menura):
    assert "category must be one of realistic" in menura("voices", "--category", "silly").stderr


@pytest.mark.parametrize("there", [False, True])
def test_a_voice_is_found_by_its_name_and_one_that_is_nearly_named_so_is_offered(menura, tmp_path, there):
    if there:
        VoiceLibrary(tmp_path / "home").close()
    write_audio(tmp_path / "in.wav", np.zeros((4800, 1), np.float32), 48_000)
    done = menura("convert", tmp_path / "in.wav", "-o", tmp_path / "out.wav", "-v", "Natural WOMAN")
    assert done.returncode == 0, done.stderr
    done = menura("convert", tmp_path / "in.wav", "-o", tmp_path / "out.wav", "-v", "robbot")
    assert done.stderr == "menura: Voice not found: robbot; did you mean robot?\n"


def test_a_database_elsewhere_is_a_library_too(menura, tmp_path):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    with VoiceLibrary(tmp_path / "home", url) as library:
        made = library.duplicate("robot", "Mine")
    assert made.id in menura("voices", MENURA_DATABASE=url).stdout


def test_a_model_becomes_a_voice(menura, tmp_path):
    home = tmp_path / "home"
    done = menura("voices", "import", FIXTURES / "v2_48k_f0.pth", "--name", "My Singer", "--pitch", "tracker")
    assert done.returncode == 0, done.stderr
    voice_id = done.stdout.split()[0]
    assert "menura models pull content" in done.stdout
    assert "rmvpe" not in done.stdout.splitlines()[1]
    listed = menura("voices", "--category", "custom").stdout
    assert voice_id in listed
    assert "My Singer" in listed
    x = speech(48_000, "am_michael")[:48_000]
    write_audio(tmp_path / "in.wav", x, 48_000)
    convert = ("convert", tmp_path / "in.wav", "-o", tmp_path / "out.wav", "-v", "my singer", "-q")
    done = menura(*convert)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "menura models pull content" in done.stderr
    (home / "models").mkdir()
    shutil.copy(FIXTURES / "hubert_tiny768" / "model.safetensors", home / "models" / "hubert_base.pt")
    shutil.copy(FIXTURES / "hubert_tiny768" / "config.json", home / "models" / "config.json")
    done = menura(*convert)
    assert done.returncode == 0, done.stderr
    y, rate = read_audio(tmp_path / "out.wav")
    assert (len(y), rate) == (len(x), 48_000)
    assert np.sqrt(np.mean(y**2)) > 1e-3
    assert menura("voices", "rename", voice_id, "Other").stdout.split() == [voice_id, "Other"]
    assert menura("voices", "export", "other", tmp_path / "v.menura").returncode == 0
    assert menura("voices", "delete", voice_id).returncode == 0
    assert not list((home / "files").glob("*/*/*"))
    done = menura("voices", "import", tmp_path / "v.menura")
    assert done.stdout.split()[1] == "Other"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("voices", "import", "/nowhere.pth"), "nowhere"),
        (("voices", "import", FIXTURES / "rmvpe_tiny.pt"), "RMVPE"),
        (("voices", "import", FIXTURES / "README.md"), "README.md"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--index", FIXTURES / "rmvpe_tiny.pt"), "rmvpe_tiny.pt"),
        (
            (
                "voices", "import", FIXTURES / "v1_40k_f0.pth",
                "--index", FIXTURES / "added_IVF8_Flat_nprobe_1_rand_v2.index",
            ),
            "another voice",
        ),
        (("voices", "delete", "robot"), "came with menura"),
        (("voices", "delete", "nobody"), "Voice not found: nobody"),
        (("voices", "export", "robot", "/tmp/robot.zip"), ".menura"),
        (("voices", "inspect", FIXTURES / "README.md"), "README.md"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--quality", "good"), "best, balanced, fast, lightest"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--pitch", "harvest"), "'tracker' needs no model"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--set", "wet=1"), "there are key_st"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--set", "context_ms=ten"), "context_ms must be a number"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--set", "content=@content"), "@content"),
        (("voices", "import", FIXTURES / "v2_48k_f0.pth", "--pitch-model", FIXTURES / "fcpe_tiny.pt"), "'fcpe'"),
        (
            (
                "voices", "import", FIXTURES / "v2_48k_f0.pth", "--pitch", "fcpe",
                "--pitch-model", FIXTURES / "v1_40k_f0.pth",
            ),
            "not a pitch model",
        ),
        (("models", "add", FIXTURES / "fcpe_tiny.pt"), "fcpe_c_v001.pt (fcpe)"),
        (("convert", "x.wav", "-o", "y.wav", "-v", "robot", "--quality", "good"), "best, balanced, fast, lightest"),
        (("convert", "x.wav", "-o", "y.wav", "-v", "robot", "--threads", "many"), "threads must be a whole number"),
        (("serve", "--provider", "gpu"), "cpu, cuda"),
        (("models", "pull", "everything"), "content, rmvpe, fcpe"),
        (("models", "pull", "rmvpe", "-q", "--mirror", "http://127.0.0.1:1"), "cannot fetch"),
        (("convert", "x.wav", "-o", "y.wav", "-v", "nobody"), "Voice not found: nobody"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(menura, tmp_path, arguments, says):
    done = menura(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("menura: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert not list((tmp_path / "home").glob("files/*/*/*"))


def test_names_are_shown_as_they_are(menura, tmp_path):
    for name in ("x[red]y", "a[/]b", ":smile:"):
        assert menura("voices", "rename", "robot", name).returncode == 0
        assert name in menura("voices", "--category", "custom").stdout


def test_files_are_known_by_their_ending_in_any_letters(menura, tmp_path):
    assert menura("voices", "export", "robot", tmp_path / "r.menura").returncode == 0
    (tmp_path / "r.menura").rename(tmp_path / "R.MENURA")
    assert "Robot" in menura("voices", "import", tmp_path / "R.MENURA").stdout


def test_a_full_disk_and_a_pipe_are_told(tmp_path):
    """A limit on the size of files stands for a disk that is full."""
    with VoiceLibrary(tmp_path / "home") as library:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(FileError, match="cannot write to"):
                import_model(library, FIXTURES / "v2_48k_f0.pth")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        os.mkfifo(tmp_path / "pipe.pth")
        with pytest.raises(FileError, match="not a file"):
            import_model(library, tmp_path / "pipe.pth")
        assert list((tmp_path / "home" / "incoming").iterdir()) == []


def test_a_file_is_told_about(menura):
    out = menura("voices", "inspect", FIXTURES / "v2_48k_f0.pth").stdout
    assert "RVC voice" in out
    assert "48000" in out
    assert out.count("random weights, parity fixture") == 1
    assert "index" in menura("voices", "inspect", FIXTURES / "added_IVF8_Flat_nprobe_1_rand_v2.index").stdout
    facts = json.loads(menura("voices", "inspect", FIXTURES / "v2_48k_f0.pth", "--json").stdout)
    assert (facts["kind"], facts["config"]["rate"]) == ("an RVC voice", 48_000)


def test_a_second_voice_of_a_name_is_told(menura):
    imported = ("voices", "import", FIXTURES / "v2_48k_f0.pth", "--name", "Singer", "--pitch", "tracker")
    assert "of this name" not in menura(*imported).stdout
    assert "there are 2 voices of this name now: call them by their ids" in menura(*imported).stdout


def test_models_are_listed_and_a_false_one_is_not_kept(menura, tmp_path):
    out = menura("models", "list").stdout
    assert "hubert_base.pt" in out
    assert " no " in out
    mirror = Mirror()
    mirror.length = 181_184_272
    try:
        done = menura("models", "pull", "rmvpe", "-q", MENURA_MODELS_URL=mirror.url)
        assert done.returncode == 1
        assert "rmvpe.pt: cut off after 1500000 of 181184272 bytes" in done.stderr
        assert "partly" in menura("models", "list").stdout
    finally:
        mirror.shutdown()
        mirror.server_close()


def test_a_voice_has_the_content_model_it_was_imported_with(menura, tmp_path):
    model, pitch = FIXTURES / "v2_48k_f0.pth", ("--pitch-model", FIXTURES / "rmvpe_tiny.pt")
    done = menura("voices", "import", model, *pitch, "--content", FIXTURES / "hubert_tiny768")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    with VoiceLibrary(tmp_path / "home") as library:
        stored = library.get(done.stdout.split()[0])
    assert stored.data.stages[0].params["content"] == "@content"
    assert stored.files["content"].details == {"kind": "hubert"}
    speech = FIXTURES.parent / "speech" / "af_heart_u1.flac"
    done = menura("convert", speech, "-o", tmp_path / "o.wav", "--voice", stored.id)
    assert done.returncode == 0, done.stderr
    done = menura("voices", "import", model, "--content", FIXTURES / "rmvpe_tiny.pt")
    assert "a HuBERT or ContentVec content model is needed here" in done.stderr
    done = menura("voices", "import", model, "--content", FIXTURES / "hubert_tiny")
    assert "4 attention heads, which its weights alone do not tell" in done.stderr


def test_a_voice_has_the_options_and_the_pitch_model_it_was_imported_with(menura, tmp_path):
    done = menura(
        "voices", "import", FIXTURES / "v2_48k_f0.pth", "--quality", "lightest", "--pitch", "fcpe",
        "--pitch-model", FIXTURES / "fcpe_tiny.pt", "--set", "adapt=off", "--set", "context_ms=600",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "before it can speak: menura models pull content"
    with VoiceLibrary(tmp_path / "home") as library:
        stored = library.get(done.stdout.split()[0])
    (stage,) = stored.data.stages
    assert stage.params == {
        "model": "@model", "key_st": 0.0, "pitch": "fcpe", "pitch_model": "@pitch_model", "quality": "lightest",
        "adapt": False, "context_ms": 600.0,
    }  # fmt: skip
    assert stored.files["pitch_model"].details == {"kind": "fcpe"}
    assert menura("voices", "export", stored.id, tmp_path / "v.menura").returncode == 0
    assert menura("voices", "import", tmp_path / "v.menura").returncode == 0
    done = menura("voices", "import", FIXTURES / "v2_48k_f0.pth", "--pitch", "fcpe")
    assert done.stdout.splitlines()[1] == "before it can speak: menura models pull content fcpe"
