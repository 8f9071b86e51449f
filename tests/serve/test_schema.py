"""What the OpenAPI description promises is kept, whatever is sent: schemathesis makes requests of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

EXAMPLES = 3  # of each address
schemathesis = pytest.importorskip("schemathesis", reason="no schemathesis")
CHECKS = schemathesis.checks.CHECKS.get_all()
BEYOND = {  # a server may refuse more than a schema can say: sizes, classes, files that are no images
    "positive_data_acceptance",
    "negative_data_rejection",
    "unsupported_method",  # answered alike, without an Allow header for the pages' own mounts
}
KEPT = [check for check in CHECKS if check.__name__ not in BEYOND]


@pytest.mark.usefixtures("quick_search")
def test_answers_are_as_described(app) -> None:
    """No answer is an error of the server, and each has the status, type and content that its description names."""
    schema = schemathesis.openapi.from_url(f"http://{app.host}/openapi.json")
    seen = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @seed(0)
        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        )
        @given(case=operation.as_strategy())
        def each(case) -> None:
            case.call_and_validate(checks=KEPT, timeout=30)

        each()
        seen += 1
    assert seen >= 14
