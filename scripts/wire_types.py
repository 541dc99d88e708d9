"""Write the control protocol's shapes for the page: JSON Schema, and TypeScript made of it.

``python scripts/wire_types.py`` writes ``web/src/wire/schema.json`` and ``web/src/wire/control.ts``; ``--check`` only
says whether they are what the server's models give.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from menura.protocol.control_actions import ACTION_MODELS
from menura.protocol.control_replies import REPLY_MODELS

WIRE = Path(__file__).parents[1] / "web" / "src" / "wire"
HEAD = "// Written by scripts/wire_types.py from the server's models: change those, then run it.\n"
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
Schema = Mapping[str, Any]


def definitions() -> dict[str, Any]:
    """The JSON Schema of every message and of what it holds, by class.

    A client may leave out what has a default; the server leaves out only what is null.
    """
    asked = _schemas(ACTION_MODELS)
    told = _schemas(REPLY_MODELS)
    for schema in told.values():
        fields = schema.get("properties", {})
        if fields:
            schema["required"] = [name for name, one in fields.items() if "null" not in type_of(one).split(" | ")]
    return dict(sorted({**asked, **told}.items()))


def _schemas(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    mode: Literal["validation", "serialization"] = "validation" if models is ACTION_MODELS else "serialization"
    found: dict[str, Any] = models_json_schema([(model, mode) for model in models])[1]["$defs"]
    return found


def type_of(schema: Schema) -> str:
    """A schema as a TypeScript type.

    >>> type_of({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]})
    'number[] | null'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    several = schema.get("anyOf") or schema.get("oneOf") or []
    if values or several:
        return " | ".join(dict.fromkeys([json.dumps(value) for value in values] + [type_of(one) for one in several]))
    if schema.get("type") == "array":
        item = type_of(schema["items"])
        return f"({item})[]" if " " in item else f"{item}[]"
    if schema.get("type") == "object":
        return f"Record<string, {type_of(schema.get('additionalProperties') or {})}>"
    return PLAIN.get(schema.get("type", ""), "unknown")


def _words(text: str, indent: str = "") -> str:
    first = text.partition("\n\n")[0].replace("\n", " ").strip().replace("*/", "*")
    return f"{indent}/** {first} */\n" if first else ""


def _nullable(schema: Schema) -> str:
    """Of a field that may be missing: the server never sends null in its place."""
    return " | ".join(part for part in type_of(schema).split(" | ") if part != "null") or "null"


def interface(name: str, schema: Schema) -> str:
    """A definition as an exported type."""
    said = _words(schema.get("description", ""))
    if "properties" not in schema:
        return f"{said}export type {name} = {type_of(schema)};\n"
    lines = []
    for field, one in schema["properties"].items():
        required = field in schema.get("required", ()) or "const" in one
        lines.append(f"  {field}{'' if required else '?'}: {type_of(one) if required else _nullable(one)};")
    return f"{said}export interface {name} {{\n" + "\n".join(lines) + "\n}\n"


def written() -> dict[Path, str]:
    """Both files as they should be."""
    found = definitions()
    unions = [("Action", ACTION_MODELS), ("ServerMessage", REPLY_MODELS)]
    parts = [HEAD, *(interface(name, schema) for name, schema in found.items() if name != "Action")]
    for name, models in unions:
        parts.append(f"export type {name} =\n" + "\n".join(f"  | {model.__name__}" for model in models) + ";\n")
    return {
        WIRE / "schema.json": json.dumps({"$defs": found}, indent=2, ensure_ascii=False) + "\n",
        WIRE / "control.ts": "\n".join(parts),
    }


def stale() -> list[str]:
    """Names of the files that do not say what they should; how JSON is laid out is the formatter's."""
    return [path.name for path, text in written().items() if not path.exists() or _said(path) != _meant(path, text)]


def _said(path: Path) -> object:
    return _meant(path, path.read_text(encoding="utf-8"))


def _meant(path: Path, text: str) -> object:
    return json.loads(text) if path.suffix == ".json" else text


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv[1:]:
        if names := stale():
            print(f"not what the server's models give: {', '.join(names)}; run python scripts/wire_types.py")
        return int(bool(stale()))
    names = stale()
    for path, text in written().items():
        if path.name in names:
            path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
