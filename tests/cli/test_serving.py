"""The server as a service: its log, and the word that it is ready."""

import json
import logging
import os
import re
import socket
import sys
import tempfile
from pathlib import Path

import httpx2 as httpx
import pytest

from menura.cli.serving import JsonLines
from tests.serving import TIMEOUT_S, server_process


def test_a_line_of_the_log_is_json_whatever_is_in_it() -> None:
    record = logging.LogRecord("menura.x", logging.ERROR, "x.py", 1, "failed: %s\n☃", ('"a"',), None)
    try:
        raise ValueError("no")
    except ValueError:
        record.exc_info = sys.exc_info()
    text = JsonLines().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["level"], line["logger"], line["message"]) == ("error", "menura.x", 'failed: "a"\n☃')
    assert "ValueError: no" in line["exception"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there is no service manager like that")
def test_a_service_tells_its_manager_and_logs_json(tmp_path: Path) -> None:
    token = "a-token-of-the-operator_42"
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{short}/notify")  # such names are short
        manager.settimeout(TIMEOUT_S)
        environment = {**os.environ, "NOTIFY_SOCKET": f"{short}/notify", "MENURA_HOME": str(tmp_path)}
        environment["MENURA_TOKEN"] = token
        arguments = ["--no-relay", "--log-format", "json", "--log-level", "info"]
        with server_process(*arguments, environment=environment, log=tmp_path / "log") as (address, process):
            assert manager.recv(100) == b"READY=1"
            assert httpx.get(f"{address}api/voices?token={token}", timeout=TIMEOUT_S).status_code == 200
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            process.wait(TIMEOUT_S)
    text = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert token not in text
    assert any('"GET /api/voices' in line["message"] and line["logger"] == "uvicorn.access" for line in lines)
    assert {line["level"] for line in lines} == {"info"}
    assert "Finished server process" in lines[-1]["message"]
