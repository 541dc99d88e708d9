"""Pickles written by hand, most of them to do harm: what comes out is plain data or a ModelError, and nothing runs."""

import pickle
import pickletools
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.errors import DamagedModelError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_checkpoint
from menura.neural.files.machine import _TABLE
from menura.neural.files.opaque import Opaque
from tests.neural.model_files import Op, archive, hostile, storage, tensor

CODES = {code.name: code.code.encode("latin-1") for code in pickletools.opcodes}
NAMESPACE = Op.name("argparse", "Namespace") + b")" + CODES["NEWOBJ"]


def read(body: bytes) -> Any:
    return read_checkpoint(hostile(body))


class Payload:
    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.made = function, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.made


def test_every_instruction_of_the_language_is_known() -> None:
    assert {bytes([code]) for code in _TABLE} == set(CODES.values())


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol_are_what_pickle_would_make_of_them(protocol: int) -> None:
    value = {
        "n": [0, -1, 255, 65_535, 2**31, -(2**31), 2**63, -(2**90), 1.5, float("-inf"), True, False, None],
        "t": ["", "a'\"\\\n", "声\U0001f426", "é", "x" * 300],
        "b": [b"", b"\x00\xff", b"y" * 300],
        "c": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[]], {}, {1: {2: 3}}, {4, 5}, frozenset({6})],
        "a": bytearray(b"z"),
    }
    assert read_checkpoint(archive(pickle.dumps(value, protocol))) == value


def test_shared_values_stay_shared_and_are_made_once() -> None:
    shared = ["x"]
    value = read_checkpoint(archive(pickle.dumps([shared, shared, {"k": shared}])))
    assert value[0] is value[1] is value[2]["k"]


@pytest.mark.parametrize("protocol", range(6))
def test_code_to_run_is_refused_by_name_and_not_run(protocol: int, tmp_path: Path) -> None:
    import os
    import subprocess

    mark = tmp_path / "ran"
    payloads = [
        Payload(os.system, f"touch {mark}"), Payload(eval, f"open({str(mark)!r}, 'w')"),
        Payload(exec, f"open({str(mark)!r}, 'w')"), Payload(subprocess.Popen, ["touch", str(mark)]),
        Payload(open, str(mark), "w"), Payload(__import__, "this"), Payload(getattr, "", "upper"),
    ]  # fmt: skip
    for payload in payloads:
        for data in (pickle.dumps(payload, protocol), pickle.dumps({"weight": {}, "info": [payload]}, protocol)):
            with pytest.raises(
                UnsafeModelError, match=r"^the model: this file wants to run code \(.+\) when it is opened"
            ):
                read_checkpoint(archive(data))
    assert not mark.exists()


@pytest.mark.parametrize(("module", "name"), [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("__builtin__", "eval"),
    ("builtins", "getattr"), ("builtins", "__import__"), ("builtins", "type"), ("subprocess", "run"),
    ("torch", "load"), ("torch.hub", "load"), ("torch.serialization", "load"), ("torch", "compile"),
    ("torch._utils", "os"), ("torch._utils", "_import_dotted_name"), ("torch.storage", "pickle.loads"),
    ("numpy", "load"), ("numpy.core.multiarray", "fromfile"), ("numpy.f2py.crackfortran", "myeval"),
    ("runpy", "_run_code"),
    ("pathlib", "Path.unlink"), ("collections", "namedtuple"), ("fairseq.checkpoint_utils", "load_checkpoint_to_cpu"),
    ("fairseq.models", "x.y"), ("omegaconf", "_utils.exec"), ("enum", "global_enum"), ("typing", "get_type_hints"),
    ("", ""), ("argparse", "Namespace.__init__"), ("menura.live.convert", "convert"), ("this", "s"),
    ("copyreg", "_extension_registry"), ("_codecs", "decode"), ("codecs", "open"), ("types", "CodeType"),
    ("types", "FunctionType"), ("operator", "attrgetter"), ("functools", "partial"), ("fairseqs", "Evil"),
])  # fmt: skip
def test_no_name_outside_the_list_is_taken_however_it_is_given(module: str, name: str) -> None:
    bodies = [
        Op.name(module, name),
        Op.text(module) + Op.text(name) + CODES["STACK_GLOBAL"],
        b"(" + f"i{module}\n{name}\n".encode(),
        b"(" + Op.name(module, name) + b"o",
        Op.call(module, name, Op.text("x")),
        Op.name(module, name) + b")}" + CODES["NEWOBJ_EX"],
    ]
    for body in bodies:
        with pytest.raises(UnsafeModelError, match="wants to run code"):
            read(body)
    assert "this" not in sys.modules


