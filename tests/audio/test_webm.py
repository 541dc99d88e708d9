import io

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menura.audio.files import read_audio
from menura.audio.opus_packet import make_head
from menura.audio.webm import CLUSTER_ID, WebmOpusDecoder, is_webm
from menura.errors import ConfigError, FormatError
from tests.audio.test_opus import lag

RATE = 24_000


def muxed(x, channels=1, **options):
    file = io.BytesIO()
    with av.open(file, "w", format="webm", options=options) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono" if channels == 1 else "stereo")
        stream.bit_rate = 64_000 * channels
        for at in range(0, len(x), 960):
            part = np.ascontiguousarray(x[at : at + 960]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "flt", stream.layout.name)
            frame.rate, frame.pts = RATE, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def decoded(data, rate=RATE, channels=1, size=None):
    decoder = WebmOpusDecoder(rate, channels)
    size = size or max(1, len(data))
    parts = [decoder.decode(data[at : at + size]) for at in range(0, len(data), size)]
    return np.concatenate([*parts, decoder.flush()]), decoder


@pytest.fixture(scope="module")
def clip():
    return read_audio("tests/fixtures/speech/bf_emma_u1.flac")[0][: 2 * RATE + 77]


@pytest.fixture(scope="module")
def webm(clip):
    return muxed(clip)


@pytest.mark.parametrize("options", [{}, {"live": "1"}, {"cluster_time_limit": "200"}])
def test_speech_comes_back_with_its_length_and_place(clip, options):
    y, decoder = decoded(muxed(clip, **options))
    assert len(y) == len(clip)
    assert abs(lag(y, clip)) <= 2
    assert np.corrcoef(clip[:, 0], y[:, 0])[0, 1] > 0.9
    assert (decoder.skipped_bytes, decoder.corrupt_packets) == (0, 0)
    assert decoder.packets == 101


@pytest.mark.parametrize("size", [1, 5, 160, 4096])
def test_any_cut_gives_the_same_samples(webm, size):
    np.testing.assert_array_equal(decoded(webm, size=size)[0], decoded(webm)[0])


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_any_rate_has_the_exact_length(clip, webm, rate):
    assert len(decoded(webm, rate)[0]) == 2 * len(clip) * rate // 48_000


def test_channels_are_mixed_or_widened(clip):
    both = np.concatenate([clip, 0.5 * clip], axis=1)
    y, _ = decoded(muxed(both, 2), channels=1)
    assert np.std(y) / np.std(clip) == pytest.approx(0.75, abs=0.02)
    y, _ = decoded(muxed(both, 2), channels=2)
    assert np.std(y[:, 1]) / np.std(y[:, 0]) == pytest.approx(0.5, abs=0.02)
    assert decoded(muxed(clip), channels=4)[0].shape == (len(clip), 4)
    with pytest.raises(FormatError, match="cannot map 2 channels to 4"):
        decoded(muxed(both, 2), channels=4)


def test_a_recorder_that_begins_again_is_followed(clip, webm):
    y, _ = decoded(webm + webm, size=999)
    assert len(y) == 2 * len(clip)
    once = decoded(webm, 48_000)[0]
    twice = decoded(webm + webm, 48_000)[0]
    np.testing.assert_array_equal(twice, np.concatenate([once, once]))


def element(tag, data):
    return tag + (0x10_00_00_00 | len(data)).to_bytes(4, "big") + data


def test_other_tracks_and_large_pictures_are_passed_over(clip, webm):
    at = webm.index(CLUSTER_ID)
    video = element(b"\xa3", b"\x82\0\0\x80" + bytes(200_000))
    other = element(b"\xa3", b"\x83\0\0\x80" + bytes(100))
    size = 4 + 9 - webm[at + 4].bit_length()  # the cluster's own header
    y, decoder = decoded(webm[: at + size] + video + other + webm[at + size :], size=1000)
    np.testing.assert_array_equal(y, decoded(webm)[0])
    assert decoder.corrupt_packets == 0


def test_damage_costs_at_most_a_cluster(clip):
    webm = bytearray(muxed(clip, cluster_time_limit="200"))
    clusters = [at for at in range(len(webm)) if webm.startswith(CLUSTER_ID, at)]
    assert len(clusters) > 5
    webm[clusters[3] + 30 : clusters[3] + 530] = bytes(500)
    y, decoder = decoded(bytes(webm))
    assert decoder.skipped_bytes > 0
    assert len(clip) - 0.3 * RATE < len(y) < len(clip)


def test_a_packet_that_does_not_decode_is_made_up(clip, webm):
    head = element(b"\xae", element(b"\xd7", b"\1") + element(b"\x86", b"A_OPUS") + element(b"\x63\xa2", make_head(1)))
    good = element(b"\xa3", b"\x81\0\0\x80" + bytes([0xFC]))
    bad = element(b"\xa3", b"\x81\0\0\x80" + b"\xff\xff\xff")
    laced = element(b"\xa3", b"\x81\0\0\x82" + bytes([0xFC]))
    y, decoder = decoded(head + good + bad + laced + good)
    assert len(y) == 4 * 480
    assert (decoder.packets, decoder.corrupt_packets) == (2, 2)


@pytest.mark.parametrize("data", [b"RIFF" * 100_000, b"\x1a\x45\xdf\xa3" + bytes(300_000), bytes(300_000), b"x"])
def test_what_has_no_opus_track_is_refused(data):
    with pytest.raises(FormatError, match="no WebM with an Opus track"):
        decoded(data)


def test_an_unsupported_head_is_refused():
    track = element(b"\xd7", b"\1") + element(b"\x86", b"A_OPUS") + element(b"\x63\xa2", b"OpusHead\x10\x01" + bytes(9))
    with pytest.raises(FormatError, match="version 16"):
        WebmOpusDecoder().decode(element(b"\xae", track))


def test_a_flushed_decoder_is_as_new(webm):
    decoder = WebmOpusDecoder(RATE)
    decoder.decode(webm[: len(webm) // 3])
    decoder.flush()
    y = np.concatenate([decoder.decode(webm), decoder.flush()])
    np.testing.assert_array_equal(y, decoded(webm)[0])
    assert len(decoder.flush()) == 0


def test_sniffing(webm):
    assert is_webm(webm)
    assert not is_webm(webm[1:])
    assert not is_webm(b"")
    with pytest.raises(ConfigError):
        WebmOpusDecoder(1)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_raises_anything_but_a_format_error(webm, data):
    damaged = bytearray(webm)
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip":
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del damaged[at : at + data.draw(st.integers(0, 2000))]
        else:
            damaged[at:at] = data.draw(st.binary(max_size=100))
        if not damaged:
            return
    try:
        y, _ = decoded(bytes(damaged), size=data.draw(st.integers(1, 5000)))
    except FormatError:
        return
    assert np.all(np.isfinite(y))
    assert np.abs(y).max(initial=0) < 8.0
