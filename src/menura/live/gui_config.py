"""Settings of an RVC under the names of its user interface."""

from dataclasses import dataclass
from typing import Any

from menura.live.simple_rvc import parameters_of
from menura.neural.stream.settings import RvcSettings
from menura.voices.rvc_options import OPTIONS
from menura.voices.rvc_plan import RvcPlan, check_options, plan_options, settings_of

__all__ = ["GUIConfig"]


@dataclass(slots=True)
class GUIConfig:
    """Settings of an :class:`~menura.live.rvc.RVC`, under the names of its user interface.

    Attributes:
        pth_path: The voice, ``.pth``.
        index_path: Its feature index, ``.index``; may be missing.
        pitch: Semitones.
        formant: Semitones.
        index_rate: Share of the index's features, 0…1.
        rms_mix_rate: 1 leaves the model's loudness, 0 takes the speaker's.
        protect: Below 0.5 consonants are protected from the index.
        threshold: RMS level below which the speaker is taken for silent, dBFS.
        speaker_id: Of the voice's speakers.
        f0method: ``rmvpe`` or ``fcpe``; ``swift``, which has an extra of that name; or ``tracker``, which needs no
            model.
        block_time: New audio for each computation, s.
        extra_time: What the model hears before it, s; None: as ``quality`` says.
        hubert_path: The content model; by default the one that ``menura models pull`` has got.
        rmvpe_path: RMVPE's, or FCPE's, as that.
        provider: Where networks run: ``cpu``, ``cuda``, …; "" for the processor, or what ``MENURA_PROVIDER`` says.
        n_cpu: Threads of a computation; 0 for as many as there are cores.
        quality: ``best``, ``balanced``, ``fast`` or ``lightest``; "" for ``balanced``, or what ``MENURA_QUALITY`` says.
        precision: ``auto``, ``fp32``, ``int8``, ``bf16`` or ``fp16``; "" as ``quality`` says.
        decoder: ``auto``, ``fp32`` or ``bf16``: what the decoder computes in on a processor; "" as ``quality`` says.
        adapt: Whether the context becomes shorter while blocks take too long.
    """

    pth_path: str = ""
    index_path: str = ""
    pitch: float = 0.0
    formant: float = 0.0
    index_rate: float = 0.0
    rms_mix_rate: float = 1.0
    protect: float = 0.5
    threshold: float = -60.0
    speaker_id: int = 0
    f0method: str = "rmvpe"
    block_time: float = 0.25
    extra_time: float | None = None
    hubert_path: str = ""
    rmvpe_path: str = ""
    provider: str = ""
    n_cpu: int = 0
    quality: str = ""
    precision: str = ""
    decoder: str = ""
    adapt: bool = True

    def options(self) -> dict[str, Any]:
        """As a voice's stage has them.

        Raises:
            ConfigError: A value cannot be; the text names it.
        """
        found: dict[str, Any] = {}
        for option in OPTIONS.values():
            value = getattr(self, option.gui) if option.gui else None
            if value is None or value == "":
                continue
            option.check(value, gui=True)
            found[option.name] = 1000.0 * value if option.gui_unit == "s" else value
        return found

    def check(self) -> None:
        """See that every value is one it can have, and that they go together.

        Raises:
            ConfigError: One is not; the text names it.
        """
        parameters_of(self.pitch, self.formant)
        check_options(self.options())
        self.settings()

    def settings(self) -> RvcSettings:
        """What may change while it runs."""
        return settings_of(self.options())

    def plan(self) -> RvcPlan:
        """What the rest comes to on this machine."""
        return plan_options(self.options())
