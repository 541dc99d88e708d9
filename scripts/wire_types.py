"""Write what the page knows of the server: JSON Schema of the control protocol, and TypeScript of that and of REST.

``python scripts/wire_types.py`` writes ``schema.json``, ``control.ts`` and ``rest.ts`` in ``web/src/wire``; ``--check``
only says whether they are what the server's models give.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from menura.protocol.control_actions import ACTION_MODELS
from menura.protocol.control_replies import REPLY_MODELS, ErrorReply
from menura.server.app import create_app
from menura.voices.builtin import builtin_voices

WIRE = Path(__file__).parents[1] / "web" / "src" / "wire"
HEAD = "// Written by scripts/wire_types.py from the server's models: change those, then run it.\n"
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
Schema = Mapping[str, Any]
FOREIGN = {"HTTPValidationError", "ValidationError"}
"""FastAPI's own, which no route of ours answers with."""


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
        return _plain(str(schema["$ref"]).rpartition("/")[2])
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    several = schema.get("anyOf") or schema.get("oneOf") or []
    if values or several:
        return " | ".join(dict.fromkeys([json.dumps(value) for value in values] + [type_of(one) for one in several]))
    if schema.get("type") == "array":
        item = type_of(schema["items"])
        return f"({item})[]" if " " in item else f"{item}[]"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {type_of(values if isinstance(values, Mapping) else {})}>"
    return PLAIN.get(schema.get("type", ""), "unknown")


def _plain(name: str) -> str:
    """A component of OpenAPI as TypeScript calls it: what is asked differs from what is told where both are there.

    >>> [_plain(name) for name in ("VoiceReply", "ErrorReply", "Settings-Input", "Settings-Output")]
    ['Voice', 'ErrorReply', 'SettingsInput', 'Settings']
    """
    name = name.removesuffix("-Output").replace("-", "")
    return name if name == ErrorReply.__name__ else name.removesuffix("Reply")


def rest() -> dict[str, Any]:
    """The JSON Schema of all that the REST interface takes and gives, by name."""
    found = create_app(builtin_voices(), relay=False).openapi()["components"]["schemas"]
    return {_plain(name): schema for name, schema in sorted(found.items()) if name not in FOREIGN}


def _words(text: str, indent: str = "") -> str:
    first = text.partition("\n\n")[0].replace("\n", " ").strip().replace("*/", "*")
    return f"{indent}/** {first} */\n" if first else ""


def _present(schema: Schema) -> str:
    """Of a field that may be missing: the control socket never says null in its place."""
    return " | ".join(part for part in type_of(schema).split(" | ") if part != "null") or "null"


def interface(name: str, schema: Schema, optional: Callable[[Schema], str] = type_of) -> str:
    """A definition as an exported type.

    Args:
        name: Of the type.
        schema: Of the definition.
        optional: The type of a field that may be missing.
    """
    said = _words(schema.get("description", ""))
    if "properties" not in schema:
        return f"{said}export type {name} = {type_of(schema)};\n"
    lines = []
    for field, one in schema["properties"].items():
        required = field in schema.get("required", ()) or "const" in one
        lines.append(f"  {field}{'' if required else '?'}: {(type_of if required else optional)(one)};")
    return f"{said}export interface {name} {{\n" + "\n".join(lines) + "\n}\n"


def written() -> dict[Path, str]:
    """All files as they should be."""
    found = definitions()
    unions = [("Action", ACTION_MODELS), ("ServerMessage", REPLY_MODELS)]
    parts = [HEAD, *(interface(name, schema, _present) for name, schema in found.items() if name != "Action")]
    for name, models in unions:
        parts.append(f"export type {name} =\n" + "\n".join(f"  | {model.__name__}" for model in models) + ";\n")
    return {
        WIRE / "schema.json": json.dumps({"$defs": found}, indent=2, ensure_ascii=False) + "\n",
        WIRE / "control.ts": "\n".join(parts),
        WIRE / "rest.ts": "\n".join([HEAD, *(interface(name, schema) for name, schema in rest().items())]),
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
