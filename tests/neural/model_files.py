"""Model files for tests and benchmarks, written without PyTorch: sound ones, and ones that do harm."""

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.neural.files.voice_layout import voice_layout
from menura.neural.nets.config import SynthesizerConfig

RVC = Path(__file__).parents[1] / "fixtures" / "rvc"
TORCH = RVC / "torch"

STORAGE_CLASSES = {
    "f2": "HalfStorage",
    "f4": "FloatStorage",
    "f8": "DoubleStorage",
    "i8": "LongStorage",
    "u1": "ByteStorage",
}
FULL_CONFIG = [1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5]] * 3, [12, 10, 2, 2], 512,
               [24, 20, 4, 4], 109, 256, 48_000]  # fmt: skip
"""Of RVC v2 at 48 kHz, full size."""


class Op:
    """Pickle instructions by name, as bytes, for files written by hand."""

    PROTO = b"\x80\x02"
    STOP = b"."

    @staticmethod
    def text(value: str) -> bytes:
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw

    @staticmethod
    def number(value: int) -> bytes:
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + struct.pack("<B", len(raw)) + raw

    @staticmethod
    def name(module: str, name: str) -> bytes:
        return f"c{module}\n{name}\n".encode()

    @staticmethod
    def tuple(*parts: bytes) -> bytes:
        return b"(" + b"".join(parts) + b"t"

    @staticmethod
    def call(module: str, name: str, *parts: bytes) -> bytes:
        return Op.name(module, name) + Op.tuple(*parts) + b"R"

    @staticmethod
    def pickle(body: bytes) -> bytes:
        return Op.PROTO + body + Op.STOP


class Pickle:
    """Writes plain values and arrays as PyTorch does, protocol 2.

    Attributes:
        storages: Contiguous arrays in the order of their keys.
    """

    def __init__(self) -> None:
        self.storages: list[NDArray[Any]] = []

    def write(self, value: Any) -> bytes:
        return Op.pickle(self._value(value))

    def _value(self, value: Any) -> bytes:  # noqa: PLR0911 - one a type
        if value is None:
            return b"N"
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if isinstance(value, int):
            return Op.number(value)
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return Op.text(value)
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, Mapping):
            return b"}(" + b"".join(self._value(k) + self._value(v) for k, v in value.items()) + b"u"
        items = b"".join(self._value(item) for item in value)
        return b"(" + items + b"t" if isinstance(value, tuple) else b"](" + items + b"e"

    def _array(self, array: NDArray[Any]) -> bytes:
        self.storages.append(np.asarray(array, order="C"))
        strides = [n // array.itemsize for n in self.storages[-1].strides]
        return tensor(len(self.storages) - 1, array.dtype.str[1:], array.size, array.shape, strides)


def storage(key: int | str, kind: str, numel: int) -> bytes:
    """The persistent id of a storage."""
    parts = (Op.text("storage"), Op.name("torch", STORAGE_CLASSES.get(kind, kind)), Op.text(str(key)), Op.text("cpu"))
    return Op.tuple(*parts, Op.number(numel)) + b"Q"


def tensor(
    key: int | str, kind: str, numel: int, shape: Iterable[int], strides: Iterable[int], offset: int = 0
) -> bytes:
    """The call that makes a tensor."""
    sizes = (Op.tuple(*(Op.number(int(n)) for n in part)) for part in (shape, strides))
    hooks = Op.call("collections", "OrderedDict")
    return Op.call(
        "torch._utils", "_rebuild_tensor_v2", storage(key, kind, numel), Op.number(offset), *sizes, b"\x89", hooks
    )


def archive(
    pickle: bytes, storages: Iterable[bytes] = (), *, packing: int = zipfile.ZIP_STORED, **records: bytes
) -> bytes:
    """PyTorch's zip format."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as file:
        file.writestr("model/data.pkl", pickle)
        for key, raw in enumerate(storages):
            file.writestr(f"model/data/{key}", raw)
        for name, raw in records.items():
            file.writestr(f"model/{name}", raw)
    return out.getvalue()


def hostile(body: bytes, *storages: bytes) -> bytes:
    """A checkpoint whose pickle is written by hand."""
    return archive(Op.pickle(body), storages)


def checkpoint(value: Any) -> bytes:
    """A checkpoint of plain values and arrays, in memory."""
    pickle = Pickle()
    body = pickle.write(value)
    return archive(body, [array.tobytes() for array in pickle.storages])


def write_checkpoint(path: Path, value: Any) -> None:
    """As :func:`checkpoint`, to a file, an array at a time, each aligned as PyTorch does it."""
    pickle = Pickle()
    body = pickle.write(value)
    with path.open("wb") as raw, zipfile.ZipFile(raw, "w") as file:
        file.writestr(f"{path.stem}/data.pkl", body)
        file.writestr(f"{path.stem}/version", b"3\n")
        for key, array in enumerate(pickle.storages):
            record = zipfile.ZipInfo(f"{path.stem}/data/{key}")
            padding = -(raw.tell() + 34 + len(record.filename)) % 64
            record.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
            file.writestr(record, array.tobytes())


def voice_config(config: list[Any], *, f0: bool = True, version: str = "v2") -> SynthesizerConfig:
    """The sizes that RVC's 18 positional values mean."""
    return SynthesizerConfig(
        version=version, f0=f0, rate=config[17], features=768 if version == "v2" else 256, inter=config[2],
        hidden=config[3], filter=config[4], heads=config[5], layers=config[6], kernel=config[7], resblock=config[9],
        resblock_kernels=tuple(config[10]), resblock_dilations=tuple(map(tuple, config[11])),
        upsample_rates=tuple(config[12]), upsample_initial=config[13], upsample_kernels=tuple(config[14]),
        speakers=config[15], gin=config[16],
    )  # fmt: skip


def random_voice(config: list[Any], *, f0: bool = True, version: str = "v2", seed: int = 0) -> dict[str, Any]:
    """A voice in RVC's own form, of random weights: fp16, weight norm as ``weight_g`` and ``weight_v``."""
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[Any]] = {}
    for name, shape in voice_layout(voice_config(config, f0=f0, version=version), [0, 2, 4, 6], 3).items():
        sizes = [n if n is not None else _open_size(name, axis) for axis, n in enumerate(shape)]
        values = (0.05 * rng.standard_normal(sizes, np.float32)).astype(np.float16)
        if name.endswith(".weight") and _normed(name):
            layer = name.removesuffix(".weight")
            weights[f"{layer}.weight_v"] = values
            weights[f"{layer}.weight_g"] = np.ones((sizes[0], 1, 1), np.float16)
        else:
            weights[name] = values
    return {"weight": weights, "config": config, "info": "random", "sr": f"{config[17] // 1000}k", "f0": int(f0),
            "version": version}  # fmt: skip


def _normed(name: str) -> bool:
    return any(part in name for part in (".ups.", ".resblocks.", ".in_layers.", ".res_skip_layers.", ".cond_layer."))


def _open_size(name: str, axis: int) -> int:
    """Of what a voice's sizes leave open: relative positions, the flow's kernels, harmonics."""
    if "emb_rel" in name:
        return (1, 21)[axis]
    return 5 if "in_layers" in name else 1


def random_hubert(keys: Mapping[str, list[int]], seed: int = 0) -> dict[str, Any]:
    """fairseq's file of random weights, fp32, of the shapes in ``hubert_base_fairseq_keys.json``."""
    rng = np.random.default_rng(seed)
    return {"model": {name: 0.05 * rng.standard_normal(shape, np.float32) for name, shape in keys.items()}}
