"""The benchmark of the data check measures what it says: a valid data set of as many pairs as asked for."""

from __future__ import annotations

from metafusion_yolo.prepare.check import check_dataset


def test_pairs_are_written_as_asked(tmp_path):
    from data_check import write_pairs

    report = check_dataset(write_pairs(tmp_path, count=20, distinct=7, imgsz=160))
    assert report.splits() == {"train": 16, "val": 4}
    assert len(report.measured) == 20 and {pair.visible.size for pair in report.measured} == {(160, 128)}
    kinds = {finding.kind.name for finding in report.findings}
    assert kinds == {"exact-duplicate", "split-leak"}  # the price of links
