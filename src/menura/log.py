"""Logging: one named logger a module, an id for what a peer must not see."""

import logging
import uuid

__all__ = ["get_logger", "log_internal_error"]


def get_logger(name: str) -> logging.Logger:
    """Logger of a module, under ``menura``."""
    return logging.getLogger(name if name.startswith("menura") else f"menura.{name}")


def log_internal_error(logger: logging.Logger, what: str, error: BaseException) -> str:
    """Log an exception with its trace; returns the id under which the operator finds it."""
    log_id = uuid.uuid4().hex[:8]
    logger.error("%s [%s]", what, log_id, exc_info=error)
    return log_id
