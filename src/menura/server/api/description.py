"""What OpenAPI says of all routes alike: the gate before them, and the errors that every answer may be."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from menura.server.access import HEALTH, OPEN
from menura.server.api.errors import ErrorReply

__all__ = ["add_description"]

BEARER = "token"
ALWAYS = (408, 413, 421, 429, 500)
"""Of every route: too slow, too large, another server's, too many, and our own fault."""
REFUSED = (401, 403)
"""Of those that ask who comes."""
_METHODS = {"get", "put", "post", "patch", "delete"}


def add_description(app: FastAPI) -> None:
    """Complete what the application says of itself in OpenAPI. Once per application."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})[ErrorReply.__name__] = ErrorReply.model_json_schema()
    components["securitySchemes"] = {
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "description": "The operator's token, or a named one; where the server asks for none, it may be left out.",
        }
    }
    for path, item in schema["paths"].items():
        for method in _METHODS & item.keys():
            _complete(item[method], everybody=path in OPEN | {HEALTH})
    return schema


def _complete(operation: dict[str, Any], *, everybody: bool) -> None:
    operation["security"] = [] if everybody else [{BEARER: []}, {}]
    unread = (400,) if "requestBody" in operation else ()
    for status in (*unread, *(() if everybody else REFUSED), *ALWAYS):
        reply = {"schema": {"$ref": f"#/components/schemas/{ErrorReply.__name__}"}}
        told = {"description": HTTPStatus(status).phrase, "content": {"application/json": reply}}
        operation["responses"].setdefault(str(status), told)
