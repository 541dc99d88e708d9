import io
import struct
import zipfile
import zlib

import pytest

from menura.errors import DamagedModelError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.archive import Archive
from menura.neural.files.checkpoint import read_checkpoint
from tests.neural.model_files import Op, archive, hostile, tensor

PICKLE = Op.pickle(b"N")


def packed(*records: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, raw in records:
            file.writestr(name, raw)
    return bytearray(out.getvalue())


def names_and_content(data: bytes) -> dict[str, bytes]:
    found = Archive(memoryview(data))
    return {name: bytes(found.read(name)) for name in found.names}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_records_are_those_that_python_wrote(method: int) -> None:
    records = {"a": b"one", "b/c": b"", "声/d": b"x" * 10_000}
    assert names_and_content(bytes(packed(*records.items(), method=method))) == records


def test_an_archive_in_the_large_format_is_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file, file.open("a", "w", force_zip64=True) as record:
        record.write(b"content")
    data = bytearray(out.getvalue())
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    # the directory's sizes and place, as PyTorch writes them beyond 4 GiB: in the extra field and the zip64 record
    entry = bytearray(data[start:end])
    sizes, place = struct.unpack_from("<2L", entry, 20), struct.unpack_from("<L", entry, 42)[0]
    struct.pack_into("<2L", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<L", entry, 42, 0xFFFFFFFF)
    extra = struct.pack("<2H3Q", 1, 24, sizes[1], sizes[0], place)
    struct.pack_into("<H", entry, 30, len(extra))
    entry = entry[:47] + extra
    record64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entry), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(entry), 1)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    made = bytes(data[:start] + entry + record64 + locator + tail)
    assert names_and_content(made) == {"a": b"content"}
    short = made.replace(extra, struct.pack("<2H3Q", 1, 8, sizes[1], 0, 0))
    with pytest.raises(DamagedModelError, match="size is missing"):
        Archive(memoryview(short))


def test_a_comment_after_the_archive_is_allowed_and_other_bytes_are_not() -> None:
    data = packed(("model/data.pkl", PICKLE))
    struct.pack_into("<H", data, len(data) - 2, 5)
    assert read_checkpoint(bytes(data + b"hello")) is None
    with pytest.raises(DamagedModelError, match="no end"):
        read_checkpoint(bytes(data + b"hello!"))


@pytest.mark.parametrize("name", ["../data.pkl", "/etc/data.pkl", "a/../../data.pkl", "a\\data.pkl", "c:/data.pkl"])
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(UnsafeModelError, match="leads elsewhere"):
        read_checkpoint(bytes(packed((name, PICKLE))))


def test_two_records_of_one_name_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = packed(("model/data.pkl", PICKLE), ("model/data.pkl", PICKLE))
    with pytest.raises(UnsafeModelError, match="two records"):
        read_checkpoint(bytes(data))


def test_a_record_with_two_names_is_refused() -> None:
    data = packed(("model/data.pkl", PICKLE))
    at = data.index(b"model/data.pkl")
    data[at : at + 5] = b"other"
    with pytest.raises(UnsafeModelError, match="two names"):
        read_checkpoint(bytes(data))


def test_records_that_share_their_bytes_are_refused() -> None:
    data = packed(("model/data.pkl", PICKLE), ("model/data/0", b"x" * 100))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    entry = data[second : second + 46 + 12]
    first_end = data.index(b"PK\x05\x06")
    made = data[:first_end] + entry[:46] + b"model/data/0" + data[first_end:]
    tail = made.index(b"PK\x05\x06")
    struct.pack_into("<2H", made, tail + 8, 3, 3)
    struct.pack_into("<L", made, tail + 12, struct.unpack_from("<L", made, tail + 12)[0] + len(entry))
    with pytest.raises(UnsafeModelError):
        read_checkpoint(bytes(made))


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    body = tensor(0, "u1", 200_000_000, (200_000_000,), (1,))
    data = archive(Op.pickle(body), [bytes(200_000_000)], packing=zipfile.ZIP_DEFLATED)
    assert len(data) < 1_000_000
    with pytest.raises(UnsafeModelError, match="zip bomb"):
        read_checkpoint(data)


