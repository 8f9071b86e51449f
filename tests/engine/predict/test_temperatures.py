"""Temperatures from the files of the thermal camera to results, tables, pictures, videos and the runtime."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.rig import INPUT_KEY, Rig, input_description
from metafusion_yolo.options.serve import Serve
from metafusion_yolo.runtime import Detector, read_counts
from metafusion_yolo.runtime.__main__ import main
from metafusion_yolo.serve.answers import answer_of
from metafusion_yolo.serve.engines import load_engine
from metafusion_yolo.serve.uploads import Pair
from tests.conftest import TINY
from tests.data.test_radiometric import write_flir

CAMERAS = {
    "thermal": {"unit": "celsius", "scale": 0.01, "offset": -273.15},
    "registration": {"matrix": [[1.6, 0.1, -3.0], [-0.08, 1.5, 2.0], [0.0002, 0, 1]]},
}
LOW = {"conf": 0.0001, "imgsz": 64, "verbose": False, "max_det": 6, "device": "cpu"}
ALL = {"save_json": True, "save_csv": True, "save": True, "temperatures": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> MetaFusionYOLO:
    """A model that was trained on these cameras."""
    file = tmp_path_factory.mktemp("measuring") / "tiny.pt"
    model = MetaFusionYOLO(TINY)
    model.model.yaml[INPUT_KEY] = input_description(Rig.from_yaml(CAMERAS))
    model.save(file)
    return MetaFusionYOLO(file)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> str:
    """Its ONNX file."""
    model.model.pt_path = str(tmp_path_factory.mktemp("exported") / "tiny.pt")
    return model.export(format="onnx", imgsz=64, verbose=False)


@pytest.fixture
def pair(tmp_path) -> tuple:
    rng = np.random.default_rng(1)
    celsius = cv2.GaussianBlur(rng.uniform(10, 60, (40, 48)), (0, 0), 2)
    celsius[21, 17] = 88.0
    files = tmp_path / "v.png", tmp_path / "t.tiff"
    cv2.imwrite(str(files[0]), rng.integers(0, 255, (64, 80, 3), np.uint8))
    cv2.imwrite(str(files[1]), np.round(100 * celsius + 27315).astype(np.uint16))
    return *files, celsius


def by_hand(celsius: np.ndarray, box: np.ndarray) -> list[float]:
    """Return lowest, mean and highest of the thermal pixels whose centres the registration puts into a box."""
    inside = []
    for (row, column), value in np.ndenumerate(celsius):
        x, y, w = np.array(CAMERAS["registration"]["matrix"]) @ (column, row, 1)
        if box[0] <= x / w + 0.5 < box[2] and box[1] <= y / w + 0.5 < box[3]:
            inside.append(value)
    return [min(inside), np.mean(inside), max(inside)]


def test_results_tables_and_pictures_carry_the_temperatures(model, pair, tmp_path):
    visible, infrared, celsius = pair
    result = model.predict(visible, infrared=infrared, project=tmp_path, name="run", **ALL, **LOW)[0]
    assert len(result.boxes)
    boxes = result.boxes.xyxy.numpy()
    for box, reading in zip(boxes, result.temperatures, strict=True):
        assert reading[:3] == pytest.approx(by_hand(celsius, box), abs=0.1)
        assert box[0] <= reading.hot[0] <= box[2] and box[1] <= reading.hot[1] <= box[3]
    assert max(reading.maximum for reading in result.temperatures) == pytest.approx(88, abs=0.01)
    rows = json.loads((tmp_path / "run" / "predictions.json").read_text())[0]["detections"]
    assert [row["temperature"] for row in rows] == [row["temperature"] for row in result.summary()]
    assert rows[0]["temperature"]["max"] == pytest.approx(result.temperatures[0].maximum, abs=0.01)
    assert rows[0]["temperature"]["unit"] == "celsius"
    relative = result.summary(normalize=True)[0]["temperature"]["hot"]
    assert relative["x"] == pytest.approx(rows[0]["temperature"]["hot"]["x"] / 80, abs=1e-4)
    with (tmp_path / "run" / "predictions.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [float(row["temperature_mean"]) for row in table] == [row["temperature"]["mean"] for row in rows]
    assert float(table[0]["hot_x"]) == rows[0]["temperature"]["hot"]["x"]
    assert len(result.to_df()) == len(rows)
    written = cv2.imread(str(tmp_path / "run" / "v.jpg"))
    assert written.shape[0] > 64  # the colour bar is below the picture
    infrared_view = result.plot(view="infrared", boxes=False, temperatures=True)
    assert np.ptp(infrared_view[:64].astype(int), axis=2).max() > 50  # in colours
    assert result.plot(view="infrared", temperatures=False).shape == (64, 80, 3)


def test_a_model_without_a_unit_says_what_is_missing_and_takes_it_from_a_yaml(pair, tmp_path):
    visible, infrared, _ = pair
    plain = MetaFusionYOLO(TINY)
    with pytest.raises(ValueError, match="temperatures=True needs to know what counts mean"):
        plain.predict(visible, infrared=infrared, temperatures=True, **LOW)
    result = plain.predict(visible, infrared=cv2.resize(np.zeros((4, 5), np.uint8), (80, 64)), **LOW)[0]
    assert result.temperatures is None
    assert "temperature" not in "".join(key for row in result.summary() for key in row)
    with pytest.raises(ValueError, match="no temperatures in this result"):
        result.plot(temperatures=True)
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump({"path": ".", "train": ".", "val": ".", "names": ["a"], **CAMERAS}))
    measured = plain.predict(visible, infrared=infrared, data=file, **LOW)[0]
    assert measured.thermogram.unit == "celsius"


@pytest.fixture
def videos(pair, tmp_path) -> tuple:
    """A video of each camera, of which the thermal one has 16 bits and gets a degree warmer each frame."""
    visible, _, celsius = pair
    deep = cv2.VideoWriter(
        str(tmp_path / "heat.mkv"),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter.fourcc(*"FFV1"),
        10,
        (48, 40),
        [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U, cv2.VIDEOWRITER_PROP_IS_COLOR, 0],
    )
    colour = cv2.VideoWriter(str(tmp_path / "day.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (80, 64))
    for i in range(3):
        deep.write(np.round(100 * (celsius + i) + 27315).astype(np.uint16))
        colour.write(cv2.imread(str(visible)))
    deep.release()
    colour.release()
    return tmp_path / "day.mp4", tmp_path / "heat.mkv"


def test_videos_of_16_bits_are_measured(model, videos):
    results = model.predict(videos[0], infrared=videos[1], **LOW)
    assert [result.thermogram.thermal.temperatures(result.thermogram.counts.max()) for result in results] == (
        pytest.approx([88, 89, 90], abs=0.01)
    )


def test_pages_of_16_bits_share_their_grey(model, pair, tmp_path):
    visible, _, celsius = pair
    pages = [np.round(100 * (celsius + i) + 27315).astype(np.uint16) for i in (0, 20)]
    cv2.imwritemulti(str(tmp_path / "heat.tiff"), pages)
    cv2.imwritemulti(str(tmp_path / "day.tiff"), [cv2.imread(str(visible))] * 2)
    cold, hot = model.predict(tmp_path / "day.tiff", infrared=tmp_path / "heat.tiff", **LOW)
    assert hot.thermogram.thermal.temperatures(hot.thermogram.counts.max()) == pytest.approx(108, abs=0.01)
    assert hot.image("infrared").mean() > cold.image("infrared").mean() + 20


def test_an_export_measures_as_the_checkpoint_does(exported, pair, videos, tmp_path, capsys, caplog):
    (visible, infrared, celsius), file = pair, exported
    found = Detector(file, conf=0.0001, max_det=6)(cv2.imread(str(visible)), read_counts(infrared), visible)
    assert len(found.scores)
    for box, reading in zip(found.boxes_xyxy, found.temperatures, strict=True):
        assert reading[:3] == pytest.approx(by_hand(celsius, box), abs=0.1)
    assert len(str(found).splitlines()[0].split()) == 2 + 4 + 3
    warmer = [found.temperatures[0].mean for found in Detector(file, conf=0.0001, max_det=6).video(*videos)]
    assert np.diff(warmer) == pytest.approx([1, 1], abs=0.02)
    radiometric = write_flir(tmp_path / "heat.jpg", celsius)
    assert main([str(file), str(visible), str(radiometric)]) == 2
    assert (
        "heat.jpg' is a radiometric JPEG of FLIR, whose measurement the runtime cannot read" in capsys.readouterr().err
    )
    assert (read_counts(radiometric).dtype, "preview of 8 bits is read" in caplog.text) == (np.uint8, True)
    result = MetaFusionYOLO(file).predict(visible, infrared=infrared, **LOW)[0]
    assert result.temperatures is not None


@pytest.mark.parametrize("kind", ["checkpoint", "onnx"])
def test_answers_of_the_server_carry_temperatures(model, pair, kind, exported):
    engine = load_engine(
        Serve(model=str(model.ckpt_path) if kind == "checkpoint" else exported, imgsz=64, device="cpu"), lowest=1e-4
    )
    visible, infrared, celsius = cv2.imread(str(pair[0])), cv2.imread(str(pair[1]), cv2.IMREAD_UNCHANGED), pair[2]
    (found,) = engine([Pair(visible, infrared)])
    answer = answer_of(found, engine.names, 0.0, [], "png")
    measured = [row for row in answer.detections if row.temperature]
    assert measured
    for row in measured:
        low, mean, high = by_hand(celsius, np.array([*row.box.model_dump().values()]))
        heat = row.temperature
        assert (heat.min, heat.mean, heat.max) == pytest.approx((low, mean, high), abs=0.02)
        assert heat.unit == "celsius" and row.box.x1 - 2 <= heat.hot.x <= row.box.x2 + 2
