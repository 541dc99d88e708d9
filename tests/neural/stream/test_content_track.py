"""The content model's front end in a stream, beside that of all the audio at once."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from menura.errors import ModelError
from menura.neural.stream.content_track import ContentTrack
from menura.neural.stream.model import RvcModel, run
from tests.neural import rvc
from tests.utterances import speech

HOP, REACH = 320, 400
BLOCK, WINDOW = 6 * HOP, 40 * HOP
ROWS = 39
"""Of the window: the last has not all it reaches for."""


class Recorded:
    """A real content model that keeps what it is asked, and can fail."""

    def __init__(self, model):
        self.model, self.fronts, self.transforms, self.bad = model, [], [], False

    def compute(self, request):
        if request.name == "transform":
            self.transforms.append(request.arrays)
            rows = request.arrays[0]
            return rows, np.repeat(rows[:, None, :, :2], 3, axis=1)
        made = self.model.front(*request.arrays)
        self.fronts.append((*request.arrays, made))
        return np.full_like(made, np.nan) if self.bad else made


class Stream:
    """A track, and the audio that it has heard."""

    def __init__(self):
        self.model = rvc.content_model("hubert_tiny768", "v2")
        self.asked = Recorded(self.model)
        self.track = ContentTrack(self.model, WINDOW)
        self.wave = np.zeros(WINDOW, np.float32)

    def hear(self, x):
        for at in range(0, len(x), BLOCK):
            self.track.hear(x[at : at + BLOCK])
        self.wave = np.concatenate([self.wave, x])

    def rows(self, samples=WINDOW):
        return run(self.asked, self.track.steps(self.wave[-WINDOW:], samples))

    def whole(self):
        """Rows of the window, all with the normalisation of the last request."""
        *_, (_, factor, shift, _) = self.asked.fronts
        return self.model.front(self.wave[None, -WINDOW:], factor, shift)[0]


def _speech(blocks):
    return speech(16_000, "am_michael")[: blocks * BLOCK, 0]


def test_each_row_is_computed_once_and_is_that_of_all_the_audio():
    stream, made = Stream(), []
    x = _speech(30)
    for at in range(0, len(x), BLOCK):
        stream.hear(x[at : at + BLOCK])
        made.append(stream.rows())
    fronts = stream.asked.fronts
    assert fronts[0][0].shape[1] == 6 * HOP + REACH  # one more, which stands for the silence before
    assert {wav.shape[1] for wav, *_ in fronts[1:]} == {5 * HOP + REACH}
    assert all(len(rows) == ROWS for rows in made)
    for first, second in pairwise(made):
        assert np.array_equal(second[:-6], first[6:])
    for number in range(8, 30):
        # the rows that this block brought, of all the audio at once
        _, factor, shift, _ = fronts[number]
        whole = stream.model.front(stream.wave[None, WINDOW - HOP :], factor, shift)[0]
        rvc.assert_same(f"block {number}", made[number][-6:], whole[6 * number : 6 * number + 6])


def test_the_first_rows_stand_for_the_silence_before():
    stream = Stream()
    stream.hear(_speech(4)[-BLOCK:])
    rvc.assert_same("first", stream.rows(), stream.whole())
    assert stream.asked.fronts[0][0].shape[1] < 8 * HOP


@pytest.mark.parametrize("blocks", [1, 3, 20])
def test_rows_of_silence_that_was_skipped_are_right_when_speech_comes_again(blocks):
    stream, x = Stream(), _speech(20)
    for at in range(0, 10 * BLOCK, BLOCK):
        stream.hear(x[at : at + BLOCK])
        before = stream.rows()
    stream.hear(np.zeros(blocks * BLOCK, np.float32))
    stream.hear(x[10 * BLOCK : 11 * BLOCK])
    rows = stream.rows()
    missing = min(6 * (blocks + 1), ROWS)
    assert stream.asked.fronts[-1][0].shape[1] <= 7 * HOP + REACH
    assert np.array_equal(rows[:-missing], before[missing:])
    rvc.assert_same("after silence", rows[-missing:], stream.whole()[-missing:])


def test_what_was_heard_while_nothing_was_computed_is_computed_when_it_is_context():
    stream, x = Stream(), _speech(20)
    stream.hear(x[:BLOCK])
    stream.rows()
    stream.hear(x[BLOCK : 4 * BLOCK])
    rows = stream.rows()
    assert stream.asked.fronts[-1][0].shape[1] == 17 * HOP + REACH
    rvc.assert_same("some", rows[-18:], stream.whole()[-18:])
    stream.hear(x[4 * BLOCK :])
    rvc.assert_same("all", stream.rows(), stream.whole())
    assert stream.asked.fronts[-1][0].shape[1] == (ROWS - 1) * HOP + REACH


def test_silence_alone_is_one_row_for_all():
    stream = Stream()
    stream.hear(np.zeros(5 * BLOCK, np.float32))
    rows = stream.rows()
    assert np.isfinite(rows).all()
    rvc.assert_same("silence", rows, stream.whole())


def test_a_shorter_context_takes_the_newest_rows_and_forgets_none():
    stream, x = Stream(), _speech(20)
    for at in range(0, len(x), BLOCK):
        stream.hear(x[at : at + BLOCK])
        rows = stream.rows(WINDOW // 2 if at % (2 * BLOCK) else WINDOW)
    assert len(rows) == 19
    stream.hear(x[:BLOCK])
    assert np.array_equal(stream.rows()[:-6][-19:], rows)


def test_rows_that_are_no_numbers_do_not_stay():
    stream, clean, x = Stream(), Stream(), _speech(20)
    for at in range(0, len(x), BLOCK):
        stream.asked.bad = at == 10 * BLOCK
        for each in (stream, clean):
            each.hear(x[at : at + BLOCK])
        rows, want = stream.rows(), clean.rows()
        assert np.isfinite(rows).all() == (at != 10 * BLOCK)
    # computed once more with the block after it
    assert stream.asked.fronts[11][0].shape[1] == 11 * HOP + REACH
    assert rvc.snr_db(rows, want) > 40.0


def test_a_stream_is_nearer_to_all_of_its_audio_than_windows_by_themselves_are():
    """Those are normalised over the silence before it at first, and over two seconds later."""
    model, block, window = rvc.content_model("hubert_tiny768", "v2"), 12 * HOP, 112 * HOP
    ours, theirs = [], []
    for speaker in ("am_michael", "af_heart", "bf_emma", "bm_george"):
        x = speech(16_000, speaker)[: 24 * block, 0]
        all_at_once = model.front(x[None], *model.norm.over(x[None]))[0]
        track, wave = ContentTrack(model, window), np.zeros(window, np.float32)
        for end in range(block, len(x) + 1, block):
            new = x[end - block : end]
            wave = np.concatenate([wave[block:], new])
            track.hear(new)
            rows = run(Recorded(model), track.steps(wave, window))
            by_itself = model.front(wave[None], *model.norm.over(wave[None]))[0]
            want = all_at_once[max(0, end // HOP - 13) : end // HOP - 1]
            ours.append(rvc.snr_db(rows[-len(want) :], want))
            theirs.append(rvc.snr_db(by_itself[-len(want) :], want))
    first = np.arange(len(ours)) % 24 < 8
    for part in (first, ~first):
        assert np.array(ours)[part].mean() > np.array(theirs)[part].mean() + 2.0


def test_a_model_of_another_grid_is_refused():
    class Config:
        hop = 160

    class Coarse:
        channels, HOP, config = 768, 320, Config

    with pytest.raises(ModelError, match="every 160"):
        RvcModel(Coarse(), rvc.synthesizer("v2_48k_f0"), rvc.rmvpe_pitch())


# --- keys and values

AGAIN = 0.2
"""Of 39 rows 8."""


class Carried:
    """A real content model that computes few rows again; keeps what it is asked, and by row what it has said last."""

    def __init__(self):
        self.model, self.asked, self.end, self.bad = rvc.content_model("hubert_tiny768", "v2"), [], 0, False
        self.kept, self.said = {}, {}

    def __getattr__(self, name):
        return AGAIN if name == "again" else getattr(self.model, name)

    def compute(self, request):
        if request.name == "front":
            return self.model.front(*request.arrays)
        features, kept = self.model.transform(*request.arrays)
        self.asked.append(request.arrays)
        for number in range(features.shape[1]):
            at = self.end - features.shape[1] + number
            self.said[at], self.kept[at] = features[0, number], kept[0, :, number]
        return (np.full_like(features, np.nan) if self.bad else features), kept

    def stream(self, blocks):
        """Yields the features after each block of speech; None in the place of one: it is only heard."""
        track, wave = ContentTrack(self, WINDOW), np.zeros(WINDOW, np.float32)
        x = _speech(len(blocks))
        for number, samples in enumerate(blocks):
            new = x[number * BLOCK : (number + 1) * BLOCK]
            wave = np.concatenate([wave[BLOCK:], new])
            track.hear(new)
            self.end += 6
            yield None if samples is None else run(self, track.steps(wave, samples))

    def check(self, features):
        """It is what was said last of each row, and its keys and values were those of the rows before."""
        rows, before, past = (*self.asked[-1], None, None)[:3]
        first = self.end - rows.shape[1]
        want = np.stack([self.said[at] for at in range(self.end - len(features), self.end)])
        assert np.array_equal(features, want)
        if past is not None:
            held = np.stack([self.kept[at] for at in range(self.end - len(features), first)], axis=1)
            assert np.array_equal(past[0], held)
            assert before.shape[1] == self.model.before
        return rows.shape[1], 0 if past is None else past.shape[2]


def test_only_the_end_of_a_window_is_computed_given_what_was_carried():
    model = Carried()
    sizes = [model.check(features) for features in model.stream([WINDOW] * 20)]
    assert sizes == [(ROWS, 0)] + [(14, 25)] * 19


def test_what_was_only_heard_is_computed_with_the_next_block():
    model = Carried()
    sizes = [model.check(f) for f in model.stream([WINDOW, WINDOW, None, None, WINDOW, WINDOW]) if f is not None]
    assert sizes[1:] == [(14, 25), (26, 13), (14, 25)]
    model = Carried()
    sizes = [model.check(f) for f in model.stream([WINDOW] + [None] * 9 + [WINDOW, WINDOW]) if f is not None]
    assert sizes[1:] == [(ROWS, 0), (14, 25)]


def test_a_shorter_context_uses_less_of_what_is_carried_and_loses_none():
    model, half = Carried(), WINDOW // 2
    sizes = [model.check(f) for f in model.stream([WINDOW, half, half, WINDOW, half // 2, WINDOW])]
    assert sizes == [(ROWS, 0), (14, 5), (14, 5), (14, 25), (9, 0), (14, 25)]
    # one that grows beyond what was ever computed is computed anew
    model = Carried()
    sizes = [model.check(f) for f in model.stream([half, half, WINDOW, WINDOW])]
    assert sizes == [(19, 0), (14, 5), (ROWS, 0), (14, 25)]


def test_features_that_are_no_numbers_do_not_stay():
    model, made = Carried(), []
    for number, features in enumerate(model.stream([WINDOW] * 8)):
        model.bad = number == 3
        made.append(features)
        if number not in (4, 5):
            model.check(features)
    assert [len(arrays) for arrays in model.asked] == [1, 3, 3, 3, 3, 1, 3, 3]
    assert np.isnan(made[4]).any()
    assert all(np.isfinite(features).all() for number, features in enumerate(made) if number != 4)


def test_no_more_is_computed_again_than_positions_look_back():
    model = Carried()
    real = {name: getattr(model.model, name) for name in ("HOP", "RATE", "reach", "norm", "front")}
    model.model = SimpleNamespace(**real, before=3, transform=lambda rows, *_: (rows, rows[:, None]))
    sizes = [model.check(features) for features in model.stream([WINDOW] * 3)]
    assert sizes == [(ROWS, 0), (9, 30), (9, 30)]
