"""Score fused images of any method against their sources: `metafusion metrics`."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from ultralytics.utils import TQDM
from ultralytics.utils.files import increment_path

from metafusion_yolo.data.listing import list_images
from metafusion_yolo.data.pairs import PairError, expected_beside
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.data.reading import read_counts, read_visible
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import LESS_IS_BETTER
from metafusion_yolo.functional.metrics.accumulator import FusionQuality, Summary
from metafusion_yolo.options import Metrics
from metafusion_yolo.support.errors import MissingFileError


def score_folders(asked: Metrics) -> tuple[dict[str, Summary], Path]:
    """Measure every fused image of a folder, and write one row per image to `metrics.csv`.

    Colours are scored by their luminance. Infrared images of more than 8 bits are normalised to their own range.

    Returns:
        Summary over all images by metric, and the CSV file.

    Raises:
        PairError: If an image has no source, or differs from it in size.
        FileNotFoundError: If there are no fused images, or a folder does not exist.
        ValueError: If a metric is unknown.
    """
    quality = FusionQuality("all" if asked.metrics in (None, "none") else asked.metrics)
    triples = match(asked.fused, asked.visible, asked.infrared)
    out = increment_path(Path(asked.project) / asked.name, exist_ok=asked.exist_ok, mkdir=True) / "metrics.csv"
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["fused", *quality.values])
        for files in TQDM(triples, desc="Fusion metrics", unit="pairs"):
            values = quality.update(*read_planes(*files))
            writer.writerow([files[0], *(f"{value:.6g}" for [value] in values.values())])
    return quality.compute(), out


def match(fused: str, visible: str, infrared: str) -> list[tuple[str, str, str]]:
    """Return the fused images of a folder with their sources, which have the same path in the other folders.

    Raises:
        PairError: If images lack a source; the message summarises all of them.
        FileNotFoundError: If there are no fused images, or a folder does not exist.
    """
    files = list_images(fused)
    root = Path(fused) if Path(fused).is_dir() else Path(fused).parent
    sources = []
    for folder in (visible, infrared):
        if Path(folder).is_file() and len(files) == 1:
            sources.append({files[0]: folder})
            continue
        if Path(folder).resolve() == root.resolve():  # scores a source against itself, for comparison
            sources.append({file: file for file in files})
            continue
        if not Path(folder).is_dir():
            raise MissingFileError(f"'{folder}' does not exist; give a folder with the names of '{fused}'")
        partners, problems = find_partners(files, expected_beside(root, Path(folder)))
        if problems:
            lost = [file for file in files if not partners.get(file)] or [problem.file for problem in problems]
            lines = [f"no image in '{folder}' for '{file}'; add it, or remove the other" for file in lost]
            raise PairError.of(lines, f"fused='{fused}'")
        sources.append(partners)
    return [(file, sources[0][file], sources[1][file]) for file in files]


def read_planes(fused: str, visible: str, infrared: str) -> Iterator[Tensor]:
    """Yield the luminance of the fused image, that of the visible one, and the infrared image: (1, 1, H, W), [0, 1].

    Raises:
        PairError: If a file cannot be read, or their sizes differ.
    """
    images = read_visible(fused), read_visible(visible), Thermal().to_uint8(read_counts(infrared))
    for file, image in zip((visible, infrared), images[1:], strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            (h, w), (height, width) = images[0].shape[:2], image.shape[:2]
            raise PairError(f"'{fused}' is {w}x{h} and '{file}' {width}x{height}; score images of one size")
    yield rgb_to_luminance(_tensor(images[0]))
    yield rgb_to_luminance(_tensor(images[1]))
    yield _tensor(images[2][..., None])


def _tensor(image: np.ndarray) -> Tensor:
    """Return an image (H, W, C) uint8 as (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


def table(figures: dict[str, Summary]) -> str:
    """Return the figures as text, one line per metric, with an arrow in the better direction."""
    lines = [
        f"{name:>8} {'↓' if name in LESS_IS_BETTER else '↑'} {figure.mean:10.4f} ± {figure.std:.4f}"
        for name, figure in figures.items()
    ]
    return "\n".join(lines)
