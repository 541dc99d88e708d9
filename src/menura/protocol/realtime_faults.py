"""What went wrong with a provider, and whether another try can help."""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from menura.errors import AuthenticationError, ConnectionLostError, MenuraError, ProviderError, QuotaError
from menura.protocol.realtime_server import ErrorInfo

__all__ = ["Backoff", "Fault", "judge_close", "judge_error", "judge_status"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that went wrong.

    Attributes:
        error: For the caller.
        retry: Whether another connection may do better.
        ends: Whether the session is over, even if the provider has not closed it yet.
        after_s: The provider asked to wait so long.
        known: Its code is one of those told apart here.
    """

    error: MenuraError
    retry: bool
    ends: bool = True
    after_s: float | None = None
    known: bool = False


_KEY = frozenset(
    {
        "invalid_api_key",
        "incorrect_api_key",
        "invalid_authentication",
        "missing_api_key",
        "authentication_error",
        "permission_denied",
        "permission_error",
        "invalid_organization",
        "account_deactivated",
        "account_suspended",
        "access_terminated",
        "unsupported_country_region_territory",
        "ip_not_authorized",
        "unauthorized",
        "forbidden",
    }
)
_ACCOUNT = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "quota_exceeded",
        "credit_exhausted",
    }
)
_HOPELESS = frozenset(
    {
        "beta_api_shape_disabled",
        "model_not_found",
        "deployment_not_found",
        "deploymentnotfound",
        "invalid_model",
        "unsupported_model",
        "resource_not_found",
    }
)
_PASSING = frozenset(
    {
        "session_expired",
        "session_limit_reached",
        "rate_limit_exceeded",
        "server_error",
        "internal_error",
        "internal_server_error",
        "service_unavailable",
        "overloaded",
        "overloaded_error",
        "engine_overloaded",
    }
)
_ENDING = frozenset({"session_expired", "session_limit_reached"})

_CLOSES: dict[int, tuple[bool, str]] = {
    1000: (True, "the provider ended the session"),
    1001: (True, "the provider goes away, or the session has reached its time limit"),
    1002: (False, "protocol error"),
    1003: (False, "a kind of data that is not accepted"),
    1005: (True, "closed without a code"),
    1006: (True, "the connection broke"),
    1007: (False, "malformed data"),
    1008: (False, "policy violation"),
    1009: (False, "a message is too big"),
    1010: (False, "an extension is missing"),
    1011: (True, "the provider failed, or does not answer pings"),
    1012: (True, "the provider restarts"),
    1013: (True, "the provider is busy"),
    1014: (True, "a gateway failed"),
    3000: (False, "not authorized"),
    3003: (False, "forbidden"),
    3008: (True, "time-out"),
}
"""RFC 6455, section 7.4.1, and IANA's registry of close codes: retry, text."""
_UNTIMELY = frozenset({408, 409, 421, 425, 429})
"""Refusals of HTTP that a later try may not meet."""


def _words(*texts: str | None) -> set[str]:
    """Error codes that a text may hold: a close reason is often ``type.code`` or a sentence about it."""
    joined = " ".join(text for text in texts if text).lower()
    return set("".join(c if c.isalnum() or c == "_" else " " for c in joined).split())


def _of_words(words: set[str], text: str, code: str) -> Fault | None:
    """By the first code of ours among the words; the hopeless ones go first."""
    if words & _ACCOUNT:
        return Fault(QuotaError(text, provider_code=code), retry=False, known=True)
    if words & _KEY:
        return Fault(AuthenticationError(text, provider_code=code), retry=False, known=True)
    if words & _HOPELESS:
        return Fault(ProviderError(text, provider_code=code), retry=False, known=True)
    if words & _PASSING:
        return Fault(ProviderError(text, provider_code=code), retry=True, ends=bool(words & _ENDING), known=True)
    return None


def judge_close(code: int, reason: str = "", earlier: Fault | None = None) -> Fault:
    """Of a closed connection.

    Args:
        code: Close code; 1006 where there was none.
        reason: What the provider said with it.
        earlier: What the provider's last error event amounted to, if that may explain the close.

    >>> judge_close(1001).retry, judge_close(1008).retry, judge_close(4000, "x_error.invalid_api_key").retry
    (True, False, False)
    """
    retry, meaning = _CLOSES.get(code, (True, "closed by the provider"))
    text = f"connection closed ({code}): {reason or meaning}"
    named = _of_words(_words(reason), text, "")
    if named is not None:
        return named
    if earlier is not None and earlier.known:
        return Fault(earlier.error, earlier.retry, after_s=earlier.after_s)
    return Fault(ConnectionLostError(text), retry)


def judge_error(error: ErrorInfo, event_type: str = "") -> Fault:
    """Of an error event. Most refuse one event and the session goes on.

    >>> judge_error(ErrorInfo(type="invalid_request_error", code="invalid_value", message="no")).ends
    False
    """
    code = error.code or error.type or ""
    text = f"{code}: {error.message}" if error.message else code or "the provider reports an error"
    fault = _of_words(_words(error.code, error.type), text, code) or Fault(
        ProviderError(text, provider_code=code), retry=True, ends=False
    )
    if isinstance(fault.error, ProviderError):
        fault.error.event_id, fault.error.event_type = error.event_id or "", event_type
    return fault


class _Body(BaseModel):
    error: ErrorInfo


def judge_status(status: int, headers: Mapping[str, str], body: bytes | None = None) -> Fault:
    """Of a handshake that was answered with an HTTP status.

    >>> judge_status(503, {"Retry-After": "2"}).after_s
    2.0
    """
    error = ErrorInfo()
    with suppress(ValidationError):  # no explanation, or one for humans
        error = _Body.model_validate_json(body or b"").error
    code = error.code or error.type or ""
    text = f"the provider answered with HTTP {status}" + (f" ({code}: {error.message})" if code else "")
    after_s = _retry_after(headers.get("Retry-After"))
    fault = _of_words(_words(error.code, error.type), text, code)
    if fault is not None and not fault.retry:
        return fault
    if status == 402:
        return Fault(QuotaError(text, provider_code=code), retry=False)
    if status in (401, 403):
        return Fault(AuthenticationError(f"{text}: check the API key", provider_code=code), retry=False)
    if status in _UNTIMELY or status >= 500:
        return Fault(ConnectionLostError(text), retry=True, after_s=after_s)
    return Fault(ProviderError(f"{text}: check url and model", provider_code=code), retry=False)


def _retry_after(value: str | None) -> float | None:
    """Seconds; dates are not used by any provider."""
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None


class Backoff:
    """Waiting times between tries: exponential, with full jitter, so that many clients do not come back at once.

    Args:
        base_s: The first wait is at most this; each further one at most twice as long as the one before.
        cap_s: No wait is longer, unless the provider asks for it.
        rng: Source of chance.

    Source:
        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    >>> backoff = Backoff(rng=random.Random(1))
    >>> [round(backoff.next(), 2) for _ in range(3)], backoff.next(after_s=60.0) >= 60.0
    ([0.07, 0.85, 1.53], True)
    """

    MAX_ASKED_S = 600.0

    def __init__(self, base_s: float = 0.5, cap_s: float = 30.0, rng: random.Random | None = None) -> None:
        self.base_s, self.cap_s = base_s, cap_s
        self._rng = rng or random.Random()
        self.tries = 0

    def next(self, after_s: float | None = None) -> float:
        """How long to wait before the next try, at least as long as the provider asked."""
        bound = min(self.cap_s, self.base_s * 2.0 ** min(self.tries, 30))
        self.tries += 1
        wait_s = self._rng.uniform(0.0, bound)
        return wait_s if after_s is None else min(after_s, self.MAX_ASKED_S) + wait_s

    def reset(self) -> None:
        """The connection is good again."""
        self.tries = 0
