"""Which infrared file belongs to a visible one, and what is said where none or several do."""

from __future__ import annotations

from pathlib import Path

import pytest

from metafusion_yolo.data.pairs import (
    SHOWN,
    PairError,
    expected_beside,
    expected_by_rule,
    parse_rule,
)
from metafusion_yolo.data.partners import find_partners


def touch(root: Path, *names: str) -> list[str]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return [str(root / name) for name in names]


# The rule ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("visible", "infrared"),
    [
        ("images/7.jpg", "infrared/7.jpg"),
        ("set/images/val/7.jpg", "set/infrared/val/7.jpg"),
        ("images/images/val/7.jpg", "images/infrared/val/7.jpg"),
        ("my_images/images/x/7.jpg", "my_images/infrared/x/7.jpg"),
        ("images/my_images/images.old/7.jpg", "infrared/my_images/images.old/7.jpg"),
        ("images/a/images", "infrared/a/images"),
    ],
)
def test_folder_rule_replaces_the_last_component_named_images(visible, infrared):
    assert expected_by_rule("infrared")(visible) == infrared


@pytest.mark.parametrize("visible", ["my_images/7.jpg", "images", "Images/7.jpg"])
def test_folder_rule_needs_a_folder_named_images(visible):
    with pytest.raises(PairError, match=rf"'{visible}' is not in a folder named 'images'.*set 'infrared:"):
        expected_by_rule("infrared")(visible)


def test_folder_rule_takes_any_folder():
    assert expected_by_rule("ir/lwir")("a/images/7.jpg") == "a/ir/lwir/7.jpg"


@pytest.mark.parametrize(
    ("rule", "visible", "infrared"),
    [
        ({"from": "_co.png", "to": "_ir.png"}, "d/00_co.png", "d/00_ir.png"),
        ({"from": "/visible/", "to": "/lwir/"}, "set/V000/visible/1.jpg", "set/V000/lwir/1.jpg"),
        ({"from": "rgb", "to": "ir"}, "rgb/rgb_1.jpg", "rgb/ir_1.jpg"),
        ({"from": "_rgb", "to": ""}, "d/1_rgb.jpg", "d/1.jpg"),
        ("vis/*_V -> th/*_T", "d/vis/day/7_V.jpg", "d/th/day/7_T.jpg"),
        ("vis/*_V -> th/*_T.tif", "vis/7_V.jpg", "th/7_T.tif"),
        ("*_V -> *_T", "d_V/a_V.b_V.jpg", "d_V/a_V.b_T.jpg"),
        ("rgb/*/cam0/* -> ir/*/cam1/*", "s/rgb/x/cam0/7.jpg", "s/ir/x/cam1/7.jpg"),
        ("/d/vis/* -> /e/th/*", "/d/vis/7.jpg", "/e/th/7.jpg"),
    ],
)
def test_substitution_rule_replaces_the_last_occurrence(rule, visible, infrared):
    assert expected_by_rule(parse_rule(rule))(visible) == infrared


@pytest.mark.parametrize("value", [None, "infrared"])
def test_rule_defaults_to_the_infrared_folder(value):
    assert parse_rule(value) == "infrared"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            5,
            r"'infrared: 5' in d.yaml is not a pairing rule; expected a folder name .* or 'visible part -> infrared",
        ),
        ("", "is not a pairing rule"),
        ([], "is not a pairing rule"),
        ({}, "is not a pairing rule"),
        ({"from": "_co"}, "is not a pairing rule"),
        ({"from": "", "to": "_ir"}, "is not a pairing rule"),
        ("vis/*_V -> th/*_*_T", "is not a pairing rule"),
        ({"from": 1, "to": "_ir"}, "is not a pairing rule"),
        ({"form": "_co", "to": "_ir"}, "unknown key 'form' under 'infrared:' in d.yaml, did you mean 'from'?"),
        ({"from": "_co", "to": "_ir", "suffix": ".png"}, "unknown key 'suffix'"),
    ],
)
def test_wrong_rules_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        parse_rule(value, "d.yaml")


