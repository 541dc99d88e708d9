import io
import struct

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menura.audio.files import read_audio
from menura.audio.ogg import BOS, EOS, HOPELESS, PageReader, make_pages
from menura.audio.opus import OggOpusDecoder, OggOpusEncoder, OpusDecoder, OpusEncoder, is_ogg_opus, packet_frames
from menura.audio.opus_packet import RateConverter, make_head
from menura.errors import ConfigError, FormatError

SPEECH = "tests/fixtures/speech/af_heart_u1.flac"


def speech(seconds=None):
    x, rate = read_audio(SPEECH)
    return x[: len(x) if seconds is None else int(seconds * rate)], rate


def encoded(x, rate, **options):
    encoder = OggOpusEncoder(rate, x.shape[1], serial=7, **options)
    return encoder.encode(x) + encoder.flush()


def muxed(x, rate, bit_rate=64_000):
    """The same by FFmpeg's own encoder and muxer."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout="mono" if x.shape[1] == 1 else "stereo")
        stream.bit_rate = bit_rate
        for at in range(0, len(x), 960):
            part = np.ascontiguousarray(x[at : at + 960]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "flt", stream.layout.name)
            frame.rate, frame.pts = rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def decoded(data, rate=24_000, channels=1, size=None):
    decoder = OggOpusDecoder(rate, channels)
    size = size or max(1, len(data))
    parts = [decoder.decode(data[at : at + size]) for at in range(0, len(data), size)]
    return np.concatenate([*parts, decoder.flush()]), decoder.stats()


def lag(y, x):
    n = 1 << (len(x) + len(y)).bit_length()
    lags = np.fft.irfft(np.fft.rfft(y[:, 0], n) * np.conj(np.fft.rfft(x[:, 0], n)), n)
    at = int(np.argmax(lags))
    return at - n if at > n // 2 else at


def snr_db(y, x):
    return 10 * np.log10(np.sum(x**2) / np.sum((y - x) ** 2))


@pytest.fixture(scope="module")
def clip():
    return speech(2.0)


@pytest.fixture(scope="module")
def ogg(clip):
    return encoded(*clip)


@pytest.mark.parametrize("make", [encoded, muxed])
def test_speech_comes_back_with_its_length_place_and_level(make):
    x, rate = speech()
    y, stats = decoded(make(x, rate), rate)
    assert len(y) == len(x)
    assert abs(lag(y, x)) <= 2
    assert abs(20 * np.log10(np.std(y) / np.std(x))) < 0.5
    assert np.corrcoef(x[:, 0], y[:, 0])[0, 1] > 0.85
    assert (stats.links, stats.corrupt_pages, stats.lost_pages, stats.concealed_ms) == (1, 0, 0, 0.0)


def test_a_high_bit_rate_keeps_the_waveform(clip):
    x, rate = clip
    y, _ = decoded(encoded(x, rate, bitrate=256_000, application="audio"), rate)
    assert snr_db(y, x) > 25.0


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_any_rate_has_the_exact_length_and_place(clip, rate):
    x, _ = clip
    at_48k, _ = decoded(encoded(x, 24_000), 48_000)
    y, _ = decoded(encoded(x, 24_000), rate)
    assert len(at_48k) == 2 * len(x)
    assert len(y) == 2 * len(x) * rate // 48_000
    near = RateConverter(rate, 48_000, 1)
    back = np.concatenate([near.process(y), near.flush()])[near.latency :]
    assert abs(lag(back, at_48k)) <= 6  # a frame at 8 kHz


@pytest.mark.parametrize("rate", [8000, 12_000, 16_000, 22_050, 44_100, 48_000])
def test_any_rate_can_be_encoded(rate):
    t = np.arange(rate)[:, None] / rate
    x = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    y, _ = decoded(encoded(x, rate, bitrate=96_000, application="audio"), rate)
    assert len(y) == len(x)
    assert lag(y[:, :], x) in (-1, 0, 1)
    assert snr_db(y[2000:-2000], x[2000:-2000]) > 25.0


@pytest.mark.parametrize("size", [1, 7, 27, 160, 999, 4096])
def test_any_cut_gives_the_same_samples(ogg, size):
    whole, _ = decoded(ogg)
    y, _ = decoded(ogg, size=size)
    np.testing.assert_array_equal(y, whole)


@pytest.mark.parametrize(("have", "want"), [(1, 2), (2, 1), (2, 2), (1, 6)])
def test_channels_are_mixed_or_widened(clip, have, want):
    x, rate = clip
    x = np.repeat(x, have, axis=1) * np.linspace(1.0, 0.5, have, dtype=np.float32)
    y, _ = decoded(encoded(x, rate, bitrate=128_000, application="audio"), rate, want)
    assert y.shape == (len(x), want)
    expected = x.mean(axis=1) if want == 1 else x[:, 0]
    assert np.corrcoef(expected, y[:, 0])[0, 1] > 0.98
    level = np.std(y[:, -1]) / np.std(x.mean(axis=1) if want != have else x[:, -1])
    assert level == pytest.approx(1.0, abs=0.05)


def test_chained_streams_follow_each_other(clip):
    x, rate = clip
    one, two = OggOpusEncoder(rate), OggOpusEncoder(rate)
    data = one.encode(x) + one.flush() + two.encode(x[:10_000]) + two.flush() + one.encode(x[:100]) + one.flush()
    y, stats = decoded(data, rate, size=500)
    assert len(y) == len(x) + 10_100
    assert stats.links == 3
    assert abs(lag(y[len(x) : len(x) + 10_000], x[:10_000])) <= 2


def test_other_streams_in_the_same_ogg_are_passed_over(clip):
    x, rate = clip
    other = make_pages([b"\x01vorbis"], granule=0, serial=1, sequence=0, flags=BOS)[0]
    second = make_pages([make_head(1)], granule=0, serial=2, sequence=0, flags=BOS)[0]
    ogg = encoded(x, rate)
    first = ogg.index(b"OggS", 4)
    noise = make_pages([b"whatever" * 100], granule=960, serial=1, sequence=1)[0]
    y, stats = decoded(other + ogg[:first] + second + noise + ogg[first:], rate)
    np.testing.assert_array_equal(y, decoded(ogg, rate)[0])
    assert (stats.links, stats.lost_pages) == (1, 0)


def test_output_gain_is_applied(clip):
    x, rate = clip
    ogg = encoded(x, rate)
    head = make_head(1, struct.unpack_from("<H", ogg, 38)[0])
    head = head[:16] + struct.pack("<h", -6 * 256) + head[18:]
    page = make_pages([head], granule=0, serial=7, sequence=0, flags=BOS)[0]
    y, _ = decoded(page + ogg[ogg.index(b"OggS", 4) :], rate)
    np.testing.assert_allclose(y, decoded(ogg, rate)[0] * 10 ** (-6 / 20), atol=1e-6)


def test_large_tags_are_passed_over(clip):
    x, rate = clip
    ogg = encoded(x, rate)
    cut = [at for at in range(len(ogg)) if ogg.startswith(b"OggS", at)]
    tags = make_pages([b"OpusTags" + bytes(300_000)], granule=0, serial=7, sequence=1)
    rest = b"".join(
        b"".join(make_pages(page.parts, granule=page.granule, serial=7, sequence=len(tags) + n + 1, flags=page.flags))
        for n, page in enumerate(read_pages(ogg[cut[2] :]))
    )
    y, stats = decoded(ogg[: cut[1]] + b"".join(tags) + rest, rate)
    np.testing.assert_array_equal(y, decoded(ogg, rate)[0])
    assert (stats.lost_pages, stats.corrupt_packets) == (0, 0)


def read_pages(data):
    reader = PageReader()
    reader.give(data)
    pages = []
    while (page := reader.next()) is not None:
        pages.append(page)
    return pages


def test_a_packet_over_many_pages_is_joined_again():
    packets = [bytes([k]) * n for k, n in enumerate([0, 1, 254, 255, 256, 510, 65_025, 200_000, 3])]
    data = b"".join(make_pages(packets, granule=99, serial=5, sequence=3, flags=EOS))
    found, partial = [], b""
    for page in read_pages(data):
        parts = list(page.parts)
        if parts:
            parts[0] = partial + parts[0]
        partial = parts.pop() if page.open else b""
        found += parts
    assert found == packets
    pages = read_pages(data)
    assert [page.sequence for page in pages] == list(range(3, 3 + len(pages)))
    assert [bool(page.flags & EOS) for page in pages] == [False] * (len(pages) - 1) + [True]
    assert all(page.granule in (-1, 99) for page in pages)


def test_a_lost_page_is_filled_so_that_positions_hold(clip):
    x, rate = clip
    ogg = encoded(x, rate)
    cuts = [at for at in range(len(ogg)) if ogg.startswith(b"OggS", at)]
    y, stats = decoded(ogg[: cuts[8]] + ogg[cuts[9] :], rate)
    assert len(y) == len(x)
    assert (stats.lost_pages, stats.concealed_ms) == (1, 100.0)
    whole, _ = decoded(ogg, rate)
    after = slice(int(0.9 * rate), None)
    assert snr_db(y[after], whole[after]) > 15.0


def test_a_corrupt_page_is_skipped_and_the_stream_goes_on(clip):
    x, rate = clip
    ogg = bytearray(encoded(x, rate))
    cuts = [at for at in range(len(ogg)) if ogg.startswith(b"OggS", at)]
    ogg[cuts[8] + 60] ^= 1
    ogg[cuts[12] : cuts[12]] = b"garbage OggS garbage"
    y, stats = decoded(bytes(ogg), rate, size=100)
    assert len(y) == len(x)
    assert (stats.corrupt_pages, stats.lost_pages, stats.concealed_ms) == (1, 1, 100.0)
    assert stats.skipped_bytes == cuts[9] - cuts[8] + 20


def test_a_truncated_stream_gives_what_it_holds(clip):
    x, rate = clip
    ogg = encoded(x, rate)
    y, _ = decoded(ogg[: len(ogg) // 2], rate)
    assert 0.3 * len(x) < len(y) < 0.6 * len(x)
    np.testing.assert_array_equal(y[:10_000], decoded(ogg, rate)[0][:10_000])


def test_joined_in_the_middle_it_needs_the_head(clip):
    ogg = encoded(*clip)
    with pytest.raises(FormatError, match="no beginning"):
        decoded(ogg[len(ogg) // 2 :])


@pytest.mark.parametrize("data", [b"RIFF" + bytes(300_000), b"OggS" * 100_000])
def test_what_is_no_ogg_opus_is_refused_soon(data):
    with pytest.raises(FormatError, match=r"no Ogg"):
        OggOpusDecoder().decode(data)


def test_an_unsupported_head_is_refused_and_what_came_before_is_not_lost(clip):
    x, rate = clip
    bad = make_pages([b"OpusHead\x10\x01" + bytes(9)], granule=0, serial=9, sequence=0, flags=BOS)[0]
    decoder = OggOpusDecoder(rate)
    with pytest.raises(FormatError, match="version 16"):
        decoder.decode(encoded(x, rate) + bad)
    y = np.concatenate([decoder.decode(b""), decoder.flush()])
    assert len(y) == len(x)
    for channels, family in ((0, 0), (3, 0), (255, 255), (9, 1)):
        head = b"OpusHead\x01" + bytes([channels]) + bytes(8) + bytes([family]) + bytes(300)
        with pytest.raises(FormatError):
            decoder.decode(make_pages([head], granule=0, serial=9, sequence=0, flags=BOS)[0])


def test_pages_damaged_on_purpose_are_given_up():
    page = make_pages([bytes(100)], granule=0, serial=1, sequence=0)[0]
    with pytest.raises(FormatError, match="in a row"):
        OggOpusDecoder().decode((page[:40] + b"x" + page[41:]) * HOPELESS)


def test_few_bytes_that_hold_hours_are_bounded():
    silent = bytes([(31 << 3) | 3, 6])  # six frames of 20 ms without content
    pages = make_pages([make_head(1)], granule=0, serial=7, sequence=0, flags=BOS)
    for n in range(1, 30):
        pages += make_pages([silent] * 254, granule=n * 254 * 5760, serial=7, sequence=n)
    data = b"".join(pages)
    assert len(data) < 30_000
    with pytest.raises(FormatError, match=r"use blocks"):
        OggOpusDecoder(8000).decode(data)
    decoder = OggOpusDecoder(8000)
    assert sum(len(block) for block in decoder.blocks(data)) == 29 * 254 * 960 - 18
    assert len(decoder.flush()) == 18


def test_blocks_not_iterated_come_later(ogg):
    decoder = OggOpusDecoder(24_000)
    first = next(decoder.blocks(ogg))
    rest = decoder.decode(b"")
    np.testing.assert_array_equal(np.concatenate([first, rest, decoder.flush()]), decoded(ogg)[0])


def test_a_flushed_decoder_is_as_new(ogg):
    decoder = OggOpusDecoder(24_000)
    decoder.decode(ogg[: len(ogg) // 3])
    decoder.flush()
    y = np.concatenate([decoder.decode(ogg), decoder.flush()])
    np.testing.assert_array_equal(y, decoded(ogg)[0])
    assert len(decoder.flush()) == 0


def test_sniffing(ogg):
    assert is_ogg_opus(ogg)
    assert is_ogg_opus(memoryview(ogg)[:36])
    for other in (b"", ogg[:35], b"OggS" + bytes(400), ogg[1:], b"OggS" + b"\xff" * 25):
        assert not is_ogg_opus(other)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_raises_anything_but_a_format_error(ogg, data):
    damaged = bytearray(ogg)
    for _ in range(data.draw(st.integers(0, 8))):
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        at = data.draw(st.integers(0, len(damaged)))
        if kind == "flip" and at < len(damaged):
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del damaged[at : at + data.draw(st.integers(0, 2000))]
        elif kind == "insert":
            damaged[at:at] = data.draw(st.binary(max_size=100))
        else:
            damaged[at:at] = damaged[max(0, at - 500) : at]
    size = data.draw(st.integers(1, 5000))
    try:
        y, _ = decoded(bytes(damaged), size=size)
    except FormatError:
        return
    assert np.all(np.isfinite(y))
    assert np.abs(y).max(initial=0) < 8.0


@settings(deadline=None, max_examples=150)
@given(
    packets=st.lists(st.binary(max_size=80), max_size=12),
    granule=st.integers(-(2**63), 2**63 - 1),
    head=st.tuples(st.integers(0, 3), st.integers(0, 65_535), st.integers(-32_768, 32_767), st.binary(max_size=12)),
    flags=st.sampled_from([0, EOS]),
    channels=st.sampled_from([1, 2, 3]),
)
def test_no_packets_in_sound_pages_raise_anything_but_a_format_error(packets, granule, head, flags, channels):
    count, pre_skip, gain, mapping = head
    data = b"OpusHead\x01" + struct.pack("<BHIh", count, pre_skip, 48_000, gain) + (mapping or b"\0")
    pages = make_pages([data], granule=0, serial=1, sequence=0, flags=BOS)
    pages += make_pages([b"OpusTags"], granule=0, serial=1, sequence=1)
    pages += make_pages(packets, granule=960, serial=1, sequence=2)
    pages += make_pages(packets, granule=granule, serial=1, sequence=3, flags=flags)
    try:
        y, _ = decoded(b"".join(pages), channels=channels)
    except FormatError:
        return
    assert np.all(np.isfinite(y))
    assert len(y) < 24_000 * (2 + 0.12 * 2 * len(packets) + 2)


# single packets


def test_packets_come_back_in_cadence(clip):
    x, rate = clip
    encoder, decoder = OpusEncoder(rate, 1, 64_000), OpusDecoder(rate)
    packets = encoder.encode(x) + encoder.flush()
    assert all(packet_frames(packet) == 960 for packet in packets)
    blocks = [decoder.decode(packet) for packet in packets]
    assert {len(block) for block in blocks} == {480}
    y = np.concatenate([*blocks, decoder.flush()])[decoder.latency :]
    assert abs(lag(y, x) - encoder.pre_skip * rate // 48_000) <= 2


def test_pre_skip_is_left_out(clip):
    x, rate = clip
    encoder = OpusEncoder(rate, 1, 64_000)
    decoder = OpusDecoder(rate, pre_skip=encoder.pre_skip)
    y = np.concatenate([*map(decoder.decode, encoder.encode(x) + encoder.flush()), decoder.flush()])
    y = y[decoder.latency :]
    assert len(y) >= len(x)
    assert abs(lag(y, x)) <= 2


@pytest.mark.parametrize("size", [1, 37, 480, 1000, 48_000])
def test_encoding_does_not_depend_on_the_cut(clip, size):
    x, rate = clip
    x = x[: 4000 if size == 1 else len(x)]
    encoder = OpusEncoder(rate)
    whole = encoder.encode(x) + encoder.flush()
    cut = [packet for at in range(0, len(x), size) for packet in encoder.encode(x[at : at + size])]
    assert cut + encoder.flush() == whole


def test_a_lost_packet_is_made_up_and_fades_if_more_are_lost(clip):
    x, rate = clip
    encoder, decoder = OpusEncoder(rate), OpusDecoder(rate)
    packets = encoder.encode(x)
    for packet in packets[:40]:
        last = decoder.decode(packet)
    made_up = decoder.decode(None)
    assert made_up.shape == last.shape
    assert 0.1 < np.std(made_up) / np.std(last) < 2.0
    for _ in range(30):
        made_up = decoder.decode(None)
    assert np.abs(made_up).max() < 1e-3
    assert decoder.lost == 31
    assert np.abs(decoder.decode(packets[41])).max() < 1.5


@pytest.mark.parametrize("packet", [b"", b"\xff", b"\xff\xff\xff", b"\x03\x00"])
def test_what_is_no_packet_is_refused_and_the_next_decodes(clip, packet):
    x, rate = clip
    packets = OpusEncoder(rate).encode(x[:24_000])
    decoder, clean = OpusDecoder(rate), OpusDecoder(rate)
    for each in packets[:10]:
        np.testing.assert_array_equal(decoder.decode(each), clean.decode(each))
    with pytest.raises(FormatError, match="no Opus packet"):
        decoder.decode(packet)
    for each in packets[10:]:
        np.testing.assert_array_equal(decoder.decode(each), clean.decode(each))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=8), st.sampled_from([8000, 24_000, 44_100]))
def test_no_packet_raises_anything_but_a_format_error(packets, rate):
    decoder, frames = OpusDecoder(rate, 2), 0
    for packet in packets:
        try:
            y = decoder.decode(packet)
        except FormatError:
            continue
        frames += len(y)
        assert y.shape[1] == 2
        assert np.all(np.isfinite(y))
    assert frames <= rate * 0.12 * len(packets)
    assert len(decoder.flush()) == decoder.latency


def test_wrong_arguments_are_refused():
    for make in (
        lambda: OpusDecoder(100),
        lambda: OpusDecoder(48_000, 3),
        lambda: OpusDecoder(pre_skip=-1),
        lambda: OpusEncoder(48_000, 3),
        lambda: OpusEncoder(bitrate=100),
        lambda: OpusEncoder(application="music"),
        lambda: OggOpusEncoder(page_ms=5),
        lambda: OggOpusDecoder(0),
    ):
        with pytest.raises(ConfigError):
            make()
