"""Files that are no checkpoints, recognised by how they begin, so that the error can say what they are."""

from menura.errors import DamagedModelError, ModelError, UnsupportedModelError

__all__ = ["foreign"]

_SIGNS: dict[bytes, str] = {
    b"version https://git-lfs": "a Git LFS pointer, not the model itself: run `git lfs pull`, or download the file",
    b"Iw": "a faiss index: give it as the voice's index, beside its model",
    b"Ix": "a faiss index: give it as the voice's index, beside its model",
    b"GGUF": "a GGUF model of another program",
    b"\x89HDF": "an HDF5 file (Keras or TensorFlow), not a PyTorch checkpoint",
    b"\x93NUMPY": "a numpy array, not a checkpoint",
    b"RIFF": "an audio or video file, not a model",
    b"fLaC": "an audio file, not a model",
    b"OggS": "an audio file, not a model",
    b"ID3": "an audio file, not a model",
    b"Rar!": "a RAR archive: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it first",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"(\xb5/\xfd": "a zstd archive: unpack it first",
    b"\x7fELF": "a program, not a model",
    b"MZ": "a program, not a model",
    b"\x80": "a Python pickle, but no PyTorch checkpoint: save its weights by torch.save",
    b"{": "a JSON file, not a model",
}
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_TAR_AT = 257


def foreign(view: memoryview, wanted: str = "") -> ModelError:
    """The error for a file that is no checkpoint, or not what was wanted, saying what it is."""
    head = bytes(view[:512])
    if not any(head):
        return DamagedModelError("it begins with zeros: the download was not finished; fetch it again")
    if wanted and (head.startswith((b"PK", b"\x80")) or head[8:9] == b"{"):
        return UnsupportedModelError(f"it is a checkpoint, not {wanted}: give it as the voice's model")
    return UnsupportedModelError(f"it is {_kind(head)}")


def _kind(head: bytes) -> str:
    for sign, what in _SIGNS.items():
        if head.startswith(sign):
            return what
    if head.lstrip().lower().startswith(_PAGES):
        return "a web page, not a model: the download went wrong; fetch the file again"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "a tar archive: unpack it first (PyTorch before 0.1.10 wrote such files)"
    if head[:1] == b"\x08":
        return "an ONNX network or another program's data, not a checkpoint"
    return "not a model file that menura knows (.pth, .pt, .safetensors)"
