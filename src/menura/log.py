"""Logging: one named logger a module, an id for what a peer must not see."""

import logging
import uuid

__all__ = ["get_logger", "log_internal_error"]


def get_logger(name: str) -> logging.Logger:
    """Logger of a module, under ``menura``."""
    return logging.getLogger(name if name.startswith("menura") else f"menura.{name}")


def log_internal_error(logger: logging.Logger, what: str) -> str:
    """Log the exception being handled and return the id under which the operator finds it."""
    log_id = uuid.uuid4().hex[:8]
    logger.exception("%s [%s]", what, log_id)
    return log_id
