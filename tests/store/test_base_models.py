"""Models fetched from a server on this machine: whole, resumed, and what is not kept."""

import hashlib
import os
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from menura.errors import ConfigError, DownloadError, FileError, MenuraError
from menura.store.base_models import MODELS, BaseModel, pull
from menura.store.given_models import keep

DATA = os.urandom(1_500_000)
MODEL = BaseModel("content", "a model.pt", len(DATA), hashlib.sha256(DATA).hexdigest(), "test")


class Mirror(ThreadingHTTPServer):
    """Gives DATA, by ranges; misbehaves as told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.stop_after, self.ranges, self.status, self.onward = DATA, None, True, 200, None
        self.asked, self.length = [], None
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_):
        """Whoever asked went away."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/models/"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        if server.onward:
            onward, server.onward = server.onward, None
            self.send_response(302)
            self.send_header("Location", onward)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        wanted, start = self.headers.get("Range"), 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        else:
            self.send_response(200)
        body = server.data[start:]
        self.send_header("Content-Length", str(server.length or len(body)))
        self.end_headers()
        self.wfile.write(body if server.stop_after is None else body[: server.stop_after])


@pytest.fixture
def mirror():
    server = Mirror()
    yield server
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_once(mirror, tmp_path):
    told = []
    path = pull(MODEL, tmp_path / "models", mirror.url, lambda done, size: told.append((done, size)))
    assert path.read_bytes() == DATA
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(DATA), len(DATA))
    assert mirror.asked == [("/models/a%20model.pt", None)]
    assert pull(MODEL, tmp_path / "models", mirror.url) == path
    assert len(mirror.asked) == 1
    assert list((tmp_path / "models").iterdir()) == [path]


def test_what_was_cut_off_goes_on(mirror, tmp_path):
    mirror.stop_after = 600_000
    with pytest.raises(DownloadError, match="goes on"):
        pull(MODEL, tmp_path, mirror.url)
    assert not (tmp_path / MODEL.file).exists()
    mirror.stop_after = None
    assert pull(MODEL, tmp_path, mirror.url).read_bytes() == DATA
    assert mirror.asked[1][1] == "bytes=600000-"


def test_a_mirror_without_ranges_begins_again(mirror, tmp_path):
    (tmp_path / f"{MODEL.file}.part").write_bytes(DATA[:1000])
    mirror.ranges = False
    assert pull(MODEL, tmp_path, mirror.url).read_bytes() == DATA


def test_a_beginning_that_is_another_files_is_found_out(mirror, tmp_path):
    (tmp_path / f"{MODEL.file}.part").write_bytes(bytes(1000))
    with pytest.raises(DownloadError, match="not the file that it should be"):
        pull(MODEL, tmp_path, mirror.url)
    assert pull(MODEL, tmp_path, mirror.url).read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", DATA + b"x"], ids=["changed", "longer"])
def test_another_file_is_not_kept(mirror, tmp_path, data):
    mirror.data = data
    with pytest.raises(DownloadError):
        pull(MODEL, tmp_path, mirror.url)
    assert not (tmp_path / MODEL.file).exists()


def test_a_changed_file_here_is_fetched_again(mirror, tmp_path):
    (tmp_path / MODEL.file).write_bytes(bytes(len(DATA)))
    assert pull(MODEL, tmp_path, mirror.url).read_bytes() == DATA


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_mirror_that_refuses_is_told(mirror, tmp_path, status):
    mirror.status = status
    with pytest.raises(DownloadError, match=str(status)):
        pull(MODEL, tmp_path, mirror.url)


def test_a_mirror_may_send_on(mirror, tmp_path):
    (tmp_path / f"{MODEL.file}.part").write_bytes(DATA[:1000])
    mirror.onward = f"{mirror.url}elsewhere"
    assert pull(MODEL, tmp_path, mirror.url).read_bytes() == DATA
    assert mirror.asked[-1] == ("/models/elsewhere", "bytes=1000-")


@pytest.mark.parametrize("onward", ["ftp://127.0.0.1/x", "file:///etc/passwd", "data:,x"])
def test_a_mirror_may_not_send_elsewhere(mirror, tmp_path, onward):
    mirror.onward = onward
    with pytest.raises(DownloadError):
        pull(MODEL, tmp_path, mirror.url)
    assert list(tmp_path.iterdir()) == []


