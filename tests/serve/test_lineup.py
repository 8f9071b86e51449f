"""Registration over HTTP: judged in pixels, estimated, written into the YAML of the data set alone."""

from __future__ import annotations

import json
import math

import pytest

from metafusion_yolo.data.registration import Registration
from tests.serve.test_hostile import check

JSON = {"content-type": "application/json"}
AS_IT_IS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
OFF = [[1, 0, 1], [0, 1, 0], [0, 0, 1]]


def ask(app, method, path, matrix=None, **headers):
    body = b"" if matrix is None else json.dumps({"matrix": matrix}).encode()
    return app.ask(method, f"/registration/data%20set{path}", body, **{**JSON, **headers})


def test_pixels_that_are_left(app) -> None:
    assert app.ask("GET", "/registration").json == {"sources": ["data set"], "pairs": 8, "progress": None}
    assert ask(app, "GET", "?number=1").json["matrix"] == AS_IT_IS
    assert ask(app, "POST", "/quality").json["pixels"] < 0.3
    assert ask(app, "POST", "/quality", OFF).json["pixels"] == pytest.approx(1, abs=0.3), "64 px wide, 64 px in"
    told = ask(app, "POST", "/quality", [[1, 0, 30], [0, 1, 20], [0, 0, 1]]).json
    assert told["pixels"] is None and "the edges do not tell" in told["words"]


@pytest.mark.usefixtures("quick_search")
def test_estimated_by_the_pairs(app) -> None:
    answer = ask(app, "POST", "/estimate")
    assert answer.status == 200 and answer.json["pixels"] < 0.5
    assert "8 pairs" in answer.json["words"]


def test_written(app, pairs) -> None:
    before = pairs.yaml.read_text()
    try:
        assert ask(app, "PUT", "", OFF).json == {"written": "data.yaml"}
        assert before in pairs.yaml.read_text(), "the rest stays"
        written = Registration.from_yaml(pairs.data["registration"])
        assert [list(row) for row in written.matrix] == OFF and written.visible == (64, 48)
        assert ask(app, "GET", "?number=1").json["matrix"] == OFF
    finally:
        pairs.yaml.write_text(before)


WRONG = [
    [[0, 0, 0]] * 3,
    [[1, 0, 0], [0, 1, 0]],
    [[1, 0], [0, 1], [0, 0]],
    [["a", 0, 0], [0, 1, 0], [0, 0, 1]],
    [[math.nan, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[math.inf, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[1, 0, 0], [0, 1, 0], [0, 0, 0]],
    "../../etc/passwd",
]


@pytest.mark.parametrize("matrix", WRONG, ids=str)
def test_what_is_no_matrix(app, pairs, matrix) -> None:
    before = pairs.yaml.read_text()
    check(ask(app, "PUT", "", matrix), 422)
    check(ask(app, "POST", "/quality", matrix), 422)
    assert pairs.yaml.read_text() == before


@pytest.mark.parametrize("source", ["gate", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "data.yaml", "%00", "data set/x"])
def test_another_source(app, pairs, source) -> None:
    before = pairs.yaml.read_text()
    source = source.replace(" ", "%20")
    body = json.dumps({"matrix": OFF}).encode()
    check(app.ask("PUT", f"/registration/{source}", body, **JSON), 404, 405, 307)
    check(app.ask("GET", f"/registration/{source}"), 404, 307)
    check(ask(app, "PUT", "", OFF, origin="http://evil.com"), 403)
    check(ask(app, "GET", "?number=99"), 404)
    assert pairs.yaml.read_text() == before
