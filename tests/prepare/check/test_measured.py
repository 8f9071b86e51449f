"""Measurements and cases that lie in files are what they were, and take next to no memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.prepare.check.files import list_pairs, read_source
from metafusion_yolo.prepare.check.findings import Case, Cases, group_cases
from metafusion_yolo.prepare.check.images import inspect_pair
from metafusion_yolo.prepare.check.measured import Measured


@pytest.fixture
def pairs(dataset) -> list:
    """Measurements as they are made: of 16 bits, of a blank image, without and with polygons."""
    deep = cv2.imread(str(dataset / "infrared/train/000000.png"), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 257
    cv2.imwrite(str(dataset / "infrared/train/000000.png"), deep)
    cv2.imwrite(str(dataset / "images/train/000001.png"), np.zeros((160, 200, 3), np.uint8))
    (dataset / "labels/train/000002.txt").write_text("")
    (dataset / "labels/train/000003.txt").write_text("1 0.1 0.1 0.6 0.1 0.6 0.6\n")
    source = read_source(dataset / "synthetic.yaml")
    listed = list_pairs(source)[0][:6]
    found = [inspect_pair(files, PairReader(source.rig), len(source.names))[0] for files in listed]
    last = found[-1]
    return [*found[:-1], replace(last, visible=replace(last.visible, digest=b"\0odd" + b"\0" * 12))]


def test_what_comes_back_is_what_went_in(pairs) -> None:
    measured = Measured(iter(pairs))
    assert len(measured) == len(measured[:]) == 6 and {bool(pair.shift) for pair in pairs} == {True, False}
    for made, pair in zip(measured, pairs, strict=True):
        for field in fields(pair):
            np.testing.assert_equal(getattr(made, field.name), getattr(pair, field.name), field.name)
    assert measured[-1].files == pairs[-1].files and len(Measured([])) == 0
    np.testing.assert_array_equal(measured.looks, [pair.look for pair in pairs])


def test_a_pair_takes_little_memory(pairs) -> None:
    count = 3000
    files = [pairs[0].files] * count
    Measured(pairs), group_cases([Case("unreadable", "3.jpg")])  # what is done once
    tracemalloc.start()
    measured = Measured(replace(pairs[i % 6], files=file) for i, file in enumerate(files))
    found = group_cases(
        Case("label-tiny", f"{i}.txt", "so small " * 9, pair.files.both) for i, pair in enumerate(measured)
    )
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(measured) == found[0].count == count
    assert most - kept < 1e6 and kept < 1e6 + 60 * count  # the buffers of five files; 13 kB a pair as objects


def test_cases_come_back_in_the_order_of_their_weight() -> None:
    given = [
        Case("label-tiny", "ü\udcff.txt", "line 1", ("a", "b"), ("c", ""), ((0.1, 0.2, 0.3, 0.4),), 0.1),
        Case("unreadable", "3.jpg"),
        Case("label-tiny", "7.txt", weight=0.3),
        Case("label-tiny", "8.txt", weight=0.3),
    ]
    cases = Cases(given[:2])
    assert cases[0] == given[0]
    cases.extend(given[2:])  # after reading
    assert [*cases] == given and cases[-2:] == given[2:]
    unreadable, tiny = group_cases(cases)
    assert unreadable.cases[0] == given[1] and [*tiny.cases] == [given[2], given[3], given[0]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_one_error(pairs, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", partial(open, "/dev/full", "wb"))
    with pytest.raises(OSError, match="No space left"):
        [*Measured(iter(pairs))]