def test_a_page_in_place_of_the_model_is_not_kept(mirror, tmp_path):
    """A login page of the network one is in: the next try would go on after it."""
    mirror.data = b"<html>log in</html>"
    with pytest.raises(DownloadError, match=r"size.*nothing of it was kept"):
        pull(MODEL, tmp_path, mirror.url)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f"{MODEL.file}.part").write_bytes(DATA[:1000])
    mirror.ranges = False
    with pytest.raises(DownloadError, match="size"):
        pull(MODEL, tmp_path, mirror.url)
    assert (tmp_path / f"{MODEL.file}.part").stat().st_size == 1000  # that was right


def test_an_interrupt_keeps_what_came(mirror, tmp_path):
    def tell(done, size):
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(MODEL, tmp_path, mirror.url, tell)
    have = (tmp_path / f"{MODEL.file}.part").stat().st_size
    assert have > 500_000
    assert pull(MODEL, tmp_path, mirror.url).read_bytes() == DATA
    assert mirror.asked[-1][1] == f"bytes={have}-"


def test_two_do_not_fetch_at_once(mirror, tmp_path):
    told = []

    def tell(done, size):
        if not told:
            told.append(done)
            with pytest.raises(DownloadError, match="another menura"):
                pull(MODEL, tmp_path, mirror.url)

    assert pull(MODEL, tmp_path, mirror.url, tell).read_bytes() == DATA
    assert told


@pytest.mark.parametrize("place", ["http://", "http://[::1", "https:///x", "nonsense", f"http://{'a' * 70}.x\u0130"])
def test_what_is_no_address_is_told(tmp_path, place):
    with pytest.raises(MenuraError):
        pull(MODEL, tmp_path, place)


def test_no_mirror_is_told(tmp_path):
    with pytest.raises(DownloadError, match="cannot fetch"):
        pull(MODEL, tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="http://"):
        pull(MODEL, tmp_path, "file:///etc")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot keep"):
        pull(MODEL, tmp_path / "file", "http://127.0.0.1:1")


def test_the_known_models_are_pinned():
    assert set(MODELS) == {"content", "rmvpe", "fcpe"}
    assert all(len(model.sha256) == 64 and model.size > 4e7 for model in MODELS.values())


# --- where the project's own mirror lacks it


@pytest.fixture
def fcpe(monkeypatch):
    """The same with another content, so that it need not be fetched."""
    model = BaseModel("fcpe", MODELS["fcpe"].file, len(DATA), MODEL.sha256, "test", MODELS["fcpe"].elsewhere)
    monkeypatch.setattr("menura.store.given_models.MODELS", {"fcpe": model, "content": MODEL})
    return model


def test_a_mirror_that_has_it_is_as_good_as_for_the_others(mirror, tmp_path, fcpe):
    assert pull(fcpe, tmp_path, mirror.url).read_bytes() == DATA
    assert mirror.asked == [("/models/fcpe_c_v001.pt", None)]


def test_a_mirror_that_lacks_it_says_where_else_it_is(mirror, tmp_path, fcpe):
    mirror.status = 404
    with pytest.raises(DownloadError, match=r"404 .*; the package torchfcpe has it: .*'menura models add torchfcpe-"):
        pull(fcpe, tmp_path, mirror.url)


def test_a_wheel_gives_the_model_in_it(tmp_path, fcpe):
    wheel, models = tmp_path / "torchfcpe-0.0.4-py3-none-any.whl", tmp_path / "models"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("torchfcpe/models.py", "raise SystemExit('executed')")
        packed.writestr(f"other/{fcpe.file}", bytes(len(DATA)))  # of its name and size, and another
        packed.writestr(f"torchfcpe/assets/{fcpe.file}", DATA)
    assert keep(wheel, models) == models / fcpe.file
    assert (models / fcpe.file).read_bytes() == DATA
    assert [path.name for path in models.iterdir()] == [fcpe.file]


def test_a_model_is_known_by_what_is_in_it(tmp_path, fcpe):
    (tmp_path / "downloaded.bin").write_bytes(DATA)
    assert keep(tmp_path / "downloaded.bin", tmp_path / "models").name == fcpe.file


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", b"PK", b""], ids=["changed", "zip", "empty"])
def test_what_is_none_of_them_is_not_kept(tmp_path, fcpe, data):
    (tmp_path / fcpe.file).write_bytes(data)
    with pytest.raises(MenuraError, match="is none of the models"):
        keep(tmp_path / fcpe.file, tmp_path / "models")
    assert not any((tmp_path / "models").glob("*"))
    with pytest.raises(FileError):
        keep(tmp_path / "nowhere.pt", tmp_path / "models")