# Partners ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("visible", "infrared"),
    [
        ("images/7.jpg", "infrared/7.jpg"),
        ("images/7.jpg", "infrared/7.png"),
        ("images/7.JPG", "infrared/7.TIFF"),
        ("images/a b/7 (1).jpg", "infrared/a b/7 (1).png"),
        ("images/träße/ночь.jpg", "infrared/träße/ночь.png"),
        ("images/7.v2.jpg", "infrared/7.v2.png"),
        ("images/[7]*.jpg", "infrared/[7]*.png"),
    ],
)
def test_partner_has_the_same_name_with_any_suffix(tmp_path, visible, infrared):
    files = touch(tmp_path, visible, infrared)
    assert find_partners(files[:1], expected_by_rule("infrared")) == ({files[0]: files[1]}, [])


def test_names_that_only_begin_alike_are_no_partners(tmp_path):
    visible, *_ = touch(tmp_path, "images/7.jpg", "infrared/7.v2.png", "infrared/70.png", "infrared/7.txt")
    _, problems = find_partners([visible], expected_by_rule("infrared"))
    assert len(problems) == 1


def test_pairing_is_by_name_never_by_order(tmp_path):
    visible = touch(tmp_path, "images/b.jpg", "images/a.jpg", "images/c.jpg")
    touch(tmp_path, "infrared/c.png", "infrared/a.png", "infrared/b.png")
    partners, problems = find_partners(visible, expected_by_rule("infrared"))
    assert not problems
    assert all(Path(v).stem == Path(ir).stem for v, ir in partners.items())
    assert list(partners) == visible


def test_two_roots_keep_the_relative_path(tmp_path):
    visible = touch(tmp_path, "vis/day/1.jpg", "vis/night/1.jpg")
    infrared = touch(tmp_path, "ir/day/1.png", "ir/night/1.png")
    partners, problems = find_partners(visible, expected_beside(tmp_path / "vis", tmp_path / "ir"))
    assert not problems
    assert list(partners.values()) == infrared


def test_both_cameras_may_share_a_folder(tmp_path):
    files = touch(tmp_path, "images/1_co.png", "images/1_ir.png", "images/2_co.png", "images/2_ir.tif")
    partners, problems = find_partners(files, expected_by_rule({"from": "_co", "to": "_ir"}), orphans=True)
    assert not problems
    assert partners == {files[0]: files[1], files[2]: files[3]}


def test_a_folder_above_both_cameras_will_do(tmp_path):
    files = touch(tmp_path, "images/1.png", "infrared/1.png")
    assert find_partners(files, expected_by_rule("infrared"), orphans=True) == ({files[0]: files[1]}, [])


def test_listing_is_not_remembered(tmp_path):
    visible, infrared = touch(tmp_path, "images/1.png", "infrared/1.png")
    Path(infrared).unlink()
    assert find_partners([visible], expected_by_rule("infrared"))[1]
    touch(tmp_path, "infrared/1.jpg")
    assert not find_partners([visible], expected_by_rule("infrared"))[1]


# Problems ------------------------------------------------------------------------------------------------------------
def problems_of(files: list[str], rule="infrared", orphans=True) -> list[str]:
    return find_partners(files, expected_by_rule(rule), orphans)[1]


def test_missing_infrared_image_is_named(tmp_path):
    [visible] = touch(tmp_path, "images/1.png")
    target = tmp_path / "infrared" / "1"
    [problem] = problems_of([visible])
    assert problem.startswith(f"no infrared image for '{visible}': looked for '{target}.*'; add the file, or set")


def test_orphan_infrared_image_is_named(tmp_path):
    visible, _, orphan = touch(tmp_path, "images/1.png", "infrared/1.png", "infrared/2.png")
    [problem] = problems_of([visible])
    assert problem.startswith(f"no visible image for '{orphan}': looked in '{tmp_path / 'images'}'; add")
    assert not problems_of([visible], orphans=False)


def test_ambiguous_infrared_image_is_named_once(tmp_path):
    visible, *_ = touch(tmp_path, "images/1.png", "infrared/1.png", "infrared/1.tif")
    [problem] = problems_of([visible])
    assert problem.startswith(f"ambiguous infrared image for '{visible}': '1.png', '1.tif' in")
    assert problem.endswith("keep one of them")