def test_a_record_that_unpacks_to_another_size_is_refused() -> None:
    for size in (3, 30):
        data = packed(("model/data.pkl", PICKLE * 5), method=zipfile.ZIP_DEFLATED)
        struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, size)
        with pytest.raises(DamagedModelError, match="size it states"):
            read_checkpoint(bytes(data))


def test_an_encrypted_or_unusually_packed_archive_is_named() -> None:
    data = packed(("model/data.pkl", PICKLE))
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 8, 1)
    with pytest.raises(UnsupportedModelError, match="encrypted"):
        read_checkpoint(bytes(data))
    with pytest.raises(UnsupportedModelError, match="packed in an unusual way"):
        read_checkpoint(bytes(packed(("model/data.pkl", PICKLE), method=zipfile.ZIP_BZIP2)))


def test_sizes_and_places_that_lie_are_refused() -> None:
    sound = packed(("model/data.pkl", PICKLE))
    entry, end = sound.index(b"PK\x01\x02"), sound.index(b"PK\x05\x06")
    for at, form, value in [
        (entry + 20, "<L", 1 << 20), (entry + 24, "<L", 1 << 20), (entry + 42, "<L", 5), (entry + 42, "<L", 1 << 30),
        (entry + 28, "<H", 0), (entry + 28, "<H", 0xFFFF), (end + 10, "<H", 2), (end + 10, "<H", 0xFFFF),
        (end + 12, "<L", 1 << 30), (end + 16, "<L", 1 << 30), (end + 16, "<L", 0), (entry + 10, "<H", 99),
    ]:  # fmt: skip
        data = bytearray(sound)
        struct.pack_into(form, data, at, value)
        with pytest.raises(ModelError):
            read_checkpoint(bytes(data))


def test_other_archives_are_called_what_they_are() -> None:
    others = [("voice/model.pth", "unpack it first"), ("a.npy", "numpy archive"), ("a/b.xml", "no checkpoint")]
    for name, said in others:
        with pytest.raises(UnsupportedModelError, match=said):
            read_checkpoint(bytes(packed((name, b"x"))))
    with pytest.raises(UnsupportedModelError, match=r"no data\.pkl"):
        read_checkpoint(b"PK\x03\x04" + bytes(packed()))
    two = packed(("a/data.pkl", PICKLE), ("b/data.pkl", PICKLE))
    with pytest.raises(DamagedModelError, match="several checkpoints"):
        read_checkpoint(bytes(two))


def test_what_a_mac_adds_to_an_archive_is_left_out() -> None:
    data = packed(("m/", b""), ("m/data.pkl", PICKLE), ("__MACOSX/m/data.pkl", b"\0"), ("m/.DS_Store", b"\0"))
    assert read_checkpoint(bytes(data)) is None


def test_a_record_that_cannot_be_unpacked_is_damaged() -> None:
    raw = zlib.compress(PICKLE * 100)[2:-4]
    data = packed(("model/data.pkl", PICKLE * 100), method=zipfile.ZIP_DEFLATED)
    at = data.index(raw[:6])
    data[at : at + 6] = b"\xff" * 6
    with pytest.raises(DamagedModelError, match=r"unpacked|size"):
        read_checkpoint(bytes(data))


def test_a_storage_with_too_few_bytes_is_damaged() -> None:
    with pytest.raises(DamagedModelError, match=r"has 8 bytes and claims 16"):
        read_checkpoint(hostile(tensor(0, "f4", 4, (4,), (1,)), b"\0" * 8))


def test_an_archive_that_was_written_without_checksums_is_read() -> None:
    data = packed(("model/data.pkl", PICKLE), ("model/version", b"3"))
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 16 : at + 20] = bytes(4)
    assert read_checkpoint(bytes(data)) is None
    # one checksum alone that is 0 is a wrong one
    first = data.index(b"PK\x01\x02")
    data[first + 16 : first + 20] = struct.pack("<L", zlib.crc32(PICKLE) + 1)
    with pytest.raises(DamagedModelError, match="checksum differs"):
        read_checkpoint(bytes(data))
