"""Messages of people who mean no good, for a control socket: by the grammar of its messages, and bent."""

import json
import random
from copy import deepcopy
from typing import Any

from menura.protocol.messages import ACTION_MODELS

VOICES = ["robot", "radio", "natural-woman", "nobody", "", "../../etc/passwd", "' or 1=1 --"]
_SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    -(2**63),
    10**40,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
    "",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\u202e",
    "a" * 5000,
    "😀" * 300,
    "NaN",
    "constructor",
    "__proto__",
    [],
    {},
    [[]],
    {"a": {}},
]
SCHEMAS = [model.model_json_schema() for model in ACTION_MODELS]


class Hostile:
    """Makes messages; the same seed, the same messages.

    Args:
        seed: Of the dice.
        corpus: How many are made by the grammar; those that follow are these again, most of them bent anew.
    """

    def __init__(self, seed: int, corpus: int = 4000) -> None:
        self._dice = random.Random(seed)
        self._texts = [self._text() for _ in range(corpus)]

    def next(self) -> str | bytes:
        """One message, text or binary."""
        dice = self._dice
        chance = dice.random()
        if chance < 0.08:
            return dice.randbytes(dice.choice([0, 1, 2, 3, 480, 960, 961, 4096]))
        if chance < 0.0805:
            return bytes(dice.choice([65_536, 65_537, 300_000]))
        if chance < 0.081:
            return dice.choice(["[" * 50_000, '{"action":' * 9000, '"' + "x" * 70_000, '{"a":"' + "y" * 200_000 + '"}'])
        text = dice.choice(self._texts)
        return text if dice.random() < 0.4 else self._bent(text)

    def _bent(self, text: str) -> str:
        dice = self._dice
        place = dice.randrange(len(text) + 1)
        match dice.randrange(5):
            case 0:
                return text[:place]
            case 1:
                return text[:place] + chr(dice.choice([0, 34, 92, 123, 125, 0x7F, 0xFFFE, 0x1F600])) + text[place:]
            case 2:
                return text[:place] + text[place + 1 :]
            case 3:
                return text + text
            case _:
                return text[:place] + dice.choice(["\\ud800", "NaN", "1e999", "null", ",", "-", "[]"]) + text[place:]

    def _text(self) -> str:
        dice = self._dice
        if dice.random() < 0.05:
            return json.dumps(deepcopy(dice.choice(_SCALARS)))
        schema = dice.choice(SCHEMAS)
        message = self._value(schema, schema)
        if dice.random() < 0.6:
            message = self._mangled(message)
        return json.dumps(message)

    def _value(self, schema: dict[str, Any], root: dict[str, Any], name: str = "") -> Any:
        dice = self._dice
        if "$ref" in schema:
            return self._value(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return dice.choice(schema["enum"])
        if several := [part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, ())]:
            return self._value(dice.choice(several), root, name)
        kind = schema.get("type")
        if kind == "array":
            items = schema.get("items", {})
            return [self._value(items, root, name) for _ in range(dice.randrange(4))]
        return self._object(schema, root) if kind == "object" else self._scalar(kind, schema, name)

    def _object(self, schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
        needed = {"action", *schema.get("required", ())}
        return {
            name: self._value(part, root, name)
            for name, part in schema.get("properties", {}).items()
            if name in needed or self._dice.random() < 0.6
        }

    def _scalar(self, kind: str | None, schema: dict[str, Any], name: str) -> Any:
        dice = self._dice
        if kind in ("integer", "number"):
            if "rate" in name:
                return dice.choice([8000, 16000, 44100, 48000])
            low = schema.get("minimum", schema.get("exclusiveMinimum", -10))
            value = dice.uniform(low, schema.get("maximum", schema.get("exclusiveMaximum", 10)))
            return round(value) if kind == "integer" else value
        if kind == "string":
            return dice.choice(VOICES if "oice" in name else ["robot", "client", "pcm16", "name", "reverb", "gain_db"])
        if kind == "boolean":
            return dice.random() < 0.5
        return deepcopy(dice.choice(_SCALARS))

    def _mangled(self, message: Any) -> Any:
        """One place in it is something else."""
        dice = self._dice
        places: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
            for key, value in list(pairs):
                places.append((node, key))
                walk(value)

        walk(message)
        if not places:
            return deepcopy(dice.choice(_SCALARS))
        node, key = dice.choice(places)
        if isinstance(node, dict) and dice.random() < 0.2:
            del node[key]
            node[dice.choice(["Action", "token", "", "a" * 300])] = 1
        else:
            node[key] = deepcopy(dice.choice(_SCALARS))
        return message


def frame(message: str | bytes) -> bytes:
    """A client's frame (RFC 6455, 5.2), with a mask of zeros."""
    text = isinstance(message, str)
    data = message.encode("utf-8", "replace") if isinstance(message, str) else message
    head = bytes([0x81 if text else 0x82])
    size = len(data)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + data
