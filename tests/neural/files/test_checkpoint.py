import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from menura.errors import DamagedModelError, FileError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_checkpoint
from menura.neural.files.opaque import Opaque
from tests.neural.model_files import RVC, TORCH, Op, archive, checkpoint, hostile, storage, tensor

FLOATS = np.arange(12, dtype=np.float32)


@pytest.mark.parametrize(
    "name", ["zip_protocol2", "zip_protocol4", "zip_protocol5", "legacy_protocol2", "legacy_protocol4"]
)
def test_read_checkpoint_gives_what_pytorch_wrote_in_every_format(name: str) -> None:
    with np.load(TORCH / "expected.npz") as file:
        expected = dict(file)
    value = read_checkpoint(TORCH / f"{name}.pt")
    found = {**value["tensors"], **value.get("newer", {})}
    found |= {f"state.{key}": array for key, array in value["plain"].pop("state").items()}
    left_out = {"uint16", "uint32", "uint64"} if name.startswith("legacy") else set()
    assert expected.keys() - left_out == found.keys()
    for key, array in found.items():
        assert array.dtype == expected[key].dtype, key
        np.testing.assert_array_equal(array, expected[key], err_msg=key)
        assert not array.flags.writeable
    assert value["plain"] == {
        "numbers": [0, 1, 255, 256, 65_536, -1, 2**40, -(2**70), 1.5, float("inf"), True, False, None],
        "texts": ["", "voice", "声", b"\x00\xff", "x" * 300],
        "tuple": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "sets": {1, 2},
        "ordered": {"a": 1},
        "default": {"a": [1]},
        "size": (1, 2),
        5: "five",
    }
    assert [type(n) for n in value["plain"]["numbers"][-3:]] == [bool, bool, type(None)]


def test_read_checkpoint_of_bytes_is_that_of_the_file() -> None:
    path = TORCH / "zip_protocol2.pt"
    one, two = read_checkpoint(path)["tensors"], read_checkpoint(path.read_bytes())["tensors"]
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_arrays_lie_in_the_file_and_share_storages_as_the_tensors_do() -> None:
    found = read_checkpoint(TORCH / "zip_protocol2.pt")["tensors"]
    assert not found["whole"].flags.owndata
    assert np.shares_memory(found["whole"], found["transposed"])


@pytest.mark.parametrize(("name", "said"), [
    ("program", "whole PyTorch program"), ("torchscript", "TorchScript"), ("quantized", "quantized tensors"),
    ("sparse", "sparse tensors"), ("float8", "float8"),
])  # fmt: skip
def test_weights_of_an_unusual_kind_are_named(name: str, said: str) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"^{name}\.pt: .*{said}"):
        read_checkpoint(TORCH / f"{name}.pt")


def test_settings_of_a_training_framework_are_shown_and_not_made() -> None:
    value = read_checkpoint(TORCH / "fairseq_settings.pt")
    args, kind = value["args"], value["extra_state"]["kind"]
    assert isinstance(args, Opaque)
    assert (args.name, args.state["encoder_attention_heads"]) == ("argparse.Namespace", 4)
    assert (kind.name, kind.args) == ("fairseq.dataclass.constants.Kind", ("a",))
    assert value["cfg"].state["_content"]["model"].state["_parent"] is value["cfg"]
    assert repr(args) == "<argparse.Namespace, not made>"


def test_big_endian_storages_are_read_in_their_order() -> None:
    body = tensor(0, "f4", 12, (3, 4), (4, 1))
    data = archive(Op.pickle(body), [FLOATS.astype(">f4").tobytes()], byteorder=b"big")
    np.testing.assert_array_equal(read_checkpoint(data), FLOATS.reshape(3, 4))
    with pytest.raises(DamagedModelError, match="byte order"):
        read_checkpoint(archive(Op.pickle(body), [FLOATS.tobytes()], byteorder=b"middle"))


