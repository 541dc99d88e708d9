"""How the page is served."""

import re
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from menura.server.page_files import PageFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app-1.js").write_text("plain")
    (tmp_path / "assets" / "app-1.js.gz").write_bytes(b"packed")
    return tmp_path


@pytest.mark.parametrize(
    ("accepted", "length", "encoding"), [("gzip, br", 6, "gzip"), ("gzip;q=0", 5, None), ("", 5, None)]
)
def test_an_asset_is_sent_packed_where_that_is_taken(
    folder: Path, accepted: str, length: int, encoding: str | None
) -> None:
    reply = TestClient(PageFiles(folder)).head("/assets/app-1.js", headers={"Accept-Encoding": accepted})
    assert reply.status_code == 200
    assert reply.headers["content-length"] == str(length)
    assert reply.headers.get("content-encoding") == encoding
    assert reply.headers["vary"] == "Accept-Encoding"
    assert "immutable" in reply.headers["cache-control"]
    assert "javascript" in reply.headers["content-type"]


def test_a_page_that_is_not_built_says_how_to_build_it(folder: Path) -> None:
    reply = PageFiles(folder).index({"type": "http", "headers": []})
    assert reply.status_code == 503
    assert b"make page" in bytes(reply.body)


def test_the_first_load_is_at_most_300_kb_compressed(server: str) -> None:
    page = httpx.get(server).text
    parts = re.findall(r'(?:src|href)="(/page/[^"]+)"', page)
    assert len(parts) >= 3
    sizes = {part: int(httpx.head(server + part[1:]).headers["content-length"]) for part in parts}
    assert len(page) + sum(sizes.values()) <= 300_000, sizes
