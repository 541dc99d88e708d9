"""What the page knows of the protocol is what the server's models say."""

import json
from pathlib import Path

import jsonschema
import pytest
from scripts.wire_types import WIRE, definitions, stale

GOLDEN = json.loads((Path(__file__).parent / "wire" / "control.json").read_text())
SCHEMA = json.loads((WIRE / "schema.json").read_text())
CLASSES = {
    schema["properties"][tag]["const"]: name
    for name, schema in definitions().items()
    for tag in ("action", "type")
    if "const" in schema.get("properties", {}).get(tag, {})
}


def test_the_pages_types_are_those_of_the_models():
    assert not stale(), "run python scripts/wire_types.py"


@pytest.mark.parametrize("message", [*GOLDEN["actions"], *GOLDEN["replies"].values()], ids=json.dumps)
def test_golden_messages_fit_the_schema(message):
    name = CLASSES[message.get("action") or message["type"]]
    jsonschema.validate(message, {"$ref": f"#/$defs/{name}", **SCHEMA})
