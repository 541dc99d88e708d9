"""The page's files: what ``web/`` is built into."""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["PageFiles"]

FOREVER = "public, max-age=31536000, immutable"
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>menura</title>
<h1>The page is not built</h1>
<p>Run <code>make page</code> in the repository: it needs Node.js 20.19 or newer.
Installed packages have it built in.</p>
"""


class PageFiles(StaticFiles):
    """Serves a folder; a file's ``.gz`` beside it in its place to whoever takes gzip.

    What lies in ``assets`` has its content's hash in its name and is kept for ever.

    Args:
        folder: Of the page; it need not be built.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._folder = folder

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, compressed where that is taken."""
        response = await super().get_response(path, scope)
        if not isinstance(response, FileResponse) or response.status_code != 200:
            return response
        if path.startswith("assets/"):
            response.headers["Cache-Control"] = FOREVER
        return _compressed(response, scope)

    def index(self, scope: Scope) -> Response:
        """The page itself, or how to have it."""
        path = self._folder / "index.html"
        if not path.is_file():
            return HTMLResponse(NOT_BUILT, 503)
        return _compressed(FileResponse(path), scope)


def _compressed(response: FileResponse, scope: Scope) -> Response:
    """The same file as its ``.gz``, where there is one and the client takes it."""
    packed = Path(f"{response.path}.gz")
    if not packed.is_file():
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if not _takes_gzip(Headers(scope=scope)):
        return response
    headers = {name: value for name, value in response.headers.items() if name in ("cache-control", "vary")}
    headers["Content-Encoding"] = "gzip"
    return FileResponse(packed, media_type=response.media_type, headers=headers)


def _takes_gzip(headers: Headers) -> bool:
    """Whether gzip is among what is accepted, and not with a weight of 0 (RFC 9110, 12.5.3)."""
    for part in headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0")
    return False
