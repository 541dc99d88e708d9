"""Files changed at random: what comes out is a value or a ModelError, whatever was changed."""

import json
import pickletools
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menura.errors import ModelError
from menura.neural.files.archive import Archive
from menura.neural.files.checkpoint import read_checkpoint
from menura.neural.files.hubert import read_hubert
from menura.neural.files.index import read_index
from menura.neural.files.inspect import inspect_model
from menura.neural.files.pitch import read_rmvpe
from menura.neural.files.voice import read_voice
from tests.neural.model_files import FULL_CONFIG, RVC, TORCH, Op, archive, checkpoint, hostile

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
CODES = [code.code.encode("latin-1") for code in pickletools.opcodes]

places = st.floats(0, 1, exclude_max=True)
kinds = st.sampled_from(["set", "flip", "cut", "insert", "copy", "huge"])
changes = st.lists(st.tuples(places, kinds, st.integers(0, 255)), min_size=1, max_size=6)


def changed(data: bytes, how: list[tuple[float, str, int]], reach: int | None = None) -> bytes:
    """``data`` with its bytes changed, within its first ``reach``."""
    made = bytearray(data)
    for place, kind, value in how:
        at = int(place * min(len(made), reach or len(made)))
        if kind == "set":
            made[at : at + 1] = bytes([value])
        elif kind == "flip":
            made[at : at + 1] = bytes(b ^ (1 << value % 8) for b in made[at : at + 1])
        elif kind == "cut":
            del made[at : at + value]
        elif kind == "insert":
            made[at:at] = bytes([value]) * (value % 9 + 1)
        elif kind == "copy":
            made[at:at] = made[at : at + value]
        else:
            made[at : at + 8] = struct.pack("<q", (1 << value % 63) - value % 3)[: len(made[at : at + 8])]
    return bytes(made)


def survives(read: Callable[[Any], object], data: bytes) -> None:
    try:
        read(data)
    except ModelError as error:
        assert str(error).isprintable()


@cache
def raw(name: str) -> bytes:
    return (RVC / name).read_bytes()


@cache
def parts(name: str) -> tuple[bytes, tuple[bytes, ...]]:
    """Pickle and storages of a checkpoint, so that the pickle can be changed and the checksums stay right."""
    data = Archive(memoryview(raw(name)))
    root = next(n for n in data.names if n.endswith("data.pkl")).removesuffix("data.pkl")
    count = sum(1 for n in data.names if n.startswith(f"{root}data/"))
    return bytes(data.read(f"{root}data.pkl")), tuple(bytes(data.read(f"{root}data/{i}")) for i in range(count))


@pytest.mark.parametrize("name", ["v2_48k_f0.pth", "torch/zip_protocol4.pt", "torch/fairseq_settings.pt"])
@FUZZ
@given(how=changes)
def test_a_changed_pickle_gives_a_value_or_a_model_error(name: str, how: list[tuple[float, str, int]]) -> None:
    pickle, storages = parts(name)
    reader = {"v2_48k_f0.pth": read_voice, "torch/fairseq_settings.pt": read_hubert}.get(name, read_checkpoint)
    survives(reader, archive(changed(pickle, how), storages))


@pytest.mark.parametrize("name", ["torch/zip_protocol2.pt", "torch/legacy_protocol2.pt", "torch/legacy_protocol4.pt"])
@FUZZ
@given(how=changes)
def test_a_changed_file_gives_a_value_or_a_model_error(name: str, how: list[tuple[float, str, int]]) -> None:
    survives(lambda data: read_checkpoint(data, verify=False), changed(raw(name), how))
    survives(inspect_model, changed(raw(name), how))


@FUZZ
@given(how=changes)
def test_a_changed_archive_directory_gives_a_value_or_a_model_error(how: list[tuple[float, str, int]]) -> None:
    data = raw("torch/zip_protocol2.pt")
    at = data.index(b"PK\x01\x02")
    survives(lambda made: read_checkpoint(made, verify=False), data[:at] + changed(data[at:], how))


@FUZZ
@given(how=changes)
def test_changed_safetensors_give_a_value_or_a_model_error(how: list[tuple[float, str, int]]) -> None:
    data = raw("hubert_tiny/model.safetensors")
    survives(read_checkpoint, changed(data, how, 20_000))


