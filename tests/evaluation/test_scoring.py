"""`metafusion metrics` on real files."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from metafusion_yolo import PairError
from metafusion_yolo.cli import main
from metafusion_yolo.evaluation.scoring import match, score_folders
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.options import Metrics


def write(folder: Path, name: str, image: np.ndarray) -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)
    return str(file)


@pytest.fixture
def folders(tmp_path, monkeypatch) -> dict[str, str]:
    """Two triples, one of them in a folder below, with suffixes and depths of their own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a", "night/b"):
        visible = cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), (5, 5), 0)
        infrared = cv2.GaussianBlur(rng.integers(7000, 7500, (48, 64), dtype=np.uint16), (5, 5), 0)
        write(tmp_path / "visible", f"{name}.png", visible)
        write(tmp_path / "infrared", f"{name}.tiff", infrared)
        write(tmp_path / "fused", f"{name}.bmp", visible // 2 + 60)
    write(tmp_path / "visible", "more.png", visible)
    return {name: str(tmp_path / name) for name in ("fused", "visible", "infrared")}


def test_table_and_file(folders, capsys) -> None:
    assert main(["metrics", *(f"{key}={value}" for key, value in folders.items())]) == 0
    printed = capsys.readouterr().out
    rows = list(csv.DictReader(Path("runs/metrics/metrics/metrics.csv").read_text(encoding="utf-8").splitlines()))
    assert [Path(row["fused"]).name for row in rows] == ["a.bmp", "b.bmp"]
    figures = {words[0]: float(words[2]) for words in map(str.split, printed.splitlines()) if len(words) == 5}
    assert figures.keys() == METRICS.keys()
    for name, mean in figures.items():
        assert mean == pytest.approx(np.mean([float(row[name]) for row in rows]), abs=1e-4)
    assert "over 2 pairs" in printed


def test_values_are_those_of_the_metrics(folders) -> None:
    figures, _ = score_folders(Metrics(**folders, metrics="SSIM,VIF"))
    values = []
    for fused, visible, infrared in match(**folders):
        counts = cv2.imread(infrared, cv2.IMREAD_UNCHANGED).astype(float)
        grey = np.rint(255 * (counts - counts.min()) / (counts.max() - counts.min())) / 255
        colours = [torch.from_numpy(cv2.imread(f)[..., ::-1] / 255.0).permute(2, 0, 1)[None] for f in (fused, visible)]
        planes = [*map(rgb_to_luminance, colours), torch.from_numpy(grey)[None, None]]
        values.append([METRICS[name](*planes).item() for name in ("SSIM", "VIF")])
    expected = np.mean(values, 0)
    assert [figures[name].mean for name in ("SSIM", "VIF")] == pytest.approx(expected.tolist(), rel=0.02)


def test_three_files(folders) -> None:
    [first, _] = match(**folders)
    assert match(*first) == [first]


def test_runs_are_not_written_over(folders) -> None:
    files = [score_folders(Metrics(**folders, metrics="EN"))[1] for _ in range(2)]
    assert files[0] != files[1]
    assert score_folders(Metrics(**folders, metrics="EN", exist_ok=True))[1] == files[0]


def test_missing_sources_come_in_one_error(folders) -> None:
    for file in Path(folders["infrared"]).rglob("*.tiff"):
        file.unlink()
    with pytest.raises(PairError, match=r"2 problems in fused=(.|\n)*no image in '.*infrared' for '.*a.bmp'; add it"):
        score_folders(Metrics(**folders))
    assert not Path("runs").exists()


@pytest.mark.parametrize("camera", ["visible", "infrared"])
def test_sizes_differ(folders, camera) -> None:
    file = match(**folders)[0][("fused", "visible", "infrared").index(camera)]
    cv2.imwrite(file, np.full((24, 32), 7, np.uint8))
    with pytest.raises(PairError, match=rf"'.*a.bmp' is 64x48 and '{file}' 32x24; score images of one size"):
        score_folders(Metrics(**folders))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("infrared=nowhere", "'nowhere' does not exist; give a folder with the names of"),
        ("fused=nowhere", "'nowhere' does not exist"),
        ("metrics=EN,VIFF", "unknown fusion metric 'VIFF', did you mean 'VIF'?"),
    ],
)
def test_wrong_arguments(folders, argument, message, capsys) -> None:
    key = argument.split("=")[0]
    words = [f"{name}={value}" for name, value in folders.items() if name != key]
    assert main(["metrics", *words, argument]) == 2
    assert message in capsys.readouterr().err
