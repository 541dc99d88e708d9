"""Runs networks: one session for each, shared by every voice session and safe to call from several threads at once.

A session holds the only copy of its weights; the :class:`~menura.neural.nets.graph.Network` it was opened from may be
dropped. Where it runs is a :class:`Provider`; what that needs and lacks is said in the error.
"""

from menura.neural.cache import Recipe
from menura.neural.nets.graph import Network
from menura.neural.openvino import OpenVinoSession
from menura.neural.options import Provider, RuntimeOptions, providers
from menura.neural.ort import Binding, OrtSession, return_memory
from menura.neural.session import Session

__all__ = [
    "Binding",
    "OpenVinoSession",
    "OrtSession",
    "Provider",
    "RuntimeOptions",
    "Session",
    "open_session",
    "providers",
    "return_memory",
]


def open_session(network: Network | Recipe, options: RuntimeOptions | None = None) -> Session:
    """Load a network; one that is given as a recipe and kept already is not made.

    Raises:
        ConfigError: This installation has no such provider; the text says what to install and what there is.
        MissingExtraError: No runtime is installed.
        ModelError: The runtime refuses the network.
    """
    options = options or RuntimeOptions()
    if options.provider == Provider.OPENVINO:
        return OpenVinoSession(network, options)
    return OrtSession(network, options)
