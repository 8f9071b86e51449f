"""Training on pairs that a detector labels."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.labels import label_file, read_labels
from metafusion_yolo.data.listing import list_images
from metafusion_yolo.labelling.unlabelled import with_machine_labels
from metafusion_yolo.support.errors import UserValueError


@pytest.fixture
def roads(few_roads) -> Path:
    """Four labelled pairs to train with, and five without labels, of which one is to validate with too."""
    pytest.importorskip("ensemble_boxes")
    for part in ("images", "infrared"):
        for file in (few_roads / part / "unlabelled").iterdir():
            file.unlink()
        for file in (few_roads / part / "val").iterdir():
            (few_roads / part / "unlabelled" / f"more-{file.name}").symlink_to(file.readlink())
    data = yaml.safe_load((few_roads / "data.yaml").read_text())
    some = sorted((few_roads / "images" / "val").iterdir())[0]
    data["unlabelled"] = ["images/unlabelled", str(some)]
    (few_roads / "data.yaml").write_text(yaml.safe_dump(data))
    return few_roads


def test_pairs_join_with_the_labels_of_the_machine(roads, coco, tmp_path, caplog) -> None:
    before = {file: file.read_bytes() for file in (roads / "labels").rglob("*.txt")}
    file = with_machine_labels(str(roads / "data.yaml"), coco, tmp_path / "run", imgsz=320, conf=0.2)
    content = yaml.safe_load(file.read_text())
    added = list_images(content["train"][1])
    assert added and all(Path(image).name.startswith("more-") for image in added)  # the one of `val:` is not
    assert all(len(read_labels(label_file(image)).classes) for image in added)
    assert content["train"][0] == str(roads / "images" / "train")
    assert before == {file: file.read_bytes() for file in (roads / "labels").rglob("*.txt")}


def test_labels_of_people_go_first(roads, coco, tmp_path) -> None:
    image = sorted((roads / "images" / "unlabelled").iterdir())[0]
    label_file(image).parent.mkdir()
    label_file(image).write_text("1 0.5 0.5 0.25 0.25\n")
    file = with_machine_labels(str(roads / "data.yaml"), coco, tmp_path / "run", imgsz=320, conf=0.2)
    added = {Path(f).name: f for f in list_images(yaml.safe_load(file.read_text())["train"][1])}
    assert read_labels(label_file(added[image.name])).classes.tolist() == [1]


@pytest.mark.slow
def test_a_model_trains_on_what_it_labels_itself(roads, yolov8n, tmp_path) -> None:
    model = MetaFusionYOLO(yolov8n)
    quick = {"imgsz": 320, "epochs": 1, "batch": 4, "device": "cpu", "plots": False, "lr0": 1e-6, "workers": 0}
    data = str(roads / "data.yaml")
    model.train(data=data, unlabelled="self", project=str(tmp_path / "runs"), optimizer="SGD", **quick)
    assert {folder.name for folder in (tmp_path / "runs").iterdir()} == {"train", "train-self", "train-unlabelled"}
    assert len(model.trainer.train_loader.dataset) > 4


def test_what_does_not_go_together_is_refused(roads) -> None:
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    with pytest.raises(UserValueError, match="no label is read"):
        model.train(data=str(roads / "data.yaml"), unlabelled="self", fusion_only=True)
    data = yaml.safe_load((roads / "data.yaml").read_text())
    (roads / "data.yaml").write_text(yaml.safe_dump({**data, "unlabelled": None}))
    with pytest.raises(UserValueError, match="names no pairs without labels; add 'unlabelled:'"):
        model.train(data=str(roads / "data.yaml"), unlabelled="self")