def test_one_infrared_image_for_two_visible_ones_is_refused(tmp_path):
    jpg, png, infrared = touch(tmp_path, "images/1.jpg", "images/1.png", "infrared/1.png")
    [problem] = problems_of([jpg, png])
    assert all(f"'{file}'" in problem for file in (jpg, png, infrared))
    assert problem.endswith("keep one of them")


def test_a_visible_image_listed_twice_is_no_problem(tmp_path):
    visible, infrared = touch(tmp_path, "images/1.jpg", "infrared/1.png")
    assert find_partners([visible, visible], expected_by_rule("infrared")) == ({visible: infrared}, [])


def test_orphan_in_a_shared_folder_is_named(tmp_path):
    files = touch(tmp_path, "images/1_co.png", "images/1_ir.png", "images/2_ir.png")
    [problem] = problems_of(files, {"from": "_co", "to": "_ir"})
    assert problem == f"no visible image for '{files[2]}'; add the visible image or remove this one"
    assert problem.kind == "extra-partner"


def test_ambiguous_pair_in_a_shared_folder_is_named_once(tmp_path):
    files = touch(tmp_path, "images/1_co.png", "images/1_ir.png", "images/1_ir.tif")
    [problem] = problems_of(files, {"from": "_co", "to": "_ir"})
    assert problem.startswith(f"ambiguous infrared image for '{files[0]}'")


def test_an_image_is_not_its_own_partner(tmp_path):
    files = touch(tmp_path, "images/1.png")
    [problem] = problems_of(files, "images")
    assert problem.startswith("no infrared image")


def test_images_that_claim_each_other_are_no_data_set(tmp_path):
    [problem] = problems_of(touch(tmp_path, "images/1.png", "images/1.jpg"), "images")
    assert "infrared partner of another" in problem


def test_all_problems_are_found_at_once(tmp_path):
    files = touch(tmp_path, "images/1.png", "images/2.png", "images/3.png", "rgb/4.png")
    touch(tmp_path, "infrared/2.png", "infrared/2.tif", "infrared/3.png", "infrared/5.png")
    problems = problems_of(files)
    assert len(problems) == 4
    for name, start in (("1.png", "no infrared"), ("2.png", "ambig"), ("4.png", "'"), ("5.png", "no visible")):
        assert sum(problem.startswith(start) and name in problem for problem in problems) == 1


@pytest.mark.parametrize(("count", "more"), [(1, ""), (SHOWN, ""), (SHOWN + 7, "... and 7 more like it")])
def test_summary_counts_all_problems_and_shows_the_first_of_each_kind(count, more):
    problems = [f"problem of '{i}.png'" for i in range(count)]
    lines = str(PairError.of([*problems, "another (12 bytes)"], "folder")).splitlines()
    assert lines[0] == f"{count + 1} problems in folder:"
    assert [line.strip() for line in lines[1:]] == [*problems[:SHOWN], *[more] * bool(more), "another (12 bytes)"]


def test_rule_of_other_names_is_answered_with_the_likely_one(tmp_path):
    files = touch(tmp_path, *(f"{part}.png" for i in range(3) for part in (f"vis/{i}_W", f"th/{i}_T")))
    visible = [file for file in files if "/vis/" in str(file)]
    partners, [problem] = find_partners(map(str, visible), expected_by_rule(parse_rule("vis/*_V -> th/*_T")))
    assert not partners
    assert "does not contain 'vis/*_V'" in problem and "so it is with all 3 images" in problem
    assert problem.endswith("; did you mean 'vis/*_W -> th/*_T'? A CSV of pairs works too")


@pytest.mark.parametrize("beside", [False, True])
def test_a_folder_of_both_cameras_is_answered_with_the_rule_of_its_names(tmp_path, beside):
    files = touch(tmp_path, *(f"DCIM/{i}_{camera}.jpg" for i in range(3) for camera in "TV"))
    home, _ = tmp_path / "DCIM", touch(tmp_path, "t1/9.jpg")  # not the folder of an infrared camera
    expected = expected_beside(home, home) if beside else expected_by_rule(parse_rule("infrared"))
    partners, [problem] = find_partners(map(str, files), expected)
    assert not any(partners.values()) and "did you mean '*_V -> *_T'" in problem
