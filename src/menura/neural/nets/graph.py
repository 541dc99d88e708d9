"""A graph under construction: nodes, weights kept beside it, and the ONNX model they make.

Weights are not copied into the model. The model names them as external, the runtime hands the arrays over: a network of
400 MB is built in milliseconds, holds its weights once, and an upcast or a transpose is the only copy ever made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import ModelError
from menura.extras import need

__all__ = ["MODEL_FILE", "WEIGHTS_FILE", "Dim", "Graph", "Network", "Weights"]

Dim = int | str
"""An axis of an input: its length, or the name of one that may vary."""
Weights = Mapping[str, NDArray[Any]]
"""A checkpoint: weight norm folded; floats of any width."""

OPSET = 20
"""The first with GELU as one operator; ONNX Runtime 1.20 and OpenVINO 2024 know it."""
IR_VERSION = 9
MODEL_FILE, WEIGHTS_FILE = "network.onnx", "network.bin"
"""Of a network on disk."""
ALIGNMENT = 4096
"""Of weights in their file: pages."""
FLOAT, FLOAT16 = 1, 10
"""ONNX's numbers for these types."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run.

    Attributes:
        name: For messages and caches.
        model: Serialised ONNX ``ModelProto`` whose initializers point to ``weights`` by name.
        weights: Name → array.
    """

    name: str
    model: bytes
    weights: Mapping[str, NDArray[Any]]

    @property
    def weight_bytes(self) -> int:
        """Memory the weights take."""
        return sum(array.nbytes for array in self.weights.values())

    def save(self, folder: Path) -> Path:
        """Write the model and, beside it, its weights, which a runtime may map; the model's file.

        Raises:
            OSError: It cannot be written.
        """
        onnx = need("onnx", extra="neural")
        model = onnx.load_model_from_string(self.model)
        with (folder / WEIGHTS_FILE).open("wb") as file:
            for held in (held for held in model.graph.initializer if held.name in self.weights):
                file.seek(-(-file.tell() // ALIGNMENT) * ALIGNMENT)
                del held.external_data[:]
                array = np.ascontiguousarray(self.weights[held.name])
                for key, value in (("location", WEIGHTS_FILE), ("offset", file.tell()), ("length", array.nbytes)):
                    held.external_data.add(key=key, value=str(value))
                file.write(array.data)
        path = folder / MODEL_FILE
        path.write_bytes(model.SerializeToString())
        return path

    def standalone(self) -> bytes:
        """The model with its weights inside: for other runtimes and tools.

        Raises:
            ModelError: It would pass protobuf's limit of 2 GB.
        """
        if self.weight_bytes > 2_000_000_000:
            raise ModelError(f"{self.name} is too large for one ONNX file")
        onnx = need("onnx", extra="neural")
        model = onnx.load_model_from_string(self.model)
        for held in (held for held in model.graph.initializer if held.name in self.weights):
            held.CopyFrom(onnx.numpy_helper.from_array(self.weights[held.name], held.name))
        return bytes(model.SerializeToString())


class Graph:
    """Collects nodes and weights; a value is the name of a tensor.

    Args:
        name: Of the network.
        weights: What :meth:`weight` looks names up in.
        int8: Products of rows are in 8 bits.
        half: Everything between inputs and outputs is in half precision, for GPUs; the ends stay single.
    """

    def __init__(self, name: str, weights: Weights, *, int8: bool = False, half: bool = False) -> None:
        if int8 and half:
            raise ModelError(f"{name}: a network is in 8 bits or in half precision, not both")
        self.name, self.int8, self.half = name, int8, half
        self._source = weights
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._held: dict[str, NDArray[Any]] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inline: list[Any] = []

    @property
    def _onnx(self) -> ModuleType:
        """Needed to build; weights may be looked up without."""
        return need("onnx", extra="neural")

    def input(self, name: str, shape: Sequence[Dim], dtype: type[np.generic] = np.float32) -> str:
        """Declare an input."""
        self._inputs.append(self._info(name, shape, dtype))
        return self.op("Cast", name, to=FLOAT16) if self.half and dtype is np.float32 else name

    def output(self, name: str, value: str, shape: Sequence[Dim], dtype: type[np.generic] = np.float32) -> None:
        """Declare that ``value`` leaves the graph as ``name``."""
        if self.half and dtype is np.float32:
            self.op("Cast", value, name=name, to=FLOAT)
        else:
            self.op("Identity", value, name=name)
        self._outputs.append(self._info(name, shape, dtype))

    def _info(self, name: str, shape: Sequence[Dim], dtype: type[np.generic]) -> Any:
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, kind, list(shape))

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.ops(
            kind, *inputs, names=(name or f"{kind.lower()}_{len(self._nodes)}",), domain=domain, **attributes
        )[0]

    def ops(
        self, kind: str, *inputs: str, names: Sequence[str], domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node with several outputs; an empty name leaves one out."""
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), list(names), domain=domain, **attributes))
        return tuple(names)

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds ``name``."""
        return name in self._source

    def array(self, name: str, shape: Sequence[int | None] | None = None) -> NDArray[np.float32]:
        """A weight of the checkpoint as float32.

        Args:
            name: Its key.
            shape: What it must be; None leaves an axis open.

        Raises:
            ModelError: It is missing, or of another shape.
        """
        if name not in self._source:
            raise ModelError(f"{self.name}: the checkpoint has no {name}")
        array = self._source[name]
        if shape is not None and (
            array.ndim != len(shape)
            or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True))
        ):
            wanted = "×".join("?" if size is None else str(size) for size in shape)
            raise ModelError(f"{self.name}: {name} is {'×'.join(map(str, array.shape))}, its config says {wanted}")
        return np.ascontiguousarray(array, np.float32)

    def weight(self, name: str, shape: Sequence[int | None] | None = None) -> str:
        """A weight of the checkpoint as it is; see :meth:`array`."""
        return self.hold(name, self.array(name, shape))

    def hold(self, name: str, array: NDArray[Any]) -> str:
        """A weight made of others, under a name of its own."""
        self._held[name] = np.ascontiguousarray(array, self._width(array.dtype))
        return name

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """A small constant, inside the model, kept once."""
        array = np.asarray(value, self._width(np.dtype(dtype)))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._small:
            name = self._small[key] = f"const_{len(self._small)}"
            self._inline.append(self._onnx.numpy_helper.from_array(array, name))
        return self._small[key]

    def _width(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.float16) if self.half and dtype == np.float32 else dtype

    def ints(self, *values: int) -> str:
        """A shape, an axis list or bounds."""
        return self.constant(values, np.int64)

    def _external(self, name: str, array: NDArray[Any]) -> Any:
        proto = self._onnx.TensorProto()
        proto.name = name
        proto.data_type = self._onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        proto.dims.extend(array.shape)
        proto.data_location = self._onnx.TensorProto.EXTERNAL
        proto.external_data.add(key="location", value="weights")
        return proto

    def build(self) -> Network:
        """The finished network."""
        helper = self._onnx.helper
        held = [self._external(name, array) for name, array in self._held.items()]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._inline + held)
        opsets = [helper.make_opsetid("", OPSET)]
        domains = {node.domain for node in self._nodes} - {""}
        opsets += [helper.make_opsetid(domain, 1) for domain in sorted(domains)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="menura")
        return Network(self.name, model.SerializeToString(), dict(self._held))
