"""The reports below a folder: found, read, ranked, and given with nothing else of the disk."""

from __future__ import annotations

import json
import shutil

import pytest

from metafusion_yolo.serve.reports import Reports
from tests.serve.test_hostile import check


def table(reports: Reports, kind: str):
    return next(one for one in reports.index().tables if one.kind == kind)


def cells(table, row: int) -> dict[str, object]:
    return dict(zip((column.name for column in table.columns), table.rows[row].cells, strict=True))


def test_index_has_what_the_commands_left(runs) -> None:
    reports = Reports(runs)
    validations, report = table(reports, "validations"), json.loads((runs / "val" / "val.json").read_text())
    assert [row.run for row in validations.rows] == ["better", "val"], "best first"
    first = cells(validations, 1)
    assert first["mAP50"] == report["rows"][0]["detection"]["mAP50"] and first["pairs"] == 4
    assert first["data"] == "data.yaml" and first["px"] == "64"
    assert cells(table(reports, "data checks"), 0)["pairs"] == 4
    training = cells(table(reports, "trainings"), 0)
    assert (training["best epoch"], training["epochs"], training["mAP50-95"]) == (2, 3, 0.4)
    compared = [cells(table(reports, "comparisons"), i) for i in range(2)]
    assert [row["row"] for row in compared] == ["universal", "visible"]
    assert compared[0]["verdict"] == "recommended" and compared[0]["95 % interval"] == "0.500 to 0.700"


def test_details_of_each_kind(runs) -> None:
    reports = Reports(runs)
    found = {one.kind: reports.details(one.rows[-1].id) for one in reports.index().tables}
    assert "Detection by class and condition" in found["validations"]
    assert 'data-file="BoxPR_curve.png"' in found["validations"] and 'data-page="val.html"' in found["validations"]
    assert found["trainings"].count("<svg") == 2 and found["comparisons"].count('class="estimate"') == 2


def test_what_cannot_be_read_is_left_out(runs, tmp_path) -> None:
    for name, text in {"cut": '{"rows": [', "list": "[]", "strange": '{"rows": [{"detection": 3}]}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "val.json").write_text(text)
    (tmp_path / "link").symlink_to(runs)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "val.json").symlink_to(runs / "val" / "val.json")
    shutil.copytree(runs / "val", tmp_path / "real")
    assert [row.run for row in table(Reports(tmp_path), "validations").rows] == ["real"]
    assert Reports(tmp_path / "none").index().tables == []


@pytest.mark.parametrize(
    "name", ["args.yaml", "val.json", "..%2fval%2fval.json", "%2e%2e/val.json", "secret.png", "BoxPR_curve.png%00", ""]
)
def test_another_file_of_a_report(app, runs, name) -> None:
    [key, *_] = {row["id"] for one in app.ask("GET", "/reports").json["tables"] for row in one["rows"]}
    for one in runs.iterdir():
        if not (one / "secret.png").is_symlink():
            (one / "secret.png").symlink_to("/etc/passwd")
    check(app.ask("GET", f"/reports/{key}/{name}"), 404, 307, 400)
    check(app.ask("GET", f"/reports/{key[:-1]}/val.html"), 404)


def test_page_of_a_report_runs_nothing(app) -> None:
    tables = {one["kind"]: one["rows"] for one in app.ask("GET", "/reports").json["tables"]}
    answer = app.ask("GET", f"/reports/{tables['validations'][-1]['id']}/val.html")
    assert answer.status == 200 and answer.headers["content-security-policy"].endswith("; sandbox")
    assert "script-src" not in answer.headers["content-security-policy"]