@FUZZ
@given(how=changes)
def test_a_changed_index_gives_an_index_or_a_model_error(how: list[tuple[float, str, int]]) -> None:
    data = raw("added_IVF8_Flat_nprobe_1_rand_v2.index")
    survives(read_index, changed(data, how, 60) if how[0][2] % 2 else data[:-9_000] + changed(data[-9_000:], how))
    lists = data.index(b"ilar")
    survives(read_index, data[:lists] + changed(data[lists:], how, 120))


instructions = st.one_of(
    st.sampled_from(CODES),
    st.tuples(st.sampled_from(CODES), st.binary(max_size=9)).map(b"".join),
    st.text(max_size=5).map(Op.text),
    st.integers(-(2**70), 2**70).map(Op.number),
    st.integers(0, 5).map(lambda n: b"h" + bytes([n])),
    st.integers(0, 5).map(lambda n: b"q" + bytes([n])),
    st.sampled_from([
        ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor_v3"), ("torch", "FloatStorage"),
        ("torch._utils", "_rebuild_parameter"), ("torch._tensor", "_rebuild_from_type_v2"), ("torch", "float16"),
        ("collections", "OrderedDict"), ("collections", "defaultdict"), ("torch", "Size"), ("_codecs", "encode"),
        ("builtins", "set"), ("builtins", "bytes"), ("argparse", "Namespace"), ("copyreg", "_reconstructor"),
        ("fairseq.x", "Y"), ("os", "system"), ("numpy", "dtype"), ("builtins", "complex"), ("torch", "device"),
    ]).map(lambda name: Op.name(*name)),
    st.sampled_from([b"]", b"}", b")", b"(", b"N", b"\x8f", b"R", b"\x81", b"b", b"t", b"s", b"a", b"e", b"u"]),
)  # fmt: skip


@settings(FUZZ, max_examples=300)
@given(program=st.lists(instructions, max_size=40))
def test_any_program_of_instructions_gives_a_value_or_a_model_error(program: list[bytes]) -> None:
    survives(read_checkpoint, hostile(b"".join(program), b"\0" * 64))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
entries = st.fixed_dictionaries({
    "dtype": st.sampled_from(["F32", "BF16", "BOOL", "I64", "X"]) | json_values,
    "shape": st.lists(st.integers(-1, 5), max_size=3) | json_values,
    "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2) | json_values,
})  # fmt: skip


@settings(FUZZ, max_examples=100)
@given(heading=st.dictionaries(st.text(max_size=3), entries | json_values, max_size=3), data=st.binary(max_size=32))
def test_any_safetensors_heading_gives_a_value_or_a_model_error(heading: dict[str, Any], data: bytes) -> None:
    text = json.dumps(heading).encode()
    survives(read_checkpoint, len(text).to_bytes(8, "little") + text + data)


@FUZZ
@given(
    data=st.binary(max_size=300),
    begin=st.sampled_from([b"", b"PK\x03\x04", b"IwFl", LEGACY]),
)
def test_any_bytes_give_a_model_error(data: bytes, begin: bytes) -> None:
    for read in (read_checkpoint, read_voice, read_hubert, read_rmvpe, read_index, inspect_model):
        survives(read, begin + data)


@settings(FUZZ, max_examples=15)
@given(values=st.lists(json_values | st.integers(0, 2000), min_size=17, max_size=19), told=json_values)
def test_any_config_of_a_voice_gives_a_voice_or_a_model_error(values: list[Any], told: Any) -> None:
    weights = read_checkpoint(raw("v2_40k_nof0.pth"))["weight"]
    weights = {name: array for name, array in weights.items() if ".resblocks." not in name or ".0.convs1.0." in name}
    usual = [*FULL_CONFIG[:12], [10, 10, 2, 2], 32, [16, 16, 4, 4], 3, 6, 40_000]
    mixed = [(u if i % 3 else v) for i, (u, v) in enumerate(zip(usual, values, strict=False))]
    for config in (mixed, told):
        value = {"weight": weights, "config": config, "info": told, "f0": told, "version": told, "vocoder": told,
                 "embedder_model": told, "author": told}  # fmt: skip
        try:
            data = checkpoint(value)
        except (OverflowError, UnicodeEncodeError):
            return
        survives(read_voice, data)


def test_every_fixture_is_read_by_name() -> None:
    assert isinstance(TORCH, Path)
    for path in sorted([*RVC.glob("*.pth"), *RVC.glob("*.pt"), *RVC.glob("*.index")]):
        inspect_model(path)
