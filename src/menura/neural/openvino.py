"""Networks on OpenVINO: the same model, on x86 with bfloat16 twice as fast as single precision."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import ConfigError, FormatError, ModelError
from menura.extras import need
from menura.log import get_logger
from menura.neural.cache import NetworkCache, Recipe, fingerprint
from menura.neural.nets.graph import MODEL_FILE, Network
from menura.neural.options import RuntimeOptions
from menura.neural.session import check_feeds

__all__ = ["OpenVinoSession"]

FORMAT = "plain files"
"""In the place of a runtime: any may read them."""


class OpenVinoSession:
    """A :class:`~menura.neural.session.Session` of OpenVINO.

    Raises:
        ConfigError: ``bfloat16`` is asked of a processor that has none.
        MissingExtraError: OpenVINO is not installed.
        ModelError: It refuses the network.
    """

    def __init__(self, wanted: Network | Recipe, options: RuntimeOptions) -> None:
        openvino = need("openvino", extra="openvino")
        self.name = wanted.name
        core = openvino.Core()
        if options.bfloat16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ConfigError("this processor does not compute in bfloat16")
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if options.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": options.cores,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if options.cache is not None:
            settings["CACHE_DIR"] = str(Path(options.cache) / "openvino")
        try:
            self._model = self._compiled(core, wanted, options, settings)
        except RuntimeError as error:
            raise ModelError(f"{self.name}: OpenVINO refuses it: {error}") from error
        # a port has the names of all that it is equal to; its node has the network's own
        self.inputs = tuple(port.get_node().get_friendly_name() for port in self._model.inputs)
        self.outputs = tuple(port.any_name for port in self._model.outputs)
        # a request serves one call at a time: idle ones wait here; taking and giving back are atomic
        self._idle: list[Any] = [self._model.create_infer_request()]

    def _compiled(self, core: Any, wanted: Network | Recipe, options: RuntimeOptions, settings: dict[str, Any]) -> Any:
        """Of a file that is mapped, where there is a folder for it: from memory, weights would be held twice."""
        if options.cache is not None:
            try:
                place = _kept(wanted, NetworkCache(Path(options.cache)))
                return core.compile_model(str(place / MODEL_FILE), "CPU", settings)
            except OSError as error:
                get_logger(__name__).warning("%s is not kept: %s", self.name, error)
        network = wanted.make() if isinstance(wanted, Recipe) else wanted
        return core.compile_model(core.read_model(network.standalone()), "CPU", settings)

    def run(self, **feeds: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """See :meth:`menura.neural.session.Session.run`."""
        check_feeds(self.name, self.inputs, feeds)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._model.create_infer_request()
        try:
            request.infer(feeds, share_inputs=True)
        except (RuntimeError, TypeError) as error:
            raise FormatError(f"{self.name} does not take these inputs: {error}") from error
        outputs = tuple(np.array(request.get_tensor(name).data) for name in self.outputs)
        self._idle.append(request)
        return outputs


def _kept(wanted: Network | Recipe, cache: NetworkCache) -> Path:
    """The folder with a network's files, written if need be.

    Raises:
        OSError: They cannot be written.
    """
    note = wanted.note(FORMAT) if isinstance(wanted, Recipe) and wanted.told else ""
    place = cache.find(cache.noted(note)) if note and cache.noted(note) else None
    if place is not None:
        return place
    network = wanted.make() if isinstance(wanted, Recipe) else wanted
    key = fingerprint(network, FORMAT)
    place = cache.find(key)
    if place is None:
        with cache.add(key) as new:
            network.save(new)
        place = cache.folder / key
    if note:
        cache.write(note, key)
    return place
