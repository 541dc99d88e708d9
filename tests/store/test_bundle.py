"""Voices as files: there and back, and what is not taken."""

import io
import json
import zipfile
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menura.errors import MenuraError, UnsafeModelError, UnsupportedModelError, VoiceNotFoundError
from menura.store.bundle import export_voice, import_voice
from menura.store.library import NewFile, VoiceLibrary
from menura.store.voice_data import VoiceData

VOICE = {"name": "Deep", "stages": [{"kind": "shift", "params": {"pitch_st": -5.0}}], "parameters": {"mix": 0.5}}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with VoiceLibrary(tmp_path_factory.mktemp("library"), "sqlite://") as opened:
        yield opened


@pytest.fixture(scope="module")
def stored(library):
    with library.incoming() as incoming:
        incoming.write(b"RIFF preview" * 100)
        return library.create(VoiceData.parse(VOICE), {"preview": NewFile(incoming, "p.wav")})


@pytest.fixture(scope="module")
def bundle(library, stored):
    target = io.BytesIO()
    export_voice(library, stored.id, target)
    return target.getvalue()


def left(library):
    return len(library.voices()), sorted(library.files.hashes()), list((library.files.folder / "incoming").iterdir())


def packed(description, files=(), **options):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", **options) as archive:
        if description is not None:
            text = description if isinstance(description, str) else json.dumps(description)
            archive.writestr("voice.json", text)
        for name, data in files:
            archive.writestr(name, data)
    return io.BytesIO(target.getvalue())


def file_of(data, role="preview", **changes):
    return {"role": role, "name": "x", "sha256": sha256(data).hexdigest(), "size": len(data)} | changes


def test_there_and_back_it_is_the_same_voice(library, stored, bundle):
    back = import_voice(library, io.BytesIO(bundle))
    assert back.id != stored.id
    assert back.data == stored.data
    assert back.files["preview"].path.read_bytes() == b"RIFF preview" * 100
    library.delete(back.id)


def test_a_built_in_voice_comes_back_as_ones_own(library):
    target = io.BytesIO()
    export_voice(library, "robot", target)
    target.seek(0)
    back = import_voice(library, target)
    assert (back.data.name, str(back.data.category), back.builtin) == ("Robot", "custom", False)
    assert back.data.stages == library.get("robot").data.stages
    library.delete(back.id)


def test_what_is_not_there_cannot_be_exported(library):
    with pytest.raises(VoiceNotFoundError):
        export_voice(library, "nobody", io.BytesIO())


DATA = b"abc"
GOOD = {"menura": 1, "voice": VOICE}
HOSTILE = {
    "nothing": (packed(None), UnsupportedModelError),
    "a newer one": (packed(GOOD | {"menura": 2}), UnsupportedModelError),
    "no JSON": (packed("{"), MenuraError),
    "deep JSON": (packed("[" * 100_000), MenuraError),
    "long JSON": (packed('"' + "x" * 2_000_000 + '"', compression=zipfile.ZIP_DEFLATED), MenuraError),
    "a list": (packed([1]), MenuraError),
    "more fields": (packed(GOOD | {"run": "rm"}), MenuraError),
    "an unknown stage": (packed({"menura": 1, "voice": VOICE | {"stages": [{"kind": "os.system"}]}}), MenuraError),
    "another file": (packed(GOOD, [("files/x", b"x")]), UnsafeModelError),
    "a way out": (packed(GOOD, [("../../evil", b"x")]), UnsafeModelError),
    "no file": (packed(GOOD | {"files": [file_of(DATA)]}), UnsafeModelError),
    "a false hash": (
        packed(GOOD | {"files": [file_of(DATA)]}, [(f"files/{sha256(DATA).hexdigest()}", b"abd")]),
        MenuraError,
    ),
    "a false size": (
        packed(GOOD | {"files": [file_of(DATA, size=2)]}, [(f"files/{sha256(DATA).hexdigest()}", DATA)]),
        MenuraError,
    ),
    "a bomb": (
        packed(
            GOOD | {"files": [file_of(DATA, size=10)]},
            [(f"files/{sha256(DATA).hexdigest()}", bytes(50_000_000))],
            compression=zipfile.ZIP_DEFLATED,
        ),
        MenuraError,
    ),
    "two of one role": (
        packed(GOOD | {"files": [file_of(DATA), file_of(DATA)]}, [(f"files/{sha256(DATA).hexdigest()}", DATA)]),
        UnsafeModelError,
    ),
    "a role of nothing": (
        packed(GOOD | {"files": [file_of(DATA, role="other")]}, [(f"files/{sha256(DATA).hexdigest()}", DATA)]),
        MenuraError,
    ),
    "a model that is a preview": (
        packed(
            {
                "menura": 1,
                "voice": VOICE | {"stages": [{"kind": "rvc", "params": {"model": "@preview"}}]},
                "files": [file_of(DATA)],
            },
            [(f"files/{sha256(DATA).hexdigest()}", DATA)],
        ),
        MenuraError,
    ),
    "no model at all": (
        packed({"menura": 1, "voice": VOICE | {"stages": [{"kind": "rvc", "params": {"model": None}}]}}),
        MenuraError,
    ),
    "a model from elsewhere": (
        packed({"menura": 1, "voice": VOICE | {"stages": [{"kind": "rvc", "params": {"model": "/etc/passwd"}}]}}),
        MenuraError,
    ),
    "a role with a path": (packed(GOOD | {"files": [file_of(DATA, role="../x")]}), MenuraError),
    "another compression": (packed(GOOD, compression=zipfile.ZIP_LZMA), UnsupportedModelError),
    "no zip": (io.BytesIO(b"PK\x03\x04 and nothing"), MenuraError),
    "empty": (io.BytesIO(b""), MenuraError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_is_refused_and_leaves_nothing(library, stored, name):
    source, error = HOSTILE[name]
    before = left(library)
    with pytest.raises(error) as told:
        import_voice(library, source)
    assert str(told.value)
    assert left(library) == before


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_whole(library, bundle, data):
    damaged = bytearray(bundle[: data.draw(st.integers(1, len(bundle)))])
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    before = left(library)
    try:
        made = import_voice(library, io.BytesIO(bytes(damaged)))
    except MenuraError:
        pass
    else:
        library.delete(made.id)
    assert left(library) == before
