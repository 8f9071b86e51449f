"""The links of a fold, and the changes to a model YAML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ultralytics.data.utils import img2label_paths

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.rows import COMPARED
from metafusion_yolo.compare.training import link_fold, model_yaml
from metafusion_yolo.config import FusionConfig
from metafusion_yolo.data.pairs import expected_by_rule
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.support.files import original


def setting(data: Path, **kwargs) -> Setting:
    return Setting(data=str(data), pretrained="", epochs=1, imgsz=64, batch=4, folds=0, **kwargs)


def test_links_keep_pairing_registration_and_labels(make_pair_folder, tmp_path) -> None:
    pairs = make_pair_folder(
        infrared={"from": "/images/", "to": "/infrared/"},
        registration={"sequences": {"images/train": [[1, 0, 2], [0, 1, 0], [0, 0, 1]]}},
    )
    folder = tmp_path / "fold"
    folder.mkdir()
    file = link_fold(setting(pairs.yaml), 0, folder)
    rig, whole = Rig.of_file(file), Rig.of_file(pairs.yaml)
    assert rig == whole
    links = [Path(line.split(",")[0]) for line in (folder / "val.csv").read_text().splitlines()]
    assert [original(folder, str(link)) for link in links] == [str(path) for path in pairs.visible]
    for link in links:
        assert link.is_symlink() and Path(img2label_paths([str(link)])[0]).is_file()
        assert Path(expected_by_rule(rig.pairing)(str(link))).is_file()
        assert rig.homography(link, (64, 48), (64, 48))[0, 2] == 2


def test_a_cap_takes_pairs_from_all_over_the_split(make_pair_folder, tmp_path) -> None:
    pairs = make_pair_folder(count=6)
    link_fold(setting(pairs.yaml, pairs=3), 0, tmp_path)
    names = [Path(line.split(",")[0]).name for line in (tmp_path / "train.csv").read_text().splitlines()]
    assert names == ["0.png", "2.png", "5.png"]
    link_fold(setting(pairs.yaml), 0, tmp_path)
    assert len((tmp_path / "train.csv").read_text().splitlines()) == 6


def test_more_folds_than_blocks_are_refused(pair_folder, tmp_path) -> None:
    with pytest.raises(ValueError, match="too few blocks of neighbouring frames for folds=3"):
        link_fold(replace(setting(pair_folder.yaml), folds=3), 0, tmp_path)


def test_rows_differ_from_the_shipped_model_as_they_say() -> None:
    sections = {name: model_yaml("metafusion-yolov8s.yaml", row.fusion) for name, row in COMPARED.items()}
    assert all(section["scale"] == "s" for section in sections.values())
    configs = {
        name: FusionConfig.from_dict(yaml.safe_load(yaml.safe_dump(s))["fusion"]) for name, s in sections.items()
    }
    assert configs["guided"] == FusionConfig()
    assert {name: config.method for name, config in configs.items() if config.method != "learned"} == {
        "visible": "visible",
        "infrared": "infrared",
        "average": "average",
        "false-colour": "false-colour",
    }
    universal = configs["universal"]
    assert universal.schedule.joint.lr.fusion == 0 and not universal.schedule.joint.joint
    assert universal.augment.share_jitter == 0 == universal.augment.modality_dropout
