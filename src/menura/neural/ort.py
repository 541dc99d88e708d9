"""Networks on ONNX Runtime."""

import ctypes
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from menura.errors import ConfigError, FormatError, ModelError
from menura.extras import need
from menura.log import get_logger
from menura.neural.cache import NetworkCache, Recipe, fingerprint
from menura.neural.nets.graph import MODEL_FILE, WEIGHTS_FILE, Network
from menura.neural.options import EXECUTION_PROVIDERS, PACKAGES, Provider, RuntimeOptions, providers
from menura.neural.session import Array, check_feeds

__all__ = ["Binding", "OrtSession", "return_memory"]


class OrtSession:
    """A :class:`Session` of ONNX Runtime."""

    def __init__(self, network: Network | Recipe, options: RuntimeOptions) -> None:
        runtime = need("onnxruntime", extra="neural")
        self.name = network.name
        wanted = EXECUTION_PROVIDERS[options.provider]
        available = runtime.get_available_providers()
        if wanted not in available:
            here = ", ".join(providers()) or "none"
            raise ConfigError(f"{options.provider} needs {PACKAGES[options.provider]}; here there is {here}")
        chain: list[Any] = [(wanted, _settings(options))]
        if options.provider == Provider.TENSORRT:
            chain.append(
                (EXECUTION_PROVIDERS[Provider.CUDA], _settings(RuntimeOptions(Provider.CUDA, device=options.device)))
            )
        if options.provider != Provider.CPU:
            chain.append(EXECUTION_PROVIDERS[Provider.CPU])
        self._session = _open(runtime, network, options, chain)
        self.inputs = tuple(held.name for held in self._session.get_inputs())
        self.outputs = tuple(held.name for held in self._session.get_outputs())

    def run(self, **feeds: Array) -> tuple[Array, ...]:
        """See :meth:`Session.run`."""
        check_feeds(self.name, self.inputs, feeds)
        try:
            return tuple(self._session.run(None, feeds))
        except Exception as error:
            shapes = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in feeds.items())
            # by name: the class is in a module of the runtime that is not public
            if type(error).__name__ == "InvalidArgument":
                raise FormatError(f"{self.name} does not take {shapes}: {_first_line(error)}") from error
            raise ModelError(f"{self.name} failed on {shapes}: {_first_line(error)}") from error

    def bind(self, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> "Binding":
        """Tie arrays to the network's ends, for calls that copy and allocate nothing on a CPU.

        Args:
            feeds: Every input; what they hold when :meth:`Binding.run` is called counts.
            outputs: Every output, of the shape it will have; each call writes them anew.

        Raises:
            FormatError: A name is missing or unknown.
        """
        check_feeds(self.name, self.inputs, feeds)
        check_feeds(self.name, self.outputs, outputs, verb="gives")
        return Binding(self.name, self._session, feeds, outputs)


class Binding:
    """A network tied to arrays of fixed shape; for one thread."""

    def __init__(self, name: str, session: Any, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._name, self._session = name, session
        # the binding holds addresses only: the arrays must live as long as it does
        self._arrays = (*feeds.values(), *outputs.values())
        self._tied = session.io_binding()
        for ends, tie in ((feeds, self._tied.bind_input), (outputs, self._tied.bind_output)):
            for end, array in ends.items():
                if not array.flags.c_contiguous:
                    raise FormatError(f"{name}: {end} is not contiguous")
                tie(end, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def run(self) -> None:
        """Run once, from the inputs' arrays into the outputs'.

        Raises:
            FormatError: The network does not take these shapes.
        """
        try:
            self._session.run_with_iobinding(self._tied)
        except Exception as error:
            raise FormatError(f"{self._name} does not take these shapes: {_first_line(error)}") from error


def _open(runtime: Any, wanted: Network | Recipe, options: RuntimeOptions, chain: list[Any]) -> Any:
    cache = NetworkCache(Path(options.cache)) if options.cache and options.provider == Provider.CPU else None
    note = wanted.note(_version(runtime)) if isinstance(wanted, Recipe) and wanted.told and cache else ""
    if cache and note and (found := _find(runtime, (wanted.name, cache.noted(note)), options, cache)):
        return found
    network = wanted.make() if isinstance(wanted, Recipe) else wanted
    if cache:
        try:
            return _cached(runtime, network, options, cache, note)
        except Exception as error:
            # a full or read-only disk, or a network the runtime refuses anyway
            get_logger(__name__).warning("%s is not kept: %s", network.name, _first_line(error))
    try:
        return _fresh(runtime, network, _setup(runtime, options), chain)
    except Exception as error:
        raise ModelError(f"{network.name}: ONNX Runtime refuses it: {_first_line(error)}") from error


def _version(runtime: Any) -> str:
    return f"onnxruntime {runtime.__version__}"


def _fresh(runtime: Any, network: Network, setup: Any, chain: list[Any]) -> Any:
    values = [runtime.OrtValue.ortvalue_from_numpy(array) for array in network.weights.values()]
    setup.add_external_initializers(list(network.weights), values)
    return runtime.InferenceSession(network.model, setup, providers=chain)


def _find(runtime: Any, entry: tuple[str, str], options: RuntimeOptions, cache: NetworkCache) -> Any:
    """What is kept under a key; None where there is nothing, or it is damaged."""
    name, key = entry
    place = cache.find(key) if key else None
    if place is None:
        return None
    try:
        return _kept(runtime, place, options)
    except Exception as error:
        get_logger(__name__).warning("%s was kept damaged: %s", name, _first_line(error))
        cache.remove(key)
        return None


def _kept(runtime: Any, place: Path, options: RuntimeOptions) -> Any:
    chain = [EXECUTION_PROVIDERS[Provider.CPU]]
    return runtime.InferenceSession(str(place / MODEL_FILE), _setup(runtime, options), providers=chain)


def _cached(runtime: Any, network: Network, options: RuntimeOptions, cache: NetworkCache, note: str) -> Any:
    """The network from the cache, after it was put there if need be."""
    key = fingerprint(network, _version(runtime))
    found = _find(runtime, (network.name, key), options, cache)
    if found is None:
        setup = _setup(runtime, options)
        with cache.add(key) as new:
            setup.optimized_model_filepath = str(new / MODEL_FILE)
            entries = {
                "session.optimized_model_external_initializers_file_name": WEIGHTS_FILE,
                "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
                "session.save_external_prepacked_constant_initializers": "1",
            }
            for name, value in entries.items():
                setup.add_session_config_entry(name, value)
            _fresh(runtime, network, setup, [EXECUTION_PROVIDERS[Provider.CPU]])
        return_memory()
        found = _kept(runtime, cache.folder / key, options)
    if note:
        cache.write(note, key)
    return found


def return_memory() -> None:
    """Give back to the system what loading has freed: the C library would keep twice a network's weights for later.

    For the end of all loading, when the checkpoints are dropped: between two networks it would cost more time than the
    second one takes, whose memory the system would have to provide anew.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _one_arena(runtime: Any) -> bool:
    """Have the CPU's networks of this process share memory for what lies between their layers: it is then as large as
    one of them needs, not as all, and no larger than was asked for. Whether they can.
    """
    place = runtime.OrtMemoryInfo("Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT)
    try:
        runtime.create_and_register_allocator(place, runtime.OrtArenaCfg({"arena_extend_strategy": 1}))
    except Exception as error:
        get_logger(__name__).debug("each network has memory of its own: %s", _first_line(error))
        return False
    return True


def _setup(runtime: Any, options: RuntimeOptions) -> Any:
    setup = runtime.SessionOptions()
    if options.provider == Provider.CPU and _one_arena(runtime):
        setup.add_session_config_entry("session.use_env_allocators", "1")
    setup.intra_op_num_threads = options.cores
    setup.inter_op_num_threads = 1
    setup.log_severity_level = 3
    # no "set_denormal_as_zero": it would change the arithmetic of whoever calls, for good
    entries = {
        "session.intra_op.allow_spinning": "1" if options.spin else "0",
        "session.inter_op.allow_spinning": "0",
    }
    for key, value in entries.items():
        setup.add_session_config_entry(key, value)
    if options.provider == Provider.DIRECTML:
        # its own demand
        setup.enable_mem_pattern = False
    return setup


def _settings(options: RuntimeOptions) -> dict[str, str]:
    """What a provider is told."""
    if options.provider == Provider.CUDA:
        # searching all algorithms anew for every length takes seconds
        return {
            "device_id": str(options.device),
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
        }
    if options.provider == Provider.TENSORRT and options.cache is not None:
        # its engines take minutes to build
        kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(Path(options.cache) / "tensorrt")}
        return {"device_id": str(options.device), **kept}
    if options.provider in (Provider.TENSORRT, Provider.DIRECTML):
        return {"device_id": str(options.device)}
    return {}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
