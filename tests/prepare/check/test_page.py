"""The HTML report and the summary: complete, self-contained, and safe with odd names."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from metafusion_yolo.prepare.check import check_dataset, write_page
from metafusion_yolo.prepare.check.findings import KINDS, SEVERITIES, Case, group_cases
from metafusion_yolo.support.pages.plots import histogram, scatter
from tests.prepare.check.test_faults import FAULTS

VOID = {"meta", "link", "img", "br"}


class Balance(HTMLParser):
    """Raises if an element is not closed in its order; collects attributes that may refer to something outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.references += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(dataset) -> str:
    """The page of a data set with several faults, one in a file with an odd name."""
    for name in ("camera_turned", "cameras_swapped", "box_twice", "copy_in_another_split", "text_instead_of_an_image"):
        FAULTS[name](dataset)
    odd = "train/a <b> & 'c' ü.png"
    (dataset / "images/train/000001.png").rename(dataset / "images" / odd)
    report = check_dataset(dataset / "synthetic.yaml")
    return write_page(report, dataset / "out" / "report.html").read_text(encoding="utf-8")


def test_page_needs_nothing_else(page):
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.references and all(reference.startswith("data:") for reference in parser.references)
    assert not re.search(r"https?://|<script|@import|url\(", page)


def test_page_shows_both_cameras(page):
    pictures = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', page)
    assert {name for _, name in pictures} >= {"visible", "infrared", "infrared of the other"}
    for content, _ in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (256, 320, 3) and image.std() > 2


def test_page_escapes_file_names(page):
    assert "<b> &" not in page
    assert "a &lt;b&gt; &amp; &#39;c&#39; ü.png" in page


def test_page_holds_every_finding_and_the_statistics(page):
    for kind in ("missing-partner", "extra-partner", "unreadable", "swapped-cameras", "split-leak"):
        assert f"({kind})" in page and KINDS[kind].title[1:] in page.replace("&#39;", "'")
    for title in ("Brightness", "Shift between", "Size of the boxes", "Boxes by class", "Depth of the infrared"):
        assert title in page
    assert page.count("<svg") == 5 and "<td" in page


def test_page_of_a_data_set_without_any_readable_pair(dataset):
    for file in dataset.rglob("*.png"):
        file.write_bytes(b"")
    report = check_dataset(dataset / "synthetic.yaml")
    assert report.errors == 44 and not report.measured
    assert "cannot be read" in write_page(report, dataset / "report.html").read_text()


def test_misregistration_shows_the_edges_of_one_camera_over_the_other(dataset):
    FAULTS["camera_turned"](dataset)
    page = write_page(check_dataset(dataset / "synthetic.yaml"), dataset / "report.html").read_text()
    assert "infrared edges over visible" in page


# Summary -------------------------------------------------------------------------------------------------------------
def test_summary_is_a_line_a_finding_gravest_first(dataset):
    for name in ("box_of_a_pixel", "infrared_blank", "text_instead_of_an_image"):
        FAULTS[name](dataset)
    lines = check_dataset(dataset / "synthetic.yaml").summary().splitlines()
    assert lines[0].startswith(f"{dataset}/synthetic.yaml: 22 pairs (train 14, val 8), ")
    assert [line.split()[0] for line in lines[1:-1]] == ["error", "warning", "note"]
    assert lines[-1] == "1 error, 1 warning, 1 note: repair the errors before training"


def test_summary_names_examples_and_the_remedy(dataset):
    FAULTS["eight_bit_saved_as_sixteen"](dataset)
    line = check_dataset(dataset / "synthetic.yaml").summary().splitlines()[1]
    assert re.match(
        r"warning +few-levels +22  .*: infrared/train/000000.png \(\d+ levels, 257 apart, in uint16\), ", line
    )
    assert line.endswith(f", ...; {KINDS['few-levels'].remedy}")


def test_findings_come_in_the_order_of_their_gravity():
    found = group_cases(Case(name, "file") for name in reversed(KINDS))
    assert [finding.kind.name for finding in found] == [*KINDS]
    gravity = [SEVERITIES.index(finding.kind.severity) for finding in found]
    assert gravity == sorted(gravity)


# Plots ---------------------------------------------------------------------------------------------------------------
def bars(svg: str, name: str) -> list[int]:
    return [int(n) for n in re.findall(rf"<title>[^<]*: (\d+) \({name}\)</title>", svg)]


def test_histogram_counts_what_lies_between_the_edges_and_beyond():
    svg = histogram({"visible": [-1, 0, 1, 9.9, 10, 99], "infrared": []}, (0, 5, 10), "grey")
    assert bars(svg, "visible") == [3, 3]
    assert bars(svg, "infrared") == [0, 0]


def test_scatter_keeps_points_inside():
    svg = scatter({"shift": [(0, 0), (100, -100)]}, 5, 2, "shift")
    points = [(float(x), float(y)) for x, y in re.findall(r'class="shift" cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert len(points) == 2 and points[1][0] > points[0][0] and points[1][1] < points[0][1]
    assert all(0 <= x <= 360 and 0 <= y <= 190 for x, y in points)


def test_plots_of_nothing():
    assert bars(histogram({"shift": []}, (0, 1), "nothing"), "shift") == [0]
    assert 'class="shift"' not in scatter({"shift": []}, 5, 2, "nothing")


def test_template_is_beside_the_code():
    import metafusion_yolo.prepare.check.page as page

    assert (Path(page.__file__).parent / page.TEMPLATE).is_file()