def test_a_hostile_name_is_shown_short_and_printable() -> None:
    with pytest.raises(UnsafeModelError) as caught:
        read(Op.name("\x1b[31m" + "a" * 2000, "b\r"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_persistent_id_gives_nothing_but_a_storage() -> None:
    head = Op.text("storage")
    kind = Op.name("torch", "FloatStorage")
    rest = Op.text("0") + Op.text("cpu") + Op.number(1)
    for identity in (
        b"N", b"K\x01", Op.text("storage"), b"(lp0\n", b")", Op.tuple(head), Op.tuple(head, kind),
        Op.tuple(Op.text("module"), Op.name("torch", "Tensor"), Op.text("src"), Op.text("code"), b"K\x01"),
        Op.tuple(head, Op.name("torch", "float32"), rest), Op.tuple(head, Op.text("FloatStorage"), rest),
        Op.tuple(head, kind, b"K\x00", Op.text("cpu"), Op.number(1)),
        Op.tuple(head, kind, Op.text("0"), Op.text("cpu"), b"\x88"),
        Op.tuple(head, kind, Op.text("0"), Op.text("cpu"), b"G" + struct.pack(">d", 1.0)),
        Op.tuple(head, kind, Op.text("0"), Op.text("cpu"), Op.text("1")),
        Op.tuple(head, kind, rest, b"K\x01"), Op.tuple(head, kind, rest, Op.tuple(Op.text("v"), b"K\x00", b"K\x02")),
        Op.tuple(head, kind, rest, Op.tuple(Op.text("v"), Op.number(-1), b"K\x01")),
        Op.tuple(head, kind, rest, b"N", b"N"),
    ):  # fmt: skip
        with pytest.raises(ModelError):
            read_checkpoint(hostile(identity + b"Q", b"\0" * 4))
    with pytest.raises(ModelError):
        read(b"Pstorage\n")


STORE = storage(0, "f4", 4)
SIZES = Op.tuple(b"K\x02", b"K\x02")


@pytest.mark.parametrize("body", [
    Op.call("torch._utils", "_rebuild_tensor_v2"),
    Op.call("torch._utils", "_rebuild_tensor_v2", STORE),
    Op.call("torch._utils", "_rebuild_tensor_v2", *[b"N"] * 6),
    Op.call("torch._utils", "_rebuild_tensor_v2", *[STORE] * 9),
    Op.call("torch._utils", "_rebuild_tensor_v2", STORE, b"\x88", SIZES, SIZES, b"\x89", b"N"),
    Op.call("torch._utils", "_rebuild_tensor_v2", STORE, b"K\x00", b"N", b"N", b"\x89", b"N"),
    Op.call("torch._utils", "_rebuild_tensor_v2", STORE, b"K\x00", Op.text("ab"), Op.text("ab"), b"\x89", b"N"),
    Op.call("torch._utils", "_rebuild_tensor_v2", STORE, b"K\x00", Op.tuple(b"G" + b"\0" * 8), SIZES, b"\x89", b"N"),
    Op.call("torch._utils", "_rebuild_tensor_v3", STORE, b"K\x00", SIZES, SIZES, b"\x89", b"N", b"N"),
    Op.call("torch._utils", "_rebuild_tensor_v3", STORE, b"K\x00", SIZES, SIZES, b"N", b"N", Op.name("torch", "Size")),
    Op.call("torch._utils", "_rebuild_parameter", b"N", b"\x89", b"N"),
    Op.call("torch._tensor", "_rebuild_from_type_v2", Op.name("torch", "Size"), Op.name("torch", "Tensor"), b")", b"N"),
    Op.call("torch._tensor", "_rebuild_from_type_v2", Op.name("argparse", "Namespace"), b"N", b")", b"N"),
    Op.call("torch._tensor", "_rebuild_from_type_v2", *[b"N"] * 4),
    Op.call("collections", "OrderedDict", b"K\x01"),
    Op.call("collections", "OrderedDict", Op.text("abc")),
    Op.call("collections", "OrderedDict", b"](K\x01K\x02e"),
    Op.call("collections", "OrderedDict", b"](](K\x01e" + b"e"),
    Op.call("torch", "Size", b"K\x01"),
    Op.call("torch", "Size", b")", b")"),
    Op.call("builtins", "set", b"](]e"),
    Op.call("builtins", "bytes", Op.number(1 << 40)),
    Op.call("builtins", "bytearray", Op.number(1 << 40)),
    Op.call("builtins", "complex", Op.text("1"), Op.text("2")),
    Op.call("_codecs", "encode", Op.text("x"), Op.text("rot13")),
    Op.call("_codecs", "encode", Op.text("声"), Op.text("latin1")),
    Op.call("_codecs", "encode", b"N", Op.text("latin1")),
    Op.name("collections", "OrderedDict") + b"NR",
    Op.name("collections", "OrderedDict") + b"]R",
    b"N)R", b"K\x01)R", Op.text("os.system") + b")R", NAMESPACE + b")R", STORE + b")R",
    b"N)\x81", b")N\x81", b"N)}\x92", Op.name("collections", "OrderedDict") + b")}K\x01K\x02s\x92",
    Op.name("torch", "Size") + b")N\x92",
    b"]}b", b"K\x01}b", Op.text("a") + b"}b", b")}b", Op.name("torch", "Size") + b"}b", b"\x8f}b",
    b"]K\x01K\x02s", b"K\x01K\x02a", b")K\x02a", b"}K\x02a", b"]K\x02\x90", b"](K\x02\x90", b"\x8f(]\x90",
    b"}]K\x01s", b"}}K\x01s", b"})K\x01s", b"}G" + b"\0" * 8 + b"K\x01s", b"}" + Op.number(1 << 61) + b"K\x01s",
    b"(]K\x01d", b"(K\x01d", b"}(K\x01u", b"(]\x91", b"K\x01K\x02\x93", Op.text("os") + b"N\x93",
    b"", b"0", b"1", b"2", b"a", b"b", b"e", b"s", b"u", b"t", b"l", b"d", b"o", b"(o", b"R", b"Q", b"\x85",
    b"\x81", b"\x92",
    b"\x86", b"\x87", b"\x90", b"\x91", b"\x93", b"\x94", b"p0\n", b"q\x00", b"h\x00", b"g9\n", b"j\xff\xff\xff\xff",
    b"(0N00",
    b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"\x97", b"N\x98", b"\x99", b"\xff", b"\x00", b"\x80\x06N",
    b"Ix\n", b"I\n", b"I1", b"Lx\n", b"L\n", b"Fx\n", b"Sabc\n", b"S'\n", b"S\n", b"S'\\x\n", b"S'\\x'\n", b"V\\u12\n",
    b"gx\n",
    b"px\n", b"p" + b"9" * 300 + b"\n", b"I" + b"9" * 5000 + b"\n", b"I" + b"9" * 300 + b"\n",
    b"X\xff\xff\xff\xff", b"X\x01\x00\x00\x00\xff", b"\x8c\x05ab", b"\x8d" + b"\xff" * 8, b"B\xff\xff\xff\xff",
    b"\x8e" + b"\xff" * 8, b"\x96" + b"\xff" * 8, b"\x95" + b"\xff" * 8, b"T\xff\xff\xff\xff", b"T\xff\xff\xff\x7f",
    b"\x8b\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f", b"\x8b\x00\x10\x00\x00" + b"\x01" * 4096,
    b"cos\n", b"cos", b"ios\nsystem\n", b"G1234", b"J1", b"M1", b"K",
])  # fmt: skip
def test_instructions_that_make_no_sense_are_refused(body: bytes) -> None:
    with pytest.raises(ModelError):
        read_checkpoint(hostile(body, b"\0" * 16))


def test_placeholders_keep_what_was_said_of_them_and_do_nothing() -> None:
    pushed = NAMESPACE + b"}" + Op.text("__class__") + Op.text("x") + b"sb" + b"(K\x01K\x02e" + b"K\x03K\x04s"
    value = read(pushed)
    assert type(value) is Opaque
    assert (value.state, value.items, value.entries) == ({"__class__": "x"}, [1, 2], {3: 4})
    dtype = read(Op.call("numpy", "dtype", Op.text("f8"), b"\x89", b"\x88"))
    assert (dtype.name, dtype.args) == ("numpy.dtype", ("f8", False, True))
    made = read(
        Op.call("copy_reg", "_reconstructor", Op.name("argparse", "Namespace"), Op.name("builtins", "object"), b"N")
    )
    assert made.name == "argparse.Namespace"


def test_state_set_on_dictionaries_and_tensors_is_left_out() -> None:
    assert read(b"}}" + Op.text("keys") + b"K\x01sb") == {}
    value = read_checkpoint(hostile(tensor(0, "f4", 4, (4,), (1,)) + b"}b", b"\0" * 16))
    assert value.shape == (4,)


def test_a_value_that_contains_itself_is_refused() -> None:
    for body in (b"]q\x00h\x00a", b"}q\x00K\x01h\x00s", b"]q\x00(h\x00ta", b"](]q\x01h\x01ae"):
        with pytest.raises(UnsafeModelError, match="contains itself"):
            read(body)


def test_deep_nesting_is_refused_at_any_depth() -> None:
    assert read(b"]" * 60 + b"a" * 59) == eval("[" * 60 + "]" * 60)
    for depth in (70, 5_000, 200_000):
        with pytest.raises(UnsafeModelError, match="deep"):
            read(b"]" * depth + b"a" * (depth - 1))
        with pytest.raises(UnsafeModelError, match="deep"):
            read(b")" + CODES["TUPLE1"] * depth)


def colliding() -> bytes:
    """Keys that Python hashes alike: multiples of 2**61 − 1."""
    return b"}(" + b"".join(Op.number(i * (2**61 - 1)) + b"N" for i in range(1, 50_000)) + b"u"


def dictionaries() -> bytes:
    """A large dictionary, copied over and over."""
    pairs = b"".join(struct.pack("<ci", b"J", i) + b"N" for i in range(50_000))
    return b"(" + pairs + b"dq\x000" + (Op.name("collections", "OrderedDict") + b"h\x00\x85R0") * 5_000 + b"N"


BOMBS = {
    "remembered": lambda: b"(" + b"]\x94" * 300_000,
    "tuples": lambda: b"(" + b"N" * 99_000 + b"lq\x000" + (Op.name("torch", "Size") + b"h\x00\x85R0") * 5_000 + b"N",
    "texts": lambda: Op.text("x" * 1_000_000) + b"q\x000"
    + (Op.call("_codecs", "encode", b"h\x00", Op.text("latin1")) + b"0") * 9_000 + b"N",
    "dictionaries": dictionaries,
    "colliding": colliding,
    "large": lambda: Op.text("x" * (17 << 20)),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_takes_memory(name: str) -> None:
    data = archive(Op.pickle(BOMBS[name]()))
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeModelError):
            read_checkpoint(data, verify=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150 << 20


def test_a_set_that_is_everywhere_is_made_once() -> None:
    body = b"\x8f(" + b"".join(struct.pack("<ci", b"J", i) for i in range(50_000)) + b"\x90q\x00"
    value = read(b"](" + body + b"h\x00" * 100_000 + b"e")
    assert value[0] is value[-1]
    assert len(value[0]) == 50_000


def test_a_laugh_of_shared_lists_stays_as_small_as_it_is_written() -> None:
    body = b"]q\x00" + b"".join(
        b"]q" + bytes([i + 1]) + b"(h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(50)
    )
    value = read(body)
    assert value[0] is value[1]


def test_an_unknown_version_says_so() -> None:
    with pytest.raises(UnsupportedModelError, match="version 6"):
        read(b"\x80\x06N")
    with pytest.raises(DamagedModelError, match="unknown instruction"):
        read(b"\xff")


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple)
    | st.dictionaries(st.text() | st.integers(-(2**59), 2**59) | st.binary(), inner)
    | st.sets(st.text() | st.integers(-(2**59), 2**59)),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(value=plain, protocol=st.integers(0, 5))
def test_any_plain_value_is_what_pickle_would_make_of_it(value: Any, protocol: int) -> None:
    assert read_checkpoint(archive(pickle.dumps(value, protocol))) == value
