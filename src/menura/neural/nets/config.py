"""What a network's sizes are: read from a checkpoint, checked here, and all that the graphs need beside the weights."""

from dataclasses import dataclass
from math import prod

from menura.errors import ModelError

__all__ = ["FRONT_EPS", "FcpeConfig", "HubertConfig", "RmvpeConfig", "SynthesizerConfig"]


FRONT_EPS = 1e-5
"""Of the normalisations in HuBERT's front end."""


def _check(true: bool, text: str) -> None:
    if not true:
        raise ModelError(text)


@dataclass(frozen=True, slots=True)
class SynthesizerConfig:
    """Sizes of an RVC synthesizer.

    Attributes:
        version: ``v1`` (features of HuBERT's layer 9, projected) or ``v2`` (of its last layer).
        f0: The voice takes a pitch.
        rate: Of the audio it makes, Hz.
        features: Width of the content features: 256 or 768.
        inter, hidden, filter: Channels of the latent, of the text encoder and the flow, and of the feed-forward layers.
        heads, layers, kernel: Of the text encoder.
        resblock: ``1`` (two convolutions per dilation) or ``2`` (one).
        resblock_kernels, resblock_dilations: Of the decoder's residual blocks.
        upsample_rates, upsample_initial, upsample_kernels: Of the decoder's stages.
        speakers: Rows of the speaker table.
        gin: Width of the speaker embedding.

    Raises:
        ModelError: The sizes do not make a network.
    """

    version: str
    f0: bool
    rate: int
    features: int
    inter: int
    hidden: int
    filter: int
    heads: int
    layers: int
    kernel: int
    resblock: str
    resblock_kernels: tuple[int, ...]
    resblock_dilations: tuple[tuple[int, ...], ...]
    upsample_rates: tuple[int, ...]
    upsample_initial: int
    upsample_kernels: tuple[int, ...]
    speakers: int
    gin: int

    def __post_init__(self) -> None:
        _check(self.version in ("v1", "v2"), f"an RVC voice is of version v1 or v2, not {self.version!r}")
        sizes: tuple[int, ...] = (
            self.rate,
            self.features,
            self.inter,
            self.hidden,
            self.filter,
            self.heads,
            self.kernel,
        )
        _check(self.layers >= 0, "a voice's sizes are above 0")
        sizes += (self.upsample_initial, self.speakers, self.gin, *self.upsample_rates, *self.upsample_kernels)
        _check(all(size > 0 for size in (*sizes, *self.resblock_kernels)), "a voice's sizes are above 0")
        _check(self.hidden % self.heads == 0, f"{self.hidden} hidden channels do not divide among {self.heads} heads")
        _check(self.inter % 2 == 0, f"the flow halves its channels: {self.inter} is odd")
        _check(self.resblock in ("1", "2"), f"residual blocks are of type '1' or '2', not {self.resblock!r}")
        _check(bool(self.upsample_rates) and bool(self.resblock_kernels), "a decoder has stages and residual blocks")
        _check(
            len(self.upsample_rates) == len(self.upsample_kernels), "each upsampling stage has one rate and one kernel"
        )
        _check(
            len(self.resblock_kernels) == len(self.resblock_dilations),
            "each residual block has one kernel and one list of dilations",
        )
        halved = self.upsample_initial >> len(self.upsample_rates)
        _check(halved > 0, f"{self.upsample_initial} channels cannot be halved {len(self.upsample_rates)} times")
        self._check_upsampling()
        self._check_blocks()

    def _check_upsampling(self) -> None:
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernels, strict=True):
            fits = kernel >= rate and not (self.f0 and (kernel - rate) % 2)
            _check(fits, f"an upsampling kernel of {kernel} does not fit a rate of {rate}")
        for stage in range(1, len(self.upsample_rates) if self.f0 else 0):
            factor = prod(self.upsample_rates[stage:])
            _check(factor % 2 == 0, f"an excitation cannot be brought down by an odd factor, {factor}")

    def _check_blocks(self) -> None:
        # what such a block adds to its input would be one sample shorter
        for kernel, dilations in zip(self.resblock_kernels, self.resblock_dilations, strict=True):
            even = any((kernel - 1) * d % 2 for d in (dilations if self.resblock == "2" else (1,)))
            _check(
                not even, f"a residual kernel of {kernel} does not fit dilations of {', '.join(map(str, dilations))}"
            )

    @property
    def hop(self) -> int:
        """Output frames for one feature frame of 10 ms."""
        return prod(self.upsample_rates)


