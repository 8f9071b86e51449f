"""What all tests share: small pair folders made on the spot, and the real data and weights where they are at hand."""

from __future__ import annotations

import gc
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" not in os.environ:  # settings of the host that are neither the user's nor kept
    os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="settings-")

from ultralytics import YOLO
from ultralytics import settings as host_settings
from ultralytics.utils import DEFAULT_CFG

from benchmarks.lively import lively as make_lively
from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.rig import INPUT_KEY, Rig, input_description

SHARED = Path(__file__).resolve().parents[2] / "shared"
EXPORT_IMGSZ = 256
TINY = str(Path(__file__).with_name("metafusion-tiny.yaml"))  # the model of tests whose subject it is not
LEVELS = {0: 200, 1: 250}  # grey level of the objects of each class; the background stays below 100

os.environ["OMP_NUM_THREADS"] = "1"  # two workers share the cores; more threads would stand in each other's way
torch.set_num_threads(1)
cv2.setNumThreads(1)
if "PYTEST_XDIST_WORKER" not in os.environ:
    host_settings.update(raytune=False)  # else each process that trains imports Ray, which takes six seconds
DEFAULT_CFG.simplify = False  # it takes longer than all the rest of an export; the fixture `onnx` asks for it
# Properties are looked for in the same examples in every run; `--hypothesis-profile=thorough` looks for many others.
settings.register_profile("thorough", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", settings.get_profile("thorough"), derandomize=True, database=None, max_examples=60)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of the garbage collections, of which the host asks for many."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class PairFolder:
    """A data set of pairs whose infrared plane equals the red one, so that any shift between the two shows."""

    root: Path
    yaml: Path
    visible: list[Path] = field(default_factory=list)
    infrared: list[Path] = field(default_factory=list)

    @property
    def images(self) -> Path:
        return self.root / "images" / "train"

    @property
    def data(self) -> dict:
        return yaml.safe_load(self.yaml.read_text())


def draw_visible(seed: int, height: int, width: int) -> tuple[np.ndarray, list[tuple[int, float, float, float, float]]]:
    """Return an (H, W, 3) uint8 image of noise with one object of each class, and its labels (class, xywhn)."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 91, (height, width, 3), dtype=np.uint8)
    labels = []
    for cls, level in LEVELS.items():
        w, h = rng.integers(width // 4, width // 3), rng.integers(height // 3, height // 2)
        x = cls * (width // 2) + rng.integers(1, width // 2 - w)
        y = rng.integers(1, height - h)
        image[y : y + h, x : x + w] = level
        labels.append((cls, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height))
    return image, labels


def box_row(label: tuple) -> str:
    return " ".join(map(str, label))


def polygon_row(label: tuple) -> str:
    cls, x, y, w, h = label
    corners = [(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)]
    return " ".join(map(str, (cls, *np.ravel(corners))))


def keypoint_row(label: tuple) -> str:
    """Return a box with two keypoints: its upper left and its lower right corner, both visible."""
    _, x, y, w, h = label
    return " ".join(map(str, (*label, x - w / 2, y - h / 2, 2, x + w / 2, y + h / 2, 2)))


def write_pairs(root: Path, count: int = 4, sizes=((48, 64),), polygons: bool = False, row=None, **description):
    """Write `count` pairs of PNG files with labels, and their YAML, below a folder."""
    for part in ("images", "infrared", "labels"):
        (root / part / "train").mkdir(parents=True)
    visible, infrared = [], []
    for i in range(count):
        image, labels = draw_visible(i, *sizes[i % len(sizes)])
        visible.append(root / "images" / "train" / f"{i}.png")
        infrared.append(root / "infrared" / "train" / f"{i}.png")
        cv2.imwrite(str(visible[-1]), image[..., ::-1])
        cv2.imwrite(str(infrared[-1]), image[..., 0])
        written = row or (polygon_row if polygons else box_row)
        (root / "labels" / "train" / f"{i}.txt").write_text("\n".join(map(written, labels)) + "\n")
    content = {"path": str(root), "train": "images/train", "val": "images/train", "names": {0: "person", 1: "car"}}
    file = root / "data.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in {**content, **description}.items() if v is not None}))
    return PairFolder(root, file, visible, infrared)


@pytest.fixture
def make_pair_folder(tmp_path) -> Callable[..., PairFolder]:
    """Return the function that writes pairs, see :func:`write_pairs`."""

    def make(count: int = 4, sizes=((48, 64),), name: str = "pairs", **more) -> PairFolder:
        return write_pairs(tmp_path / name, count, sizes, **more)

    return make


@pytest.fixture
def pair_folder(make_pair_folder) -> PairFolder:
    """Four pairs of 64 x 48 pixels."""
    return make_pair_folder()


@pytest.fixture
def truncate() -> Callable[[Path], Path]:
    """Return the function that cuts a file in half."""

    def cut(file: Path) -> Path:
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        return file

    return cut


def write_stock(file: Path) -> Path:
    """Write the checkpoint of an untrained detector of the host, as small as `TINY`."""
    content = yaml.safe_load(Path(TINY).read_text())
    description = file.with_suffix(".yaml")
    description.write_text(yaml.safe_dump({"nc": 80, **{key: content[key] for key in ("scales", "backbone", "head")}}))
    YOLO(description).save(file)
    return file


def linked(source: Path, target: Path) -> Path:
    """Return a folder whose files are links to those of `source`, so that caches land here and not there."""
    if not source.is_dir():
        pytest.skip(f"no real pairs at '{source}'")
    for folder, _, files in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for file in files:
            (here / file).symlink_to(Path(folder) / file)
    return target


def linked_roads(folder: Path) -> Path:
    """Return a folder of the labelled road pairs: `images`, `infrared`, `labels`, and `data.yaml`."""
    root = linked(SHARED / "data" / "roadscene", folder / "roadscene")
    names = {0: "person", 1: "bicycle", 2: "car"}
    description = {"path": str(root), "train": "images/train", "val": "images/val", "names": names}
    (root / "data.yaml").write_text(yaml.safe_dump(description))
    return root


@pytest.fixture
def roadscene(tmp_path) -> Path:
    """The labelled road pairs, to change."""
    return linked_roads(tmp_path)


def few(roads: Path) -> Path:
    """Leave four of the labelled road pairs for training and four for validation."""
    for split in ("train", "val"):
        for file in sorted((roads / "images" / split).iterdir())[4:]:
            for part in ("images", "infrared", "labels"):
                for link in (roads / part / split).glob(f"{file.stem}.*"):
                    link.unlink()
    return roads


@pytest.fixture
def few_roads(roadscene) -> Path:
    """Four of the labelled road pairs for training and four for validation, to change."""
    return few(roadscene)


@pytest.fixture
def tno(tmp_path) -> Path:
    """Folder of the TNO pairs, many sizes, no labels: `images` and `infrared`."""
    return linked(SHARED / "data" / "tno", tmp_path / "tno")


@pytest.fixture
def yolov8n() -> Path:
    """Checkpoint of a stock YOLOv8n."""
    weights = SHARED / "weights" / "yolov8n.pt"
    if not weights.is_file():
        pytest.skip(f"no stock weights at '{weights}'")
    return weights


@pytest.fixture(scope="session")
def lively() -> MetaFusionYOLO:
    """A model of random weights that finds many boxes of many scores, in any image."""
    return make_lively("metafusion-yolov8n.yaml", -1)


@pytest.fixture(scope="session")
def coco(tmp_path_factory) -> MetaFusionYOLO:
    """The stock COCO detector behind an untrained front-end, which finds people and cars on real pairs."""
    weights = SHARED / "weights" / "yolov8n.pt"
    if not weights.is_file():
        pytest.skip(f"no stock weights at '{weights}'")
    file = tmp_path_factory.mktemp("coco") / "coco.pt"
    torch.manual_seed(0)  # else a box now and then lies on the limit of an overlap or score
    MetaFusionYOLO("metafusion-yolov8n.yaml").load(weights).save(file)
    return MetaFusionYOLO(file)


@pytest.fixture(scope="session")
def untrained(coco, tmp_path_factory) -> MetaFusionYOLO:
    """A small model of the same classes, for exports of which no box is asked."""
    file = tmp_path_factory.mktemp("untrained") / "coco.pt"
    torch.manual_seed(0)
    model = MetaFusionYOLO(TINY)
    model.model.names = coco.names
    model.save(file)
    return MetaFusionYOLO(file)


@pytest.fixture(scope="session")
def export(coco, tmp_path_factory) -> Callable[..., Path]:
    """Return the function that exports this detector, once for each set of arguments, to a folder of its own.

    Its keyword `cameras` holds sections of a data-set YAML, `of` another model; the others are those of the export.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports"  # by all workers
    shared.mkdir(exist_ok=True)

    def run(cameras: dict | None = None, of: MetaFusionYOLO = coco, **kwargs) -> Path:
        arguments = repr((cameras or {}, of is coco, sorted(kwargs.items())))
        folder = shared / hashlib.sha256(arguments.encode()).hexdigest()[:16]
        with FileLock(f"{folder}.lock"):
            if not (folder / "name").is_file():
                folder.mkdir(exist_ok=True)
                (folder / "name").write_text(anew(folder, cameras, Path(of.ckpt_path), **kwargs).name)
        return folder / (folder / "name").read_text()

    def anew(folder: Path, cameras: dict | None, checkpoint: Path, **kwargs) -> Path:
        model = MetaFusionYOLO(checkpoint)
        model.model.yaml[INPUT_KEY] = input_description(Rig.from_yaml(cameras or {}))
        model.model.pt_path = str(folder / "coco.pt")
        Path(model.model.pt_path).write_bytes(checkpoint.read_bytes())  # the host tells its size
        return Path(model.export(**{"format": "onnx", "imgsz": EXPORT_IMGSZ, **kwargs}))

    return run


@pytest.fixture(scope="session")
def onnx(export) -> Path:
    """Plain ONNX export at `EXPORT_IMGSZ` pixels."""
    return export(simplify=True)


def real_pairs(root: Path, count: int = 10) -> list[tuple[Path, Path]]:
    """Return files (visible, infrared) of the validation split of a data set."""
    visible = sorted((root / "images" / "val").iterdir())[:count]
    return [(file, next((root / "infrared" / "val").glob(f"{file.stem}.*"))) for file in visible]