def test_an_archive_packed_anew_by_hand_is_read() -> None:
    body = Op.pickle(tensor(0, "f4", 12, (12,), (1,)))
    data = archive(body, [FLOATS.tobytes()], packing=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(read_checkpoint(data), FLOATS)


def test_safetensors_are_read_like_the_library_reads_them() -> None:
    from safetensors.numpy import load_file

    path = RVC / "hubert_tiny" / "model.safetensors"
    ours, theirs = read_checkpoint(path), load_file(path)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_array_equal(ours[name], array)


def safetensors(heading: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = heading if isinstance(heading, bytes) else json.dumps(heading).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(start: int, end: int, kind: str = "F32", shape: tuple[int, ...] = (1,)) -> dict[str, object]:
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}


def test_safetensors_hold_bfloat16_scalars_and_empty_tensors() -> None:
    data = safetensors(
        {"__metadata__": {"format": "pt"}, "b": entry(0, 4, "BF16", (2,)), "s": entry(4, 8, "F32", ()),
         "e": entry(8, 8, "F16", (0, 3)), "t": entry(8, 9, "BOOL")},
        bytes.fromhex("c03f 00c0 0000803f 01"),
    )  # fmt: skip
    value = read_checkpoint(data)
    assert value["b"].tolist() == [1.5, -2.0]
    assert value["s"].shape == () and float(value["s"]) == 1.0
    assert value["e"].shape == (0, 3)
    assert value["t"].tolist() == [True]


@pytest.mark.parametrize(("data", "error"), [
    (safetensors({"a": entry(0, 4)}, b"\0" * 3), DamagedModelError),
    (safetensors({"a": entry(0, 4)}, b"\0" * 5), DamagedModelError),
    (safetensors({"a": entry(0, 8)}, b"\0" * 8), DamagedModelError),
    (safetensors({"a": entry(0, 4), "b": entry(0, 4)}, b"\0" * 4), UnsafeModelError),
    (safetensors({"a": entry(0, 4), "b": entry(8, 12)}, b"\0" * 12), UnsafeModelError),
    (safetensors({"a": entry(0, 0, "F32", (0, 1 << 40, 1 << 40))}), UnsafeModelError),
    (safetensors({"a": entry(0, 4, "F32", (-1,))}, b"\0" * 4), DamagedModelError),
    (safetensors({"a": entry(0, 4, "F32", (True,))}, b"\0" * 4), DamagedModelError),
    (safetensors({"a": entry(0, 4, "F8_E4M3", (4,))}, b"\0" * 4), UnsupportedModelError),
    (safetensors({"a": entry(0, 4, ["F32"])}, b"\0" * 4), UnsupportedModelError),
    (safetensors({"a": {"dtype": "F32"}}), DamagedModelError),
    (safetensors({"a": 5}), DamagedModelError),
    (safetensors([1]), UnsupportedModelError),
    (safetensors(b'{"a":' + b"[" * 100_000), DamagedModelError),
    (safetensors(b"{" + b"9" * 10_000), DamagedModelError),
    (safetensors(b'{"a":1,"a":2}'), UnsafeModelError),
    (safetensors(b"{\xff}"), DamagedModelError),
    (safetensors({}, length=1 << 39), UnsafeModelError),
    (safetensors({}, length=1 << 20), DamagedModelError),
    (safetensors({"a": entry(0, 4, "F32", (1,) * 100)}, b"\0" * 4), DamagedModelError),
])  # fmt: skip
def test_safetensors_that_contradict_themselves_are_refused(data: bytes, error: type[ModelError]) -> None:
    with pytest.raises(error):
        read_checkpoint(data)


@pytest.mark.parametrize(("begin", "said"), [
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"), (b"<!DOCTYPE html><html>", "web page"),
    (b"\n<html><head>404", "web page"), (b"\x80\x04K\x01.", "no PyTorch checkpoint"), (b"RIFF....WAVE", "audio"),
    (b"IwFl", "faiss index"), (b"\x08\x07\x12\x07pytorch", "ONNX"), (b"hello", "not a model file"),
])  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(begin: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "voice.pth"
    path.write_bytes(begin + b"\x01" * 600)
    with pytest.raises(UnsupportedModelError, match=rf"^voice\.pth: it is .*{said}"):
        read_checkpoint(path)


def test_an_empty_file_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").touch()
    with pytest.raises(DamagedModelError, match="empty"):
        read_checkpoint(tmp_path / "empty.pth")
    with pytest.raises(DamagedModelError, match="empty"):
        read_checkpoint(b"")
    with pytest.raises(DamagedModelError, match="zeros"):
        read_checkpoint(b"\0" * 4096)
    with pytest.raises(FileError, match="not a file"):
        read_checkpoint(tmp_path)
    with pytest.raises(FileError, match="No such file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(FileError, match="not a file"):
        read_checkpoint("/dev/zero")
    with pytest.raises(FileError):
        read_checkpoint("a\0b")


@pytest.mark.parametrize("name", ["v1_40k_f0.pth", "torch/legacy_protocol2.pt", "hubert_tiny/model.safetensors"])
def test_a_file_cut_short_anywhere_is_damaged(name: str) -> None:
    data = (RVC / name).read_bytes()
    cuts = {1, 3, 4, 8, 9, 100, len(data) // 2, len(data) - 70_000, len(data) - 30, len(data) - 5, len(data) - 1}
    for cut in sorted(c for c in cuts if 0 < c < len(data)):
        with pytest.raises(ModelError):
            read_checkpoint(data[:cut])


def test_a_changed_weight_is_noticed_by_its_checksum_unless_told_not_to() -> None:
    data = bytearray(archive(Op.pickle(tensor(0, "f4", 12, (12,), (1,))), [FLOATS.tobytes()]))
    at = data.index(FLOATS.tobytes())
    data[at + 8] ^= 1
    with pytest.raises(DamagedModelError, match="checksum"):
        read_checkpoint(data)
    assert read_checkpoint(bytes(data), verify=False)[0] == 0


@pytest.mark.parametrize(("body", "error"), [
    (tensor(0, "f4", 12, (13,), (1,)), UnsafeModelError),
    (tensor(0, "f4", 12, (12,), (1,), offset=1), UnsafeModelError),
    (tensor(0, "f4", 12, (2,), (12,)), UnsafeModelError),
    (tensor(0, "f4", 12, (3, 4), (4, 2)), UnsafeModelError),
    (tensor(0, "f4", 12, (12,), (-1,), offset=11), UnsafeModelError),
    (tensor(0, "f4", 12, (-1,), (1,)), UnsafeModelError),
    (tensor(0, "f4", 12, (12,), (1,), offset=-1), UnsafeModelError),
    (tensor(0, "f4", 12, (1 << 62, 1 << 62), (0, 0)), UnsafeModelError),
    (tensor(0, "f4", 12, (1 << 30,), (0,)), UnsafeModelError),
    (tensor(0, "f4", 12, (0, 1 << 62), (1, 1)), UnsafeModelError),
    (tensor(0, "f4", 12, (2,), (1 << 64,)), UnsafeModelError),
    (tensor(0, "f4", 12, (2, 2), (1,)), DamagedModelError),
    (tensor(0, "f4", 12, (1,) * 17, (1,) * 17), DamagedModelError),
    (tensor(0, "f4", 13, (1,), (1,)), DamagedModelError),
    (tensor(0, "f4", 1 << 62, (1,), (1,)), DamagedModelError),
    (tensor(0, "f4", -1, (1,), (1,)), DamagedModelError),
    (tensor(7, "f4", 12, (1,), (1,)), DamagedModelError),
    (tensor("../../etc/passwd", "f4", 12, (1,), (1,)), UnsafeModelError),
    (tensor("", "f4", 12, (1,), (1,)), UnsafeModelError),
    (b"](" + tensor(0, "f4", 12, (1,), (1,)) + tensor(0, "f2", 24, (1,), (1,)) + b"e", DamagedModelError),
    (b"]" + (b"(" + tensor(0, "f4", 12, (1 << 22,), (0,)) + b"e") * 5, UnsafeModelError),
])  # fmt: skip
def test_tensors_that_claim_what_is_not_theirs_are_refused(body: bytes, error: type[ModelError]) -> None:
    with pytest.raises(error):
        read_checkpoint(hostile(body, FLOATS.tobytes()))


def test_overlapping_views_within_their_storage_are_allowed() -> None:
    body = tensor(0, "f4", 12, (3, 4), (1, 1), offset=2)
    np.testing.assert_array_equal(read_checkpoint(hostile(body, FLOATS.tobytes()))[1], [3, 4, 5, 6])


def test_an_empty_view_may_lie_anywhere() -> None:
    body = tensor(0, "f4", 12, (0, 3), (4, 1), offset=14)
    assert read_checkpoint(hostile(body, FLOATS.tobytes())).shape == (0, 3)


def test_a_bare_storage_is_its_elements() -> None:
    np.testing.assert_array_equal(read_checkpoint(hostile(storage(0, "f4", 12), FLOATS.tobytes())), FLOATS)


def test_the_writer_of_these_tests_and_the_reader_agree() -> None:
    value = {"a": FLOATS.reshape(3, 4), "b": [1, -5, 2.5, "x", None, True, (1, 2)], "c": {"d": np.int64([1, 2])}}
    found = read_checkpoint(checkpoint(value))
    assert found["b"] == value["b"]
    np.testing.assert_array_equal(found["a"], value["a"])
    np.testing.assert_array_equal(found["c"]["d"], [1, 2])
