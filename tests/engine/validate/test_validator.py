"""Validation on its own: what it reports, what it leaves alone, and that training does not pay for it."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torch.nn import functional as F

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.validate.measure import content_area
from metafusion_yolo.engine.validate.validator import FusionDetectionValidator
from metafusion_yolo.evaluation.corruptions import KINDS, STRENGTHS
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.functional.metrics.accumulator import parse_metrics
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.options import QUICK
from tests.engine.conftest import IMGSZ

QUIET = {"imgsz": IMGSZ, "batch": 2, "verbose": False, "exist_ok": True}


class Oracle(FusionDetectionValidator):
    """Finds some of the labels, with false alarms, at random by what the model says: an untrained one finds nothing."""

    def preprocess(self, batch):
        self.labels = super().preprocess(batch)
        return self.labels

    def postprocess(self, preds):
        seed = (preds[0] if isinstance(preds, (list, tuple)) else preds).double().sum().item()
        rng = torch.Generator().manual_seed(int(seed * 1e3) % 2**31)
        found = []
        for i in range(len(self.labels["img"])):
            target = self._prepare_batch(i, self.labels)
            boxes = target["bboxes"].reshape(-1, 4)
            jitter = torch.randn(boxes.shape, generator=rng) * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2) * 0.06
            kept = torch.rand(len(boxes), generator=rng) < 0.7
            alarms = torch.rand((3, 4), generator=rng).sort(1)[0] * IMGSZ
            cls = torch.cat((target["cls"][kept], torch.zeros(3)))
            score = torch.rand(len(cls), generator=rng)
            bboxes = torch.cat(((boxes + jitter)[kept], alarms))
            order = score.argsort(descending=True)
            found.append({"bboxes": bboxes[order], "conf": score[order], "cls": cls[order], "extra": bboxes[:, :0]})
        return found


@pytest.fixture(scope="module")
def validated(run, tmp_path_factory):
    """One validation with everything switched on: its metrics and its folder."""
    folder = tmp_path_factory.mktemp("val")
    model = MetaFusionYOLO(run.best)
    metrics = model.val(Oracle, data=str(run.data), project=str(folder), name="v", curves=True, **QUIET)
    return SimpleNamespace(metrics=metrics, report=metrics.report, folder=folder / "v")


def validate(run, tmp_path, **arguments):
    return MetaFusionYOLO(run.best).val(
        data=str(run.data), project=str(tmp_path), **{"name": "v", "plots": False, **QUIET, **arguments}
    )


def test_the_figures_of_detection_are_those_of_the_host(validated) -> None:
    box, total = validated.metrics.box, validated.report.rows[0]
    assert 0.1 < box.map50 < 0.95
    assert total.detection["mAP50"] == pytest.approx(box.map50)
    assert total.detection["mAP50-95"] == pytest.approx(box.map)
    by_class = {row.name: row.detection for row in validated.report.rows if row.kind == "class"}
    for i, c in enumerate(box.ap_class_index):
        assert by_class[validated.metrics.names[c]]["mAP50-95"] == pytest.approx(box.class_result(i)[3])
    conditions = [row for row in validated.report.rows if row.kind == "condition"]
    assert sum(row.images for row in conditions) == total.images == 4
    assert sum(row.instances for row in conditions) == total.instances


def test_what_is_found_is_counted_by_the_camera_that_shows_it(validated, run) -> None:
    with (run.data.parent / "shown_in.csv").open() as file:
        there = Counter(row["shown_in"] for row in csv.DictReader(file) if row["file"].startswith("labels/val/"))
    counted = validated.report.shown_in
    assert {camera: objects for camera, (_, objects) in counted.items()} == there
    total = sum(there.values()), sum(found for found, _ in counted.values())
    page = (validated.folder / "val.html").read_text()
    assert f"{total[0] - total[1]} of {total[0]} objects were missed" in page and validated.report.by_camera in page


def test_fusion_metrics_are_those_of_the_fused_images(run, tmp_path) -> None:
    metrics = validate(run, tmp_path, metrics="EN,SSIM", rect=False)
    model = MetaFusionYOLO(run.best)
    front_end = model.model.fusion.eval()
    values = []
    for result in model.predict(run.source, imgsz=IMGSZ, verbose=False):  # 64 pixels wide, so not resized
        pair = np.dstack((result.orig_img[..., ::-1], result.infrared)).astype(np.float32) / 255
        pair = torch.from_numpy(pair).permute(2, 0, 1)[None]
        height = pair.shape[2]
        top = (IMGSZ - height) // 2
        boxed = F.pad(pair, (0, 0, top, IMGSZ - height - top), value=114 / 255)
        with torch.no_grad():
            fused = front_end(boxed).fused[..., top : top + height, :]
        planes = rgb_to_luminance(fused).clamp(0, 1), rgb_to_luminance(pair[:, :3]), pair[:, 3:]
        values.append([METRICS[name](*planes).item() for name in ("EN", "SSIM")])
    found = metrics.report.rows[0].quality
    assert [*found] == ["EN", "SSIM"]
    np.testing.assert_allclose([*found.values()], np.mean(values, 0), rtol=2e-3)  # batch norm is folded there


@pytest.mark.parametrize(("height", "width"), [(40, 64), (64, 40), (64, 64), (30, 47)])
def test_the_letterbox_is_found(make_pair_folder, height, width) -> None:
    data = make_pair_folder(sizes=((height, width),))
    validator = FusionDetectionValidator(args={"imgsz": IMGSZ, "task": "detect", "rect": False})
    validator.data, validator.stride, validator.device = {**data.data}, 32, torch.device("cpu")
    dataset = validator.build_dataset(str(data.images), batch=1)
    item = dataset[0]
    target = {"ori_shape": item["ori_shape"], "ratio_pad": item["ratio_pad"], "imgsz": item["img"].shape[1:]}
    x0, y0, x1, y1 = content_area(target)
    grey = (item["img"] == 114).all(0).numpy()
    outside = np.ones_like(grey)
    outside[y0:y1, x0:x1] = False
    assert grey[outside].all()
    assert not grey[y0:y1, x0:x1].all(0).any()
    assert not grey[y0:y1, x0:x1].all(1).any()


def test_a_camera_off_in_the_curves_is_that_of_modalities(run, validated, tmp_path) -> None:
    curves = validated.report.curves
    for on, off in (("visible", "infrared"), ("infrared", "visible")):
        alone = validate(run, tmp_path, modalities=on, validator=Oracle).box.map50
        assert alone > 0.1
        assert curves["missing"][f"{off} missing"][-1] == (1.0, pytest.approx(alone))
    undisturbed = [curve[0][1] for curves in curves.values() for curve in curves.values()]
    assert undisturbed == pytest.approx([validated.metrics.box.map50] * 4)


def test_files_of_the_run(validated) -> None:
    names = {path.name for path in validated.folder.iterdir()}
    assert {"val.json", "val.csv", "val.html", "weights.png", "missing.png", "shift.png"} <= names
    written = json.loads((validated.folder / "val.json").read_text())
    assert written["rows"][0]["detection"]["mAP50"] == validated.report.rows[0].detection["mAP50"]
    assert written["speed_ms"].keys() == {"preprocess", "inference", "loss", "postprocess"}
    assert written["imgsz"] == IMGSZ
    rows = list(csv.DictReader((validated.folder / "val.csv").open()))
    assert [row["name"] for row in rows] == [row.name for row in validated.report.rows]
    results = validated.metrics.results_dict
    assert results["fitness"] == validated.metrics.fitness
    assert {f"fusion/{name}" for name in QUICK} | {"weights/inside", "metrics/MR-2(B)"} <= results.keys()


def test_the_page_needs_nothing_else(validated) -> None:
    page = (validated.folder / "val.html").read_text(encoding="utf-8")
    missed = sum("no overlapping detection" in line or "best score" in line for line in page.splitlines())
    assert missed >= 3
    sources = re.findall(r'<img src="([^"]{22})', page)
    assert len(sources) == 3 + 3 * missed  # plots; visible, infrared and fused of each miss
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert str(validated.folder) not in page


def test_with_a_camera_off_or_an_export_there_are_no_figures_of_fusion(run, tmp_path) -> None:
    off = validate(run, tmp_path, modalities="visible", plots=True).report
    onnx = MetaFusionYOLO(run.best).export(format="onnx", imgsz=IMGSZ)
    export = MetaFusionYOLO(onnx).val(data=str(run.data), project=str(tmp_path), name="v", **QUIET).report
    for report in (off, export):
        assert not report.rows[0].quality
        assert not report.histogram
        assert report.rows[0].detection["MR-2"] is not None
        assert "IR" not in "\n".join(report.lines(classes=True))
    assert (tmp_path / "v" / "val.html").is_file()


def test_conditions_of_a_file(run, tmp_path) -> None:
    data = yaml.safe_load(run.data.read_text())
    names = sorted(path.name for path in run.source.iterdir())
    (tmp_path / "when.csv").write_text("".join(f"val/{name},{c}\n" for name, c in zip(names, "abab", strict=True)))
    file = tmp_path / "conditions.yaml"
    file.write_text(yaml.safe_dump({**data, "conditions": str(tmp_path / "when.csv")}))
    report = MetaFusionYOLO(run.best).val(data=str(file), project=str(tmp_path), plots=False, **QUIET).report
    assert [(row.name, row.images) for row in report.rows if row.kind == "condition"] == [("a", 2), ("b", 2)]
    (tmp_path / "when.csv").unlink()
    with pytest.raises(FileNotFoundError, match="for 'conditions:'; give a CSV of image,condition rows"):
        MetaFusionYOLO(run.best).val(data=str(file), project=str(tmp_path), plots=False, **QUIET)


def test_pairs_without_labels_still_have_figures_of_fusion(run, make_pair_folder, tmp_path) -> None:
    data = make_pair_folder(names={0: "person", 1: "car", 2: "c"})
    for label in (data.root / "labels" / "train").iterdir():
        label.unlink()
    report = MetaFusionYOLO(run.best).val(data=str(data.yaml), project=str(tmp_path), curves=True, **QUIET).report
    assert report.rows[0].detection["mAP50"] is None
    assert report.rows[0].quality["EN"] > 0
    assert report.curves == {}


def test_wrong_arguments_are_refused_in_one_line(run, tmp_path) -> None:
    with pytest.raises(ValueError, match="unknown fusion metric 'SSMI', did you mean 'SSIM'"):
        validate(run, tmp_path, metrics="EN,SSMI")
    with pytest.raises(ValueError, match="leave out modalities=visible"):
        validate(run, tmp_path, modalities="visible", curves=True)
    assert parse_metrics("all") == tuple(METRICS)
    assert parse_metrics("none") == ()
    assert parse_metrics(["EN", "MI"]) == parse_metrics("EN, MI") == ("EN", "MI")


def test_training_pays_for_nothing_of_it(run, tmp_path, monkeypatch) -> None:
    """Between the epochs the front-end runs once a batch, plots or not, and no report is made."""
    calls = []
    forward = FusionNet.forward
    monkeypatch.setattr(FusionNet, "forward", lambda self, pair: calls.append(len(pair)) or forward(self, pair))
    trainer = run.trainer
    validator = FusionDetectionValidator(trainer.test_loader, save_dir=tmp_path, args=vars(trainer.args).copy())
    validator.args.plots = True
    epoch, stopper = trainer.epoch, trainer.stopper
    monkeypatch.setattr(trainer, "epoch", trainer.epochs - 1)
    before = validator.metrics.results_dict.keys()
    assert validator(trainer=trainer).keys() >= before
    assert sum(calls) == len(trainer.test_loader.dataset), (epoch, stopper)
    assert (tmp_path / "val_batch0_pred.jpg").is_file()
    assert not (tmp_path / "val.json").exists()
    assert validator.metrics.report is None
    assert not trainer.ema.ema.fusion._forward_hooks  # or they would be pickled with the checkpoint


def test_the_end_of_a_training_is_reported(run) -> None:
    assert (run.folder / "val.json").is_file()
    assert json.loads((run.folder / "val.json").read_text())["model"].endswith("best.pt")
    assert run.trainer.validator.metrics.report.rows[0].images == 4


def test_real_pairs_by_day_and_night(run, roadscene, tmp_path) -> None:
    arguments = {**QUIET, "imgsz": 128, "project": str(tmp_path), "name": "v"}
    report = MetaFusionYOLO(run.best).val(data=str(roadscene / "data.yaml"), night_below=147, **arguments).report
    rows = {row.name: row for row in report.rows}
    pairs = len(list((roadscene / "images" / "val").iterdir()))
    assert rows["day"].images + rows["night"].images == rows["all"].images == pairs
    assert min(rows["day"].images, rows["night"].images) >= 3
    assert all(0 < rows[name].quality["EN"] < 8 for name in ("day", "night"))  # bits
    assert 0 < rows["all"].weights["inside"] < 1
    page = (tmp_path / "v" / "val.html").read_text(encoding="utf-8")
    assert page.count("no overlapping detection of its class") == 24  # it has never seen a road
    assert page.count('alt="infrared"') == 24


def test_corruptions_are_judged_by_kind_and_strength(run, tmp_path) -> None:
    metrics = MetaFusionYOLO(run.best).val(
        Oracle, data=str(run.data), project=str(tmp_path), name="v", corruptions=True, **QUIET
    )
    rows = metrics.report.trust
    assert len(rows) == len(KINDS) * len(STRENGTHS)
    for row in rows:
        assert set(row.mAP50) == {"fused", "visible", "infrared", "average"}
        assert 0 <= row.inside <= 1 and row.inside_before is not None
    assert len({row.mAP50["infrared"] for row in rows if row.camera == "visible"}) == 1  # it is well
    assert len({row.mAP50["infrared"] for row in rows if row.camera == "infrared"}) > 1
    page = (tmp_path / "v" / "val.html").read_text()
    assert "One camera spoilt" in page and {"corruptions.png", "spoilt_weights.png"} <= {
        file.name for file in (tmp_path / "v").iterdir()
    }
    assert json.loads((tmp_path / "v" / "val.json").read_text())["trust"][0]["kind"] == "night"
