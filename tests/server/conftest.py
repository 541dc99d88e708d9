from collections.abc import Iterator

import pytest

from tests.serving import running_server


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with running_server() as address:
        yield address
