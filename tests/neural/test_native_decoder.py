"""The decoder in our own kernels beside the graph, which the official network's fixtures judge."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import prod

import numpy as np
import pytest

from menura.errors import FormatError, ModelError
from menura.neural.native import NativeDecoder, covers
from menura.neural.native.kernels import Team, bfloat16_sets, instruction_sets
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.decoder import decoder
from menura.neural.runtime import open_session
from menura.neural.synthesizer import Synthesizer
from tests.neural.rvc import ONE_THREAD, VOICES, Arrays, arrays, assert_same, snr_db, synthesizer, voice

USUAL = SynthesizerConfig(
    version="v2", f0=True, rate=48_000, features=768, inter=12, hidden=8, filter=8, heads=2, layers=1, kernel=3,
    resblock="1", resblock_kernels=(3, 7, 11), resblock_dilations=((1, 3, 5),) * 3, upsample_rates=(12, 10, 2, 2),
    upsample_initial=64, upsample_kernels=(24, 20, 4, 4), speakers=2, gin=6,
)  # fmt: skip
CONFIGS = {
    "v2 48k": USUAL,
    "v2 32k": replace(USUAL, upsample_rates=(10, 8, 2, 2), upsample_kernels=(20, 16, 4, 4)),
    "40k": replace(USUAL, upsample_rates=(10, 10, 2, 2), upsample_kernels=(16, 16, 4, 4), upsample_initial=128),
    "v1 48k, five stages": replace(
        USUAL, version="v1", upsample_rates=(10, 6, 2, 2, 2), upsample_kernels=(16, 16, 4, 4, 4)
    ),
    "no pitch": replace(USUAL, f0=False),
    "odd channels": replace(USUAL, upsample_initial=88, inter=10, gin=5),
    "few channels": replace(USUAL, upsample_initial=16),
    "other kernels": replace(USUAL, resblock_kernels=(1, 5, 9), resblock_dilations=((1,), (2, 4), (1, 7, 3))),
    "wide kernels": replace(USUAL, resblock_kernels=(13, 25), resblock_dilations=((1, 2), (3, 1))),
    "one block of type 2": replace(USUAL, resblock="2", resblock_kernels=(3,), resblock_dilations=((1, 3),)),
    "type 2": replace(USUAL, resblock="2", resblock_dilations=((1, 3), (1,), (5, 1, 2))),
    "odd rates without pitch": replace(
        USUAL, f0=False, upsample_rates=(5, 3), upsample_kernels=(11, 3), upsample_initial=40
    ),
    "one stage": replace(USUAL, upsample_rates=(4,), upsample_kernels=(8,)),
}  # fmt: skip
SETS = instruction_sets()
pytestmark = pytest.mark.skipif(not SETS, reason="the kernels are not written for this processor")


def _weights(config: SynthesizerConfig, seed: int = 3) -> Arrays:
    """Random weights of the decoder that keep the power of what passes through."""
    rng, made = np.random.default_rng(seed), {}

    def layer(name: str, *shape: int, gain: float = 1.0, inputs: int = 0, outputs: int = 0) -> None:
        scale = gain / np.sqrt(inputs or prod(shape[1:]))
        made[f"{name}.weight"] = (rng.standard_normal(shape) * scale).astype(np.float32)
        made[f"{name}.bias"] = (rng.standard_normal(outputs or shape[0]) * 0.02).astype(np.float32)

    count, initial = len(config.resblock_kernels), config.upsample_initial
    layer("dec.conv_pre", initial, config.inter, 7)
    layer("dec.cond", initial, config.gin, 1, gain=0.3)
    for stage, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernels, strict=True)):
        wide, narrow, stride = initial >> stage, initial >> (stage + 1), prod(config.upsample_rates[stage + 1 :])
        layer(f"dec.ups.{stage}", wide, narrow, kernel, inputs=wide * kernel // rate, outputs=narrow)
        last = stage == len(config.upsample_rates) - 1
        layer(f"dec.noise_convs.{stage}", narrow, 1, 1 if last else 2 * stride, gain=3.0)
        for index, width in enumerate(config.resblock_kernels):
            for step in range(len(config.resblock_dilations[index])):
                for part, gain in {"1": (("convs1", 1.0), ("convs2", 0.5)), "2": (("convs", 0.5),)}[config.resblock]:
                    layer(f"dec.resblocks.{stage * count + index}.{part}.{step}", narrow, narrow, width, gain=gain)
    layer("dec.conv_post", 1, initial >> len(config.upsample_rates), 7, gain=0.3)
    del made["dec.conv_post.bias"]
    return made


def _feeds(config: SynthesizerConfig, frames: int, spare: tuple[int, int] = (0, 0), batch: int = 1) -> Arrays:
    rng = np.random.default_rng(frames)
    feeds: Arrays = {
        "z": rng.standard_normal((batch, config.inter, frames)).astype(np.float32),
        "speaker": rng.standard_normal((batch, config.gin)).astype(np.float32),
        "spare": np.array(spare, np.int64),
    }
    if config.f0:
        time = np.arange(frames * config.hop) * 0.03
        feeds["excitation"] = (0.1 * np.sin(time + np.arange(batch)[:, None])).astype(np.float32)
    return feeds


def _graph(config: SynthesizerConfig, weights: Arrays, feeds: Arrays) -> np.ndarray:
    return open_session(decoder(config, weights), ONE_THREAD).run(**feeds)[0]


@pytest.mark.parametrize("case", CONFIGS)
def test_audio_is_the_graphs_for_any_sizes(case):
    config = CONFIGS[case]
    assert covers(config)
    weights = _weights(config)
    for frames, spare in ((1, (0, 0)), (9, (0, 0)), (26, (9, 3))):
        feeds = _feeds(config, frames, spare)
        assert_same(f"{case} {frames}", NativeDecoder(config, weights).run(**feeds)[0], _graph(config, weights, feeds))


@pytest.mark.parametrize("instructions", SETS)
def test_audio_is_the_graphs_in_every_instruction_set(instructions):
    config = replace(USUAL, upsample_initial=256)
    weights, feeds = _weights(config), _feeds(config, 14)
    ours = NativeDecoder(config, weights, instructions=instructions).run(**feeds)[0]
    assert_same(f"set {instructions}", ours, _graph(config, weights, feeds))


def test_audio_is_the_graphs_where_wide_layers_are_lean():
    config = replace(USUAL, upsample_initial=512)
    weights, feeds = _weights(config), _feeds(config, 14, (2, 1))
    lean, fast = (NativeDecoder(config, weights, 2, lean=lean) for lean in (True, False))
    assert_same("lean", lean.run(**feeds)[0], _graph(config, weights, feeds))
    assert_same("fast", fast.run(**feeds)[0], _graph(config, weights, feeds))
    for name in ("dec.resblocks.0.convs1.0", "dec.resblocks.0.convs2.0"):
        assert lean._held.layers.packed[name].array.size < fast._held.layers.packed[name].array.size


@pytest.mark.skipif(not bfloat16_sets(), reason="this processor has no bfloat16")
@pytest.mark.parametrize("case", CONFIGS)
def test_audio_is_near_the_graphs_in_bfloat16(case):
    config = CONFIGS[case]
    weights, feeds = _weights(config), _feeds(config, 14, (2, 1))
    ours = NativeDecoder(config, weights, 2, instructions=bfloat16_sets()[0]).run(**feeds)[0]
    assert_same(case, ours, _graph(config, weights, feeds), floor_db=35.0)


def test_audio_is_the_graphs_for_random_sizes():
    rng = np.random.default_rng(11)
    for index in range(8):
        stages = int(rng.integers(1, 4))
        rates = tuple(int(2 * rate) for rate in rng.integers(1, 5, stages))
        kernels = tuple(int(rate + 2 * rng.integers(0, rate + 1)) for rate in rates)
        blocks = int(rng.integers(1, 4))
        config = replace(
            USUAL, f0=bool(rng.integers(2)), resblock=str(rng.integers(1, 3)), upsample_rates=rates,
            upsample_kernels=kernels, upsample_initial=int(rng.integers(8, 100)), gin=int(rng.integers(1, 20)),
            resblock_kernels=tuple(int(2 * half + 1) for half in rng.integers(0, 8, blocks)),
            resblock_dilations=tuple(tuple(map(int, rng.integers(1, 7, rng.integers(1, 4)))) for _ in range(blocks)),
        )  # fmt: skip
        assert covers(config)
        frames = int(rng.integers(1, 30))
        spare = int(rng.integers(0, frames)), 0
        weights, feeds = _weights(config, seed=index), _feeds(config, frames, spare, batch=2)
        threads = int(rng.integers(1, 4))
        ours = NativeDecoder(config, weights, threads).run(**feeds)[0]
        assert_same(f"{config} {frames} {spare}", ours, _graph(config, weights, feeds))


def test_audio_does_not_depend_on_the_number_of_threads():
    weights, feeds = _weights(USUAL), _feeds(USUAL, 40)
    alone = NativeDecoder(USUAL, weights, 1).run(**feeds)[0]
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(NativeDecoder(USUAL, weights, threads).run(**feeds)[0], alone)


def test_calls_from_several_threads_do_not_disturb_each_other():
    ours = NativeDecoder(USUAL, _weights(USUAL), 2)
    calls = [_feeds(USUAL, frames) for frames in (5, 12, 30, 8) * 6]
    alone = [ours.run(**feeds)[0] for feeds in calls]
    with ThreadPoolExecutor(4) as pool:
        for together, expected in zip(pool.map(lambda feeds: ours.run(**feeds)[0], calls), alone, strict=True):
            np.testing.assert_array_equal(together, expected)


def test_frames_that_are_spare_change_nothing():
    ours = NativeDecoder(USUAL, _weights(USUAL), 2)
    whole = ours.run(**_feeds(USUAL, 40))[0]
    hop = USUAL.hop
    for first, last in ((0, 39), (39, 0), (13, 5), (12, 27)):
        part = ours.run(**_feeds(USUAL, 40, (first, last)))[0]
        assert_same(f"{first} {last}", part, whole[:, first * hop : (40 - last) * hop])


def test_members_of_a_batch_are_their_own():
    ours, feeds = NativeDecoder(USUAL, _weights(USUAL), 2), _feeds(USUAL, 11, batch=3)
    together = ours.run(**feeds)[0]
    for index in range(3):
        one = {name: array if name == "spare" else array[index : index + 1] for name, array in feeds.items()}
        np.testing.assert_array_equal(ours.run(**one)[0], together[index : index + 1])


def test_what_is_not_finite_is_gone_with_the_next_call():
    ours, feeds = NativeDecoder(USUAL, _weights(USUAL), 2), _feeds(USUAL, 12)
    expected = ours.run(**feeds)[0]
    for value in (np.nan, np.inf, -np.inf, 3e38):
        poisoned = {name: array.copy() for name, array in feeds.items()}
        poisoned["z"][0, 3, 5] = value
        poisoned["excitation"][0, 100:120] = value
        ours.run(**poisoned)
        np.testing.assert_array_equal(ours.run(**feeds)[0], expected)


def test_weights_that_do_not_fit_are_named():
    weights = _weights(USUAL)
    lacking = {name: array for name, array in weights.items() if name != "dec.resblocks.4.convs1.2.weight"}
    with pytest.raises(ModelError, match=r"has no dec\.resblocks\.4\.convs1\.2\.weight"):
        NativeDecoder(USUAL, lacking)
    with pytest.raises(ModelError, match=r"dec\.ups\.1\.weight is 32×16×20, its config says 32×16×4000000"):
        NativeDecoder(replace(USUAL, upsample_kernels=(24, 4_000_000, 4, 4)), weights)
    with pytest.raises(ModelError, match=r"dec\.conv_pre\.weight is 64×12×7, its config says 1000000000×12×7"):
        NativeDecoder(replace(USUAL, upsample_initial=1_000_000_000), weights)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("z", np.zeros((1, 13, 9), np.float32)),
        ("z", np.zeros((12, 9), np.float32)),
        ("speaker", np.zeros((2, 6), np.float32)),
        ("excitation", np.zeros((1, 9 * 480 - 1), np.float32)),
        ("spare", np.array([4, 5])),
        ("spare", np.array([-1, 0])),
    ],
)
def test_inputs_that_do_not_fit_are_refused(name, wrong):
    ours = NativeDecoder(USUAL, _weights(USUAL))
    with pytest.raises(FormatError, match="decoder"):
        ours.run(**{**_feeds(USUAL, 9), name: wrong})


def test_sizes_the_kernels_are_not_written_for_are_left_to_the_graph():
    assert not covers(
        replace(USUAL, resblock="2", resblock_kernels=(3, 4, 11), resblock_dilations=((1, 2), (2, 4), (1, 2)))
    )
    assert not covers(replace(USUAL, resblock_dilations=((1,), (), (1,))))
    assert not covers(replace(USUAL, f0=False, upsample_kernels=(23, 20, 4, 4)))


def test_many_cores_are_left_to_the_graph_where_there_are_no_teams(monkeypatch):
    monkeypatch.setattr("menura.neural.native.decoder.TEAMS", False)
    assert covers(USUAL, 2)
    assert not covers(USUAL, 3)


def test_a_team_ends_while_nothing_runs():
    for _ in range(20):
        assert Team(3).threads >= 1


def test_a_smooth_latent_is_as_near_as_a_rough_one():
    # what is common to many points of a fast convolution cancels there: slow values are its hard case
    config = replace(USUAL, upsample_initial=128)
    weights, feeds = _weights(config), _feeds(config, 30)
    feeds["z"] = np.cumsum(feeds["z"], axis=2).astype(np.float32)
    ours = NativeDecoder(config, weights).run(**feeds)[0]
    assert snr_db(ours, _graph(config, weights, feeds)) > 100.0


class Identified(dict):
    """A checkpoint that tells which file it is of, and how often it was read."""

    identity, reads = "abc", 0

    def __getitem__(self, name):
        self.reads += 1
        return super().__getitem__(name)


def test_packed_weights_are_kept_and_mapped(tmp_path):
    feeds = _feeds(USUAL, 8)
    expected = NativeDecoder(USUAL, _weights(USUAL)).run(**feeds)[0]
    for reads in (True, False):
        weights = Identified(_weights(USUAL))
        ours = NativeDecoder(USUAL, weights, cache=tmp_path)
        assert bool(weights.reads) == reads
        np.testing.assert_array_equal(ours.run(**feeds)[0], expected)
    other = Identified(_weights(USUAL, seed=4))
    other.identity = "def"
    assert not np.array_equal(NativeDecoder(USUAL, other, cache=tmp_path).run(**feeds)[0], expected)


@pytest.mark.parametrize("damage", ["short", "table", "empty", "sizes"])
def test_kept_weights_that_are_damaged_are_made_anew(tmp_path, damage, caplog):
    feeds = _feeds(USUAL, 8)
    expected = NativeDecoder(USUAL, Identified(_weights(USUAL)), cache=tmp_path).run(**feeds)[0]
    (entry,) = tmp_path.iterdir()
    weights, table = entry / "weights.bin", entry / "table.json"
    if damage == "short":
        weights.write_bytes(weights.read_bytes()[:-64])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "table":
        table.write_text("{}")
    else:
        table.write_text(table.read_text().replace('"constants": ', '"constants": 99999'))
    again = Identified(_weights(USUAL))
    np.testing.assert_array_equal(NativeDecoder(USUAL, again, cache=tmp_path).run(**feeds)[0], expected)
    assert again.reads
    assert "kept damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    ours = NativeDecoder(USUAL, Identified(_weights(USUAL)), cache=tmp_path / "file" / "kept")
    assert ours.run(**_feeds(USUAL, 3))[0].shape == (1, 3 * USUAL.hop)
    assert "is not kept" in caplog.text


@pytest.mark.parametrize("name", VOICES)
def test_a_voice_has_the_same_audio_by_the_graph(name):
    held, checkpoint = arrays(name), voice(name)
    said = []
    for native in (True, False):
        model = Synthesizer(checkpoint.config, checkpoint.weights, replace(ONE_THREAD, native=native))
        said.append(model.convert(held["phone"], held.get("pitchf"), model.speaker(0), pitch=held.get("pitch")))
    assert not np.array_equal(*said)
    assert_same(name, *said)


@pytest.mark.skipif(not bfloat16_sets(), reason="this processor has no bfloat16")
@pytest.mark.parametrize("name", VOICES)
def test_a_voice_decodes_in_bfloat16_where_it_is_asked_for(name):
    held, checkpoint = arrays(name), voice(name)
    model = Synthesizer(checkpoint.config, checkpoint.weights, replace(ONE_THREAD, bfloat16=True))
    given = held["z"][None], model.speaker(0), held["har_source"][None] if checkpoint.config.f0 else None
    exact, ours = synthesizer(name).decode(*given), model.decode(*given)
    assert not np.array_equal(ours, exact)
    assert_same(name, ours, exact, floor_db=29.0)
