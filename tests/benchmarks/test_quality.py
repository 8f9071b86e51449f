"""The comparison of fusion quality, on tiny pairs with an untrained checkpoint."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import METRICS
from tests.conftest import TINY

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality.py"
SIZES = ((48, 64), (64, 64), (44, 52))
KEYS = ("mean", "ratio", "low", "high")


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "untrained.pt"
    torch.manual_seed(0)
    model = MetaFusionYOLO(TINY)
    with torch.no_grad():
        model.model.fusion.decoder.maps.bias[1:] = 0.5  # more detail than the sources have, so that no metric is 0
    model.save(path)
    return path


@pytest.fixture
def folders(make_pair_folder, tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Two folders of three pairs of several sizes, whose cameras differ; the working directory is empty."""
    pairs = make_pair_folder(count=3, sizes=SIZES)
    for seed, file in enumerate(pairs.infrared):
        noise = np.random.default_rng(seed).integers(0, 60, cv2.imread(str(file), 0).shape, dtype=np.uint8)
        cv2.imwrite(str(file), 255 - cv2.imread(str(file), 0) // 2 - noise)
    monkeypatch.chdir(tmp_path)
    return pairs.images, pairs.images.parents[1] / "infrared" / "train"


@pytest.fixture
def run(quality, folders, checkpoint, tmp_path) -> Callable[..., dict]:
    """Return the function that runs the script on the pairs and returns its JSON."""

    def go(*arguments: str) -> dict:
        visible, infrared = folders
        out = tmp_path / "out" / "quality.json"
        quality.main([*arguments, "--pairs", f"{visible}:{infrared}", "--json", str(out), "--imgsz", "64"])
        return json.loads(out.read_text())

    return go


def metrics_of(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> dict[str, float]:
    """Return the metrics of images of R, G, B or of one channel, uint8."""
    planes = []
    for image in (fused, visible, infrared):
        plane = torch.from_numpy(np.atleast_3d(image).copy()).permute(2, 0, 1)[None].float() / 255
        planes.append(rgb_to_luminance(plane) if plane.shape[1] == 3 else plane)
    return {key: metric(*planes).item() for key, metric in METRICS.items()}


@pytest.mark.slow
def test_values_are_the_metrics_of_what_is_fused(run, folders, checkpoint) -> None:
    images = run(f"own={checkpoint}", "infrared", "brighter=maximum")["images"]
    (by_fusion,) = images.values()
    assert list(by_fusion) == ["own", "infrared", "brighter"]
    visible, infrared = folders
    results = MetaFusionYOLO(checkpoint).predict(visible, infrared=infrared, imgsz=64, verbose=False)
    assert len(results) == len(SIZES)
    for result in results:
        name = Path(result.path).name
        rgb = cv2.imread(str(visible / name))[..., ::-1]
        ir = cv2.imread(str(infrared / name), cv2.IMREAD_GRAYSCALE)
        expected = {
            "own": metrics_of(result.fused, rgb, ir),
            "infrared": metrics_of(ir, rgb, ir),
            "brighter": metrics_of(np.maximum(rgb, ir[..., None]), rgb, ir),
        }
        for fusion, values in expected.items():
            assert by_fusion[fusion][name] == pytest.approx(values, abs=1e-4)
    assert not Path("runs").exists()


def test_rows_have_means_and_ratios(run, folders, checkpoint, capsys) -> None:
    report = run("average", f"own={checkpoint}", "--reference", "own")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[-2:]] == [[name, str(folders[0]), "3"] for name in ("average", "own")]
    assert "ratio to own" in lines[-3]
    assert (report["reference"], report["imgsz"], report["resamples"]) == ("own", 64, 1000)
    values = report["images"][report["rows"][0]["pairs"]]
    for row in report["rows"]:
        for key in METRICS:
            mean, other = (np.mean([v[key] for v in values[name].values()]) for name in (row["fusion"], "own"))
            cell = [row[key][k] for k in KEYS]
            assert cell[:2] == pytest.approx([mean, mean / other])
            assert cell[2] <= cell[1] <= cell[3]
            assert f"{mean:.4f}  {cell[1]:.3f} [{cell[2]:.3f}, {cell[3]:.3f}]" in "\n".join(lines)
    assert [report["rows"][1][key]["ratio"] for key in METRICS] == [1] * len(METRICS)


def test_picture_shows_every_view(run, quality) -> None:
    run("average", "maximum", "--montage", "out/picture.png", "2")
    picture = cv2.imread("out/picture.png")
    widths = [max(round(w * quality.HEIGHT / h) for h, w in (SIZES[0], SIZES[2])) + 4] * 4
    assert picture.shape == (28 + 2 * (quality.HEIGHT + 4), sum(widths), 3)
    views = np.split(picture[28:], np.cumsum(widths)[:-1], axis=1)
    visible, infrared, average, maximum = (view.astype(float) for view in views)
    assert np.abs(average - (visible + infrared) / 2).mean() < 2
    assert np.abs(maximum - np.maximum(visible, infrared)).mean() < 8  # each was resized after the rule
    run("average", "--montage", "out/picture.png", "9")
    assert len(cv2.imread("out/picture.png")) == 28 + 3 * (quality.HEIGHT + 4)  # no more than there are


def test_ratio_is_paired(quality) -> None:
    reference = np.random.default_rng(1).uniform(0.1, 1, 40)
    assert quality.ratio_of_means(2 * reference, reference, 500) == pytest.approx((2, 2, 2))
    noisy = reference + np.random.default_rng(2).normal(0, 0.1, 40)
    ratio, low, high = quality.ratio_of_means(noisy, reference, 1000)
    assert ratio == pytest.approx(noisy.mean() / reference.mean())
    error = np.std((noisy - ratio * reference) / reference.mean()) / np.sqrt(40)
    assert (ratio - low, high - ratio) == pytest.approx((1.96 * error, 1.96 * error), rel=0.1)
    assert quality.ratio_of_means(noisy, reference, 1000) == (ratio, low, high)


@pytest.mark.parametrize("reference", [[-1.0, 0.5, 0.1], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
def test_ratio_to_what_may_be_zero_is_none(quality, reference) -> None:
    assert quality.ratio_of_means(np.ones(3), np.array(reference), 100) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own=none.pt"], "'own=none.pt': no such checkpoint, and no rule (average, maximum, visible, infrared)"),
        (["a=average", "a=maximum"], "two fusions have the same name"),
        (["average", "--reference", "own"], "--reference own is none of average"),
        (["average", "--pairs", "nowhere"], "--pairs nowhere: expected two folders, VISIBLE:INFRARED"),
        (["average", "--montage", "x.png", "0"], "COUNT must be a whole number above 0, not 0"),
    ],
)
def test_mistakes_cost_one_line(quality, folders, arguments, message, capsys) -> None:
    given = [] if "--pairs" in arguments else ["--pairs", "{}:{}".format(*folders)]
    with pytest.raises(SystemExit):
        quality.main([*arguments, *given])
    assert message in capsys.readouterr().err
