"""What holds for any names of files: pairing is by name, never by order, and what is wrong is told once, in a line."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metafusion_yolo.data.layout import split_layout
from metafusion_yolo.data.listing import list_images, read_list, read_pair_list
from metafusion_yolo.data.pairs import expected_by_rule, parse_rule
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.options import LAYOUTS

STEM = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\*?[];,\"'"), min_size=1, max_size=8)
SUFFIXES = ("png", "jpg", "tif")
FILES = st.sets(st.tuples(STEM.filter(lambda stem: stem.strip(".")), st.sampled_from(SUFFIXES)), max_size=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["from", "to", "form", 1]), inner),
    max_leaves=4,
)


def touch(folder: Path, files: set[tuple[str, str]]) -> list[str]:
    folder.mkdir(parents=True)
    paths = [folder / f"{stem}.{suffix}" for stem, suffix in sorted(files)]
    for path in paths:
        path.touch()
    return list(map(str, paths))


@given(visible=FILES, infrared=FILES, order=st.randoms(use_true_random=False))
def test_pairing_is_by_stem_whatever_the_order(visible, infrared, order):
    with tempfile.TemporaryDirectory() as name:
        files = touch(Path(name) / "images", visible)
        touch(Path(name) / "infrared", infrared)
        partners, problems = find_partners(files, expected_by_rule("infrared"), orphans=True)
        order.shuffle(files)
        assert find_partners(files, expected_by_rule("infrared"), orphans=True)[0] == partners

    stems, heat = Counter(stem for stem, _ in visible), Counter(stem for stem, _ in infrared)
    found = Counter(problem.kind for problem in problems)
    alone = sum(n for stem, n in stems.items() if not heat[stem])
    assert found["missing-partner"] == (1 if alone == len(visible) > 0 else alone)  # all of them cost one line
    assert found["extra-partner"] == (sum(n for stem, n in heat.items() if not stems[stem]) if visible else 0)
    doubles = sum(n if heat[stem] > 1 else n - 1 for stem, n in stems.items() if heat[stem])
    assert found["ambiguous-partner"] == doubles
    assert set(partners) == set(files)
    for file, partner in partners.items():
        assert not partner or (Path(partner).stem == Path(file).stem and Path(partner).parent.name == "infrared")
    assert all("\n" not in problem for problem in problems)


@given(stems=st.sets(STEM, min_size=1, max_size=6))
def test_cameras_that_share_a_folder_are_told_apart(stems):
    with tempfile.TemporaryDirectory() as name:
        files = touch(Path(name) / "pairs", {(f"{stem}{end}", "png") for stem in stems for end in ("_co", "_ir")})
        partners, problems = find_partners(files, expected_by_rule({"from": "_co.png", "to": "_ir.png"}))
    assert not problems
    assert {Path(v).name: Path(i).name for v, i in partners.items()} == {f"{s}_co.png": f"{s}_ir.png" for s in stems}


@given(parts=st.lists(STEM, min_size=1, max_size=5))
def test_rule_of_a_folder_changes_that_folder_only(parts):
    visible = Path("root", "images", *parts)
    expected = Path(expected_by_rule("infrared")(str(visible)))
    assert len(expected.parts) == len(visible.parts)
    changed = [i for i, (a, b) in enumerate(zip(visible.parts, expected.parts, strict=True)) if a != b]
    assert len(changed) == 1 and visible.parts[changed[0]] == "images" and expected.parts[changed[0]] == "infrared"


@given(value=ANYTHING)
def test_anything_is_a_rule_or_refused_in_a_line(value):
    try:
        rule = parse_rule(value)
    except ValueError as error:
        assert "\n" not in str(error) and "'infrared:" in str(error)
    else:
        assert parse_rule(rule) == rule


@given(pairs=st.lists(st.tuples(STEM, STEM), min_size=1, max_size=6), bom=st.booleans(), mark=st.sampled_from(",;\t"))
def test_lists_are_read_as_they_were_written(pairs, bom, mark):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        pairs = [tuple(f"_{stem}" for stem in pair) for pair in pairs]  # a name that begins with a dot is hidden
        for camera, stems in (("a", {a for a, _ in pairs}), ("b", {b for _, b in pairs})):
            touch(root / camera, {(stem, "png") for stem in stems})
        rows = [(f"a/{visible}.png", f"b/{infrared}.png") for visible, infrared in pairs]
        text = io.StringIO()
        csv.writer(text, delimiter=mark, lineterminator="\r\n").writerows([("visible", "infrared"), *rows])
        encoding = "utf-8-sig" if bom else "utf-8"
        (root / "pairs.csv").write_text(text.getvalue(), encoding, newline="")
        (root / "visible.txt").write_text("\n".join(visible for visible, _ in rows), encoding)
        expected = [(str(root / visible), str(root / infrared)) for visible, infrared in rows]
        assert read_pair_list(root / "pairs.csv") == expected
        assert read_list(root / "visible.txt") == [Path(visible) for visible, _ in expected]
        assert list_images(root) == sorted({file for pair in expected for file in pair})


@pytest.mark.parametrize("layout", LAYOUTS)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 9))
def test_halves_of_a_frame_are_the_two_cameras(layout, height, width, seed):
    visible = np.random.default_rng(seed).integers(0, 255, (height, width, 3))
    infrared = visible.max(2) if layout == "stacked" else visible[::-1]
    if layout == "stacked":
        frame = np.dstack((visible, infrared))
    else:
        first, second = (infrared, visible) if layout.endswith("infrared-first") else (visible, infrared)
        frame = np.concatenate((first, second), 1 if layout.startswith("horizontal") else 0)
    for part, whole in zip(split_layout(frame, layout), (visible, infrared), strict=True):
        np.testing.assert_array_equal(part, whole)
