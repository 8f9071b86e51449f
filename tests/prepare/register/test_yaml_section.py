"""A section of a YAML file is replaced, and the rest of the text stays to the letter."""

from __future__ import annotations

import pytest
import yaml

from metafusion_yolo.prepare.register.yaml_section import replaced, write_section

SECTION = {"matrix": [[1.0, 0.0, 1e-05], [0.0, 1.0, 2.5], [0.0, 0.0, 1.0]], "visible": [64, 48]}
WRITTEN = "registration: # new\n  matrix:\n  - [1.0, 0.0, 1.0e-05]\n  - [0.0, 1.0, 2.5]\n  - [0.0, 0.0, 1.0]\n"
WRITTEN += "  visible: [64, 48]\n"
REST = "# my rig\npath: /data # here\n\nnames: # two\n  0: person\n  1: Straße 夜\n"

OLD = {
    "none": "",
    "block": "registration:\n  matrix: # old\n    - [1, 0, 0]\n    - [0, 1, 0]\n    - [0, 0, 1] # end\n",
    "bare": "registration:\n- [1, 0, 0]\n- [0, 1, 0]\n- [0, 0, 1]\n",
    "flow": "registration: [[1, 0, 0],\n  [0, 1, 0], [0, 0, 1]] # old\n",
    "quoted": "'registration': {matrix: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}\n",
    "empty": "registration:\n",
}


@pytest.mark.parametrize("old", [name for name in OLD if name != "none"])
def test_a_section_in_the_middle_is_replaced(old):
    before, after = f"{REST}\n{OLD[old]}", "\n# the test part\ntest: images/test\n"
    text = replaced(before + after, "registration", SECTION, "new")
    assert text == f"{REST}\n{WRITTEN}{after}"
    assert yaml.safe_load(text)["registration"] == SECTION


@pytest.mark.parametrize("old", OLD)
@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_section_at_the_end(old, ending):
    text = replaced((REST + OLD[old]).rstrip("\n") + ending, "registration", SECTION, "new")
    assert text in (f"{REST}{WRITTEN}", f"{REST}\n{WRITTEN}")
    assert replaced(text, "registration", SECTION, "new") == text  # a second time changes nothing


def test_a_key_of_that_name_deeper_down_is_another():
    text = "names:\n  registration: 1\n"
    assert replaced(text, "registration", SECTION, "new") == f"{text}\n{WRITTEN}"


def test_line_ends_mode_and_link_stay(tmp_path):
    file, link = tmp_path / "data.yaml", tmp_path / "link.yaml"
    file.write_bytes(REST.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    link.symlink_to(file)
    write_section(link, "registration", SECTION, "new")
    assert file.read_bytes() == f"{REST}\n{WRITTEN}".replace("\n", "\r\n").encode()
    assert link.is_symlink() and file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.yaml", "link.yaml"]


def test_a_mapping_in_braces_is_left_alone(tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text("{path: here, train: images}\n")
    with pytest.raises(
        ValueError, match=r"cannot be changed automatically; add this by hand: registration: \{matrix: \[\[1\.0, 0\.0"
    ):
        write_section(file, "registration", SECTION)
    assert file.read_text() == "{path: here, train: images}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["data.yaml"]


def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "data.yaml"
    file.write_text(REST)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("metafusion_yolo.prepare.register.yaml_section.shutil.copymode", fail)
    with pytest.raises(OSError, match="disk full"):
        write_section(file, "registration", SECTION)
    assert file.read_text() == REST
    assert [path.name for path in tmp_path.iterdir()] == ["data.yaml"]
