"""What the OpenAPI description promises is kept, whatever is sent: schemathesis makes requests of it."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings

from tests.serve.conftest import TOKEN

schemathesis = pytest.importorskip("schemathesis", reason="no schemathesis")
CHECKS = schemathesis.checks.CHECKS.get_all()
BEYOND = {  # a server may refuse more than a schema can say: sizes, classes, files that are no images
    "positive_data_acceptance",
    "negative_data_rejection",
    "unsupported_method",  # answered alike, without an Allow header for the pages' own mounts
}
KEPT = [check for check in CHECKS if check.__name__ not in BEYOND]


@pytest.fixture(scope="module")
def schema(app):
    return schemathesis.openapi.from_url(f"http://{app.host}/openapi.json")


lazy = schemathesis.pytest.from_fixture("schema")


@lazy.parametrize()
@settings(max_examples=8, phases=[Phase.generate], derandomize=True, database=None, deadline=None)
def test_as_described(case) -> None:
    """No answer is an error of the server, and each has the status, type and content that its description names."""
    assert TOKEN not in str(case.headers)
    case.call_and_validate(checks=KEPT)
