"""Against a slow reference written from ITU-T G.711's tables and the sample alignment of G.191."""

import numpy as np

from menura.audio.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

EVERY_INT16 = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
EVERY_CODE = bytes(range(256))


def ulaw_decisions() -> list[int]:
    """G.711 table 2, decision values, 14 bits: 0, 1, then 15 steps of 2 and seven chords of 16 steps that double."""
    values = [0, 1]
    for chord in range(8):
        for _ in range(15 if chord == 0 else 16):
            values.append(values[-1] + 2 ** (chord + 1))
    return values


def ulaw_value(code: int) -> int:
    """The middle between two decision values, the first of which gives 0; from inverted bits, scaled to 16."""
    bits = code ^ 0xFF
    decisions, n = ulaw_decisions(), bits & 0x7F
    magnitude = 0 if n == 0 else (decisions[n] + decisions[n + 1]) // 2
    return (-4 if bits & 0x80 else 4) * magnitude


def alaw_value(code: int) -> int:
    """G.711 table 1: segments 0 and 1 have the same step; values are the middles of intervals, 13 bits scaled to 16."""
    bits = code ^ 0x55
    segment, step = (bits >> 4) & 7, bits & 15
    width = 2 if segment < 2 else 2**segment
    start = 0 if segment == 0 else 16 * 2**segment
    return (8 if bits & 0x80 else -8) * (start + step * width + width // 2)


def test_decoding_equals_the_tables() -> None:
    assert decode_ulaw(EVERY_CODE).tolist() == [ulaw_value(code) for code in range(256)]
    assert decode_alaw(EVERY_CODE).tolist() == [alaw_value(code) for code in range(256)]


def ulaw_code(sample: int) -> int:
    """Walk up the decision values, 14 bits; negative samples after one's complement."""
    magnitude = min((~sample if sample < 0 else sample) >> 2, 8158)
    segment, low, width = 0, -1, 2
    while magnitude >= low + 16 * width:
        low, width, segment = low + 16 * width, 2 * width, segment + 1
    bits = segment << 4 | (magnitude - low) // width
    return (bits | (0x80 if sample < 0 else 0)) ^ 0xFF


def alaw_code(sample: int) -> int:
    magnitude = (~sample if sample < 0 else sample) >> 3  # 12 bits; the lowest does not decide anything
    segment, low, width = 0, 0, 2
    while magnitude >= low + 16 * width:
        low = low + 16 * width
        width = width if segment == 0 else 2 * width
        segment += 1
    bits = segment << 4 | (magnitude - low) // width
    return (bits | (0 if sample < 0 else 0x80)) ^ 0x55


def test_encoding_equals_the_decision_values_for_every_sample() -> None:
    assert list(encode_ulaw(EVERY_INT16)) == [ulaw_code(int(v)) for v in EVERY_INT16]
    assert list(encode_alaw(EVERY_INT16)) == [alaw_code(int(v)) for v in EVERY_INT16]


def test_codes_survive_a_round_trip() -> None:
    assert encode_alaw(decode_alaw(EVERY_CODE)) == EVERY_CODE
    again = encode_ulaw(decode_ulaw(EVERY_CODE))
    assert [c for c in range(256) if again[c] != c] == [0x7F]  # µ-law has a negative zero, which 16 bits have not