@dataclass(frozen=True, slots=True)
class HubertConfig:
    """Sizes of a HuBERT or ContentVec encoder.

    Attributes:
        hidden, intermediate, heads, layers: Of the transformer.
        conv_dim, conv_kernel, conv_stride: Of the convolutional front end, one entry a layer.
        pos_kernel, pos_groups: Of the positional convolution.
        eps: Of every normalisation but the front end's, which are trained with 1e-5 whatever the rest is.
        conv_bias: The front end's convolutions have a bias.
        conv_norm: ``group`` (one normalisation over the window, after the first) or ``layer`` (after each).
        pre_norm: Layers are normalised before attention and feed-forward, not after.
        projection: Width of ``final_proj``, 0 where the checkpoint has none.

    Raises:
        ModelError: The sizes do not make a network.
    """

    hidden: int = 768
    intermediate: int = 3072
    heads: int = 12
    layers: int = 12
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    pos_kernel: int = 128
    pos_groups: int = 16
    eps: float = 1e-5
    conv_bias: bool = False
    conv_norm: str = "group"
    pre_norm: bool = False
    projection: int = 0

    def __post_init__(self) -> None:
        sizes = (self.hidden, self.intermediate, self.heads, self.layers, self.pos_kernel, self.pos_groups)
        _check(all(size > 0 for size in sizes), "a HuBERT's sizes are above 0")
        _check(self.hidden % self.heads == 0, f"{self.hidden} hidden channels do not divide among {self.heads} heads")
        _check(
            self.hidden % self.pos_groups == 0, f"{self.hidden} channels do not divide into {self.pos_groups} groups"
        )
        _check(
            len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride) > 0,
            "each layer of HuBERT's front end has one width, one kernel and one stride",
        )
        _check(self.conv_norm in ("group", "layer"), f"the front end's norm is group or layer, not {self.conv_norm!r}")

    @property
    def hop(self) -> int:
        """Input frames, at 16 kHz, for one output frame."""
        return prod(self.conv_stride)

    @property
    def reach(self) -> int:
        """Input frames that one output frame is made of, before positions and attention."""
        width = 1
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride), strict=True):
            width = (width - 1) * stride + kernel
        return width

    def frames(self, samples: int) -> int:
        """Output frames for a window of ``samples`` at 16 kHz; 0 where it is too short."""
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
        return samples


@dataclass(frozen=True, slots=True)
class RmvpeConfig:
    """Sizes of an RMVPE pitch network, ``E2E(blocks, gru_layers, (2, 2))``.

    Attributes:
        blocks: Residual blocks a level.
        levels: Levels of the U-net on each side.
        inter_levels: Levels between the sides.
        channels: Of the first level; each level doubles them.
        gru_layers: Of the recurrent head; 0: one linear layer.
        gru_hidden: Units of each direction.
        bins: Pitch classes, 20 cents each.
        mels: Height of the spectrogram.

    Raises:
        ModelError: The sizes do not make a network.
    """

    blocks: int = 4
    levels: int = 5
    inter_levels: int = 4
    channels: int = 16
    gru_layers: int = 1
    gru_hidden: int = 256
    bins: int = 360
    mels: int = 128

    def __post_init__(self) -> None:
        sizes = (self.blocks, self.levels, self.inter_levels, self.channels, self.bins, self.mels)
        _check(all(size > 0 for size in sizes) and self.gru_layers >= 0, "an RMVPE's sizes are above 0")
        _check(self.mels % self.stride == 0, f"{self.mels} mel bands cannot be halved {self.levels} times")

    @property
    def stride(self) -> int:
        """Frames must be a multiple of this."""
        return 1 << self.levels


@dataclass(frozen=True, slots=True)
class FcpeConfig:
    """Sizes of an FCPE pitch network.

    Attributes:
        mels, hidden, layers, heads, bins: Of the network: input bands, channels, conformer layers, attention heads,
            pitch classes.
        kernel: Of the conformers' convolutions.
        conv_only: The conformers have no attention.
        f0_min, f0_max: Range of the pitch classes, Hz.
        rate, fft, window, hop, mel_min, mel_max: Of the spectrogram it takes; Hz and samples.

    Raises:
        ModelError: The sizes do not make a network.
    """

    mels: int = 128
    hidden: int = 512
    layers: int = 6
    heads: int = 8
    bins: int = 360
    kernel: int = 31
    conv_only: bool = True
    f0_min: float = 32.7
    f0_max: float = 1975.5
    rate: int = 16_000
    fft: int = 1024
    window: int = 1024
    hop: int = 160
    mel_min: float = 0.0
    mel_max: float = 8000.0

    def __post_init__(self) -> None:
        sizes = (self.mels, self.hidden, self.layers, self.heads, self.bins, self.kernel, self.rate, self.hop)
        if any(size < 1 for size in (*sizes, self.fft, self.window)) or self.window > self.fft:
            raise ModelError("an FCPE's sizes are above 0, and its window is not wider than its transform")
        if not 0 < self.f0_min < self.f0_max or not 0 <= self.mel_min < self.mel_max:
            raise ModelError("an FCPE's pitches and bands go from low to high")
