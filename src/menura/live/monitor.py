"""A second output beside the one that matters: it may go and come back without harm."""

from collections.abc import Callable

from menura.audio.block import Samples
from menura.clock import monotonic_s
from menura.devices.port import OutputPort
from menura.errors import DeviceError
from menura.live.follower import Follower
from menura.live.watch import PortLife

__all__ = ["Monitor"]


class Monitor:
    """Plays along with a stream on a clock of its own.

    Args:
        open_port: Opens the output, not yet started.
        on_loss: Told of its loss, by the thread that pushes; it may not wait.
    """

    def __init__(self, open_port: Callable[[], OutputPort], on_loss: Callable[[DeviceError], None]) -> None:
        self._open_port, self._on_loss = open_port, on_loss
        self._playing: tuple[Follower, PortLife] | None = None
        self._lost: Follower | None = None

    @property
    def playing(self) -> bool:
        """Whether it is open."""
        return self._playing is not None

    def open(self) -> None:
        """Open it, and again after a loss.

        Raises:
            DeviceError: It does not open or start.
        """
        self.close()
        follower = Follower(self._open_port())
        follower.start()
        self._playing = follower, PortLife(follower.port)

    def push(self, y: Samples) -> None:
        """Play the next block; never waits. One thread."""
        if self._playing is None:
            return
        follower, life = self._playing
        fault = life.fault(monotonic_s())
        if fault is None:
            follower.push(y)
        else:
            self._lost, self._playing = follower, None
            self._on_loss(fault)

    def close(self) -> None:
        """Stop at once; twice is fine. Not while another thread pushes."""
        playing, self._playing = self._playing, None
        lost, self._lost = self._lost, None
        for follower in (lost, playing and playing[0]):
            if follower is not None:
                follower.close()
