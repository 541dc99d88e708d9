"""The REST interface does what its description says, whatever it is sent."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from menura.server.access import Access
from menura.server.app import create_app
from menura.server.rates import Rate, ServerLimits
from menura.server.tokens import Token
from menura.store.access_tokens import AccessTokens

TOKEN = "the-token-of-the-operator-of-this-server"
MEANT = ["2xx", "3xx", "400", "401", "403", "404", "409", "412"]
"""Answers to what fits the description: 400 where it names what is not there (kinds of stages, their parameters)."""
CONFIG = schemathesis.Config.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": MEANT}}})
EXAMPLES = 4
"""Of what fits the description, and of what does not, for each route."""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path / "home"))
    limits = ServerLimits(requests=Rate(1e6, 10**6))
    app = create_app(relay=False, access=Access(Token(TOKEN), named=AccessTokens(), required=True, limits=limits))
    with TestClient(app):
        yield app


def check_route(route: APIOperation, known: dict[str, str], mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(route.as_strategy(generation_mode=mode), st.booleans())
    def check(case: schemathesis.Case, real: bool) -> None:
        if real:
            case.path_parameters |= {name: value for name, value in known.items() if name in case.path_parameters}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        reply = case.call(headers=headers)
        # what is a model, and what a voice, no schema can say
        no_model = reply.status_code == 422 and reply.json()["code"].startswith("model_")
        excluded: list[schemathesis.CheckFunction] = [positive_data_acceptance] if no_model else []
        case.validate_response(reply, excluded_checks=excluded, headers=headers)

    check()


def test_every_route_answers_as_it_is_described(app: FastAPI) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    described = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=headers, config=CONFIG)
    routes = [found.ok() for found in described.get_all_operations()]
    assert len(routes) > 30
    wrong = []
    for route in routes:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                check_route(route, {"voice_id": "robot"}, mode)
            except Unsatisfiable:
                pass  # nothing can be wrong with a request that has no parameters
            except (Exception, FailureGroup) as error:
                wrong.append(f"{route.label}, {mode}: {error}")
    assert not wrong, "\n\n".join(wrong)
