"""Models that voices share, fetched once: verified before they are used, resumed where they were cut off."""

import hashlib
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from menura.errors import ConfigError, DownloadError, FileError, reason_of
from menura.places import data_folder
from menura.store.files import sync_folder
from menura.store.library import StoredVoice
from menura.voices.rvc import BASE_MODELS

__all__ = ["MIRROR", "MODELS", "BaseModel", "alone", "models_here", "needed_models", "pull"]

MIRROR = "https://huggingface.co/lj1995/VoiceConversionWebUI/resolve/main"
"""Where RVC's project keeps its own; ``MENURA_MODELS_URL`` names another place with the same files."""
PIECE = 1 << 18
TIMEOUT_S = 30.0
Progress = Callable[[int, int], Any]


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that voices share.

    Attributes:
        name: What ``menura models pull`` calls it.
        file: Its name on a mirror and here.
        size: Bytes.
        sha256: Of what is in it.
        what: In a line.
        elsewhere: Where else it is had, where the project's own mirror lacks it: then it is fetched only by its name.
    """

    name: str
    file: str
    size: int
    sha256: str
    what: str
    elsewhere: str = ""


MODELS: Mapping[str, BaseModel] = {
    model.name: model
    for model in (
        BaseModel(
            "content",
            BASE_MODELS["content"],
            189_507_909,
            "f54b40fd2802423a5643779c4861af1e9ee9c1564dc9d32f54f20b5ffba7db96",
            "what is said (HuBERT, ContentVec's weights)",
        ),
        BaseModel(
            "rmvpe",
            BASE_MODELS["rmvpe"],
            181_184_272,
            "6d62215f4306e3ca278246188607209f09af3dc77ed4232efdd069798c4ec193",
            "at which pitch (RMVPE)",
        ),
        BaseModel(
            "fcpe",
            BASE_MODELS["fcpe"],
            43_363_260,
            "b9aeaeb673436eeda50ceafd632aa681aa63417e52eae4207503d180c9b10015",
            "at which pitch, sooner (FCPE), for voices that ask for it",
            "the package torchfcpe has it: 'pip download --no-deps torchfcpe==0.0.4', then"
            " 'menura models add torchfcpe-0.0.4-py3-none-any.whl'",
        ),
    )
}


def models_here() -> frozenset[str]:
    """Names of those that were fetched."""
    folder = data_folder() / "models"
    return frozenset(model.name for model in MODELS.values() if (folder / model.file).exists())


def needed_models(stored: StoredVoice) -> list[str]:
    """Names of those that a voice needs beside its own files."""
    needed = []
    for stage in stored.data.stages:
        if stage.kind == "rvc":
            if not stage.params.get("content"):
                needed.append("content")
            model = stored.files.get("model")
            sings = model is None or model.details.get("pitch", True)
            pitch = stage.params.get("pitch") or "rmvpe"
            if sings and pitch in MODELS and not stage.params.get("pitch_model"):
                needed.append(pitch)
    return needed


def pull(model: BaseModel, folder: Path, mirror: str = MIRROR, progress: Progress | None = None) -> Path:
    """Fetch a model, unless it is there. What was cut off goes on where it was.

    Args:
        model: Which.
        folder: Where it is kept, under its name; made if it is not there.
        mirror: ``http://`` or ``https://``, without the file's name.
        progress: Called with bytes that are here, and all.

    Returns:
        Its path: whole, with the hash that is known of it.

    Raises:
        ConfigError: The mirror is no address.
        DownloadError: It cannot be fetched, or is not the file that it should be; the text says what to do.
        FileError: It cannot be kept.
    """
    try:
        known = urlsplit(mirror).scheme in ("http", "https") and bool(urlsplit(mirror).hostname)
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"a mirror begins with http:// or https:// and a host, not {mirror!r}")
    target, part = folder / model.file, folder / f"{model.file}.part"
    tell = progress or (lambda done, size: None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.stat().st_size == model.size and _hash(target).hexdigest() == model.sha256:
            tell(model.size, model.size)
            return target
        with alone(folder):
            _fetch(model, part, f"{mirror.rstrip('/')}/{quote(model.file)}", tell)
            _verify(model, part)
            part.replace(target)
            sync_folder(folder)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        inner = getattr(error, "reason", None) or error
        reason = reason_of(inner) if isinstance(inner, BaseException) else inner
        raise DownloadError(
            f"cannot fetch {model.file}: {reason}. What came is kept: the same command goes on"
        ) from error
    except UnicodeError as error:
        raise ConfigError(f"{mirror!r} is not an address: {error}") from error
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise FileError(f"cannot keep {model.file} in {folder}: {error.strerror or error}") from error
    return target


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two that write one file would spoil it. Where there are no such locks, the hash finds it out."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(f"another menura fetches models to {folder}: wait until it has ended") from None
        yield
    finally:
        os.close(handle)


def _fetch(model: BaseModel, part: Path, url: str, tell: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > model.size:
        part.unlink()
        have = 0
    if have == model.size:
        return
    headers = {"User-Agent": "menura", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        opener = urllib.request.build_opener(_Redirects)
        response: HTTPResponse = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        hint = "; MENURA_MODELS_URL names another mirror" if error.code in (401, 403, 404, 410) else ""
        if hint and model.elsewhere:
            hint = f"; {model.elsewhere}"
        raise DownloadError(
            f"cannot fetch {model.file}: the mirror answers {error.code} {error.reason}{hint}"
        ) from None
    with response:
        resumed = bool(have) and response.status == 206 and _begins_at(response, have)
        _check_size(model, response, have if resumed else 0)
        with part.open("ab" if resumed else "wb") as file:
            done = have if resumed else 0
            tell(done, model.size)
            while piece := response.read1(PIECE):  # what is there, so that a slow mirror is seen to come on
                done += len(piece)
                if done > model.size:
                    part.unlink()
                    raise _another(model)
                file.write(piece)
                tell(done, model.size)
            file.flush()
            os.fsync(file.fileno())
    if done < model.size:
        raise DownloadError(
            f"{model.file}: cut off after {done} of {model.size} bytes: the same command goes on from there"
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows where it is as safe as it was: the address may change, and become encrypted, and no more."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The next request."""
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("https", before):
            raise DownloadError(f"the mirror sends on to {after}://, which is not followed: name another one")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_size(model: BaseModel, response: HTTPResponse, have: int) -> None:
    """Before anything is kept: what is of another size is another file, a page that asks for a login say."""
    length = response.headers.get("Content-Length") or ""
    if length.isdigit() and have + int(length) != model.size:
        raise _another(model)


def _another(model: BaseModel) -> DownloadError:
    return DownloadError(
        f"{model.file} on the mirror is not of the size that it should be, {model.size} bytes: nothing of it was kept;"
        " MENURA_MODELS_URL names another mirror"
    )


def _begins_at(response: HTTPResponse, place: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {place}-")


def _verify(model: BaseModel, part: Path) -> None:
    found = _hash(part).hexdigest()
    if found != model.sha256:
        with suppress(OSError):
            part.unlink()
        raise DownloadError(
            f"{model.file} is not the file that it should be (SHA-256 {found[:16]}…, not {model.sha256[:16]}…):"
            " it was thrown away; try again, or another mirror with MENURA_MODELS_URL"
        )


def _hash(path: Path) -> "hashlib._Hash":
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
