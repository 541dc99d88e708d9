"""The guide for operators: what it names is there."""

import configparser
import re
from pathlib import Path

from fastapi.testclient import TestClient
from typer.main import get_command

from menura.cli.app import app as commands
from menura.server.app import create_app
from menura.server.rates import ServerLimits

GUIDE = Path("docs/operating.md").read_text()


def _block(language: str) -> str:
    return GUIDE.split(f"```{language}\n")[1].split("```")[0]


def test_options_of_the_guide_are_the_commands() -> None:
    root = get_command(commands)
    serve = {option for parameter in root.commands["serve"].params for option in parameter.opts}  # type: ignore[attr-defined]
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(_block("ini"))
    words = unit["Service"]["ExecStart"].split()
    assert words[1] == "serve"
    assert {word for word in words if word.startswith("--")} <= serve
    limits = re.findall(r"--limit (\w+)=", GUIDE)
    assert len(limits) >= 3
    ServerLimits().changed(f"{name}=5" for name in limits)


def test_figures_of_the_guide_are_the_servers() -> None:
    with TestClient(create_app(relay=False)) as client:
        text = client.get("/metrics").text
    named = set(re.findall(r"\bmenura_[a-z_]+", GUIDE.replace("menura_connection", "")))
    assert len(named) >= 6
    assert {name for name in named if name not in text} == set()
