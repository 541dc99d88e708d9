"""Errors as HTTP has them: one shape under ``/api``, and only menura's own texts."""

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from menura.errors import (
    ConfigError,
    DeviceError,
    DiskFullError,
    FileError,
    FormatError,
    LibraryError,
    LimitError,
    MenuraError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    StateError,
    VersionError,
    VoiceNotFoundError,
    WaitTimeoutError,
    public_text,
)
from menura.log import get_logger, log_internal_error

__all__ = ["ErrorReply", "add_errors", "answers"]

_log = get_logger(__name__)
API = "/api/"


class ErrorReply(BaseModel):
    """Why something was not done."""

    error: str
    """For people."""
    code: str
    """For programs: stable."""
    reason: str | None = None
    """What else is known."""


_STATUS: tuple[tuple[type[MenuraError], int], ...] = (
    (VoiceNotFoundError, 404),
    (NotFoundError, 404),
    (VersionError, 412),
    (DiskFullError, 507),
    (RateLimitError, 429),
    (LimitError, 413),
    (WaitTimeoutError, 408),
    (FormatError, 415),
    (ModelError, 422),
    (ConfigError, 400),
    (ProtocolError, 400),
    (StateError, 409),
    (DeviceError, 503),
    (FileError, 503),
    (LibraryError, 503),
    (MissingExtraError, 503),
)
"""The first that fits counts."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: which errors a route has, besides those that all have."""
    return {status: {"model": ErrorReply, "description": HTTPStatus(status).phrase} for status in statuses}


def _reply(status: int, text: str, code: str, reason: str = "", headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": text, "code": code} | ({"reason": reason} if reason else {})
    return JSONResponse(body, status, dict(headers or {}))


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, MenuraError)
    status = 403 if error.code == "forbidden" else next((s for kind, s in _STATUS if isinstance(error, kind)), 500)
    headers = {}
    if isinstance(error, RateLimitError):
        headers["Retry-After"] = str(ceil(error.retry_after_ms / 1000))
    return _reply(status, public_text(error), error.code, headers=headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _reply(422, "The request is not as it should be", "invalid_request", f"{where}: {first['msg']}")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith(API):
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    return _reply(error.status_code, str(error.detail), code, headers=error.headers)


async def _internal(request: Request, error: Exception) -> Response:
    log_id = log_internal_error(_log, f"{request.method} failed", error)
    return _reply(500, f"Internal error {log_id}", "internal")


def add_errors(app: FastAPI) -> None:
    """Answer all errors so."""
    app.add_exception_handler(MenuraError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)
