import httpx2 as httpx
import pytest


def test_page_is_served_with_a_strict_policy(server: str) -> None:
    reply = httpx.get(server)
    assert reply.status_code == 200
    assert "menura" in reply.text
    policy = reply.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert not any("unsafe" in part or "*" in part for part in policy)
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_health_says_the_version(server: str) -> None:
    from menura import __version__

    assert httpx.get(server + "health").json() == {"status": "ok", "version": __version__}


@pytest.mark.parametrize("path", ["nothing", "page/../app.py", "page/%2e%2e/app.py"])
def test_nothing_else_is_served(server: str, path: str) -> None:
    assert httpx.get(server + path).status_code == 404
