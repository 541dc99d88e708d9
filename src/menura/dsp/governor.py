"""How much of the costly work may be done, so that the rest is never late."""

from dataclasses import dataclass

from menura.errors import ConfigError

__all__ = ["Governor", "GovernorStats"]

WINDOW_MS = 200.0
"""Time constant of the load, by default."""
SINGLE = 0.9
"""One chunk that takes this share of its own duration sheds at once, by default: the next might be late."""
MAX_HOLD_S = 60.0


@dataclass(frozen=True, slots=True)
class GovernorStats:
    """What a governor has decided.

    Attributes:
        level: Stages shed now.
        load: Processing time as a share of the audio's duration, lately.
        sheds: Times that a stage was shed.
        restores: Times that one was taken up again.
        misses: Chunks that took longer than they last.
        shed_ms: Audio processed with less than everything.
    """

    level: int
    load: float
    sheds: int
    restores: int
    misses: int
    shed_ms: float


class Governor:
    """Sheds work, one stage at a time, while the load is above a budget, and takes it up again when there is room.

    Time is that of the audio. After a stage taken up had to be shed again soon, the wait before the next attempt
    doubles, up to a minute, so that a load at the edge does not make the sound change to and fro.

    Args:
        levels: Stages that may be shed.
        budget: Share of real time that processing may take.
        room: Share below which there is room for another stage.
        hold_s: Shortest wait before a stage is taken up again, seconds of audio.
        window_ms: Over which the load is taken.
        single: One chunk that takes this share of its own duration sheds at once.
    """

    def __init__(
        self,
        levels: int,
        *,
        budget: float = 0.5,
        room: float = 0.25,
        hold_s: float = 2.0,
        window_ms: float = WINDOW_MS,
        single: float = SINGLE,
    ) -> None:
        if levels < 0 or not 0.0 < room < budget <= 1.0 or min(hold_s, window_ms, single) <= 0.0:
            raise ConfigError(f"a governor needs 0 < room < budget <= 1: {levels=}, {room=}, {budget=}, {hold_s=}")
        self.levels, self.budget, self.room = levels, budget, room
        self._window_ms, self._single = window_ms, single
        self._shortest_s = self._hold_s = hold_s
        self.level = 0
        self._load = self._calm_ms = self._since_restore_ms = self._shed_ms = 0.0
        self._settle_ms = 0.0
        self._sheds = self._restores = self._misses = 0

    def observe(self, cost_ms: float, audio_ms: float) -> int:
        """Account for a chunk.

        Args:
            cost_ms: Time its processing took.
            audio_ms: How long it lasts.

        Returns:
            How many stages are to be shed from now on.
        """
        if audio_ms <= 0.0:
            return self.level
        share = cost_ms / audio_ms
        weight = min(1.0, audio_ms / self._window_ms)
        self._load += (share - self._load) * weight
        self._misses += share > 1.0
        self._settle_ms = max(0.0, self._settle_ms - audio_ms)
        self._since_restore_ms += audio_ms
        self._shed_ms += audio_ms if self.level else 0.0
        self._calm_ms = self._calm_ms + audio_ms if self._load < self.room else 0.0
        over = share > self._single or self._load > self.budget
        if over and self.level < self.levels and not self._settle_ms:
            self._shed()
        elif self.level and self._calm_ms >= self._hold_s * 1000.0:
            self._restore()
        return self.level

    def _shed(self) -> None:
        self.level += 1
        self._sheds += 1
        if self._restores and self._since_restore_ms < 2000.0 * self._hold_s:
            self._hold_s = min(MAX_HOLD_S, 2.0 * self._hold_s)
        else:
            self._hold_s = self._shortest_s
        # what was measured so far was measured with the stage: see what is without it before the next decision
        self._settle_ms, self._calm_ms = self._window_ms / 4.0, 0.0
        self._load = min(self._load, self.budget)

    def _restore(self) -> None:
        self.level -= 1
        self._restores += 1
        self._calm_ms = self._since_restore_ms = 0.0

    def stats(self) -> GovernorStats:
        """Decisions so far."""
        return GovernorStats(self.level, self._load, self._sheds, self._restores, self._misses, self._shed_ms)
