"""Pictures of a training: its losses by term and phase, and the fused images of the same pairs over the epochs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metafusion_yolo.engine.validate.measure import content_area
from metafusion_yolo.support.drawing import color_weights, grid, scale_of, titled, to_uint8, with_legend
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.sampling import evenly

WIDTH = 200  # of a tile in the film strip, pixels
WIDE = 320  # of a tile of the weight maps, pixels
SCALE = 560  # of the scale below them, pixels
FRAMES = 8  # most epochs in the film strip
PAIRS = 3


def plot_losses(results: Path, phases: Sequence[str], file: Path) -> Path:
    """Plot every loss term over the epochs, in training and in validation, with the phases marked.

    Args:
        results: The host's results.csv.
        phases: Name of the phase of each epoch.
        file: PNG to write.

    Returns:
        The file.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with results.open(newline="", encoding="utf-8") as stream:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(stream)]
    epochs = [int(float(row["epoch"])) for row in rows]
    terms = [key.removeprefix("train/") for key in rows[0] if key.startswith("train/")]
    columns = min(4, len(terms))
    height = -(-len(terms) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.7 * height), layout="constrained")
    for axes, term in zip(figure.subplots(height, columns, squeeze=False).flat, terms, strict=False):
        for split, style in (("train", "-"), ("val", "--")):
            if f"{split}/{term}" in rows[0]:
                axes.plot(epochs, [float(row[f"{split}/{term}"] or "nan") for row in rows], style, label=split)
        for i, (name, first, last) in enumerate(stretches(phases[: max(epochs)])):
            axes.axvspan(first - 0.5, last + 0.5, alpha=0.15 * (i % 2), color="tab:green", lw=0)
            axes.text((first + last) / 2, 0.98, name, transform=axes.get_xaxis_transform(), ha="center", va="top")
        axes.set_title(term)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(y=0.15)
    for axes in list(figure.axes)[len(terms) :]:
        axes.axis("off")
    figure.axes[0].legend()
    figure.savefig(file, dpi=110)
    return file


def stretches(phases: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return name, first and last epoch, counted from 1, of each run of epochs in the same phase.

    Examples:
        >>> stretches(["warmup", "joint", "joint"])
        [('warmup', 1, 1), ('joint', 2, 3)]
    """
    found: list[tuple[str, int, int]] = []
    for epoch, name in enumerate(phases, 1):
        first = found.pop()[1] if found and found[-1][0] == name else epoch
        found.append((name, first, epoch))
    return found


class Shown(NamedTuple):
    """A pair to show: (1, 4, H, W), R, G, B, IR in [0, 1], and its part without the letterbox."""

    pair: Tensor
    inside: tuple[slice, slice]

    @classmethod
    def of(cls, item: dict[str, Any]) -> Shown:
        """Take a pair of the host's validation data set."""
        left, top, right, bottom = content_area({**item, "imgsz": item["img"].shape[1:]})
        return cls(item["img"][None].float() / 255, (slice(top, bottom), slice(left, right)))

    @torch.no_grad()
    def views(self, fusion: nn.Module, width: int) -> dict[str, np.ndarray]:
        """Return both sources and the fused image, (h, w, 3) uint8, B, G, R, and `weights` (h, w), [0, 1].

        Args:
            fusion: The front-end.
            width: Of the views, pixels.
        """
        weight = next(fusion.parameters(), self.pair)
        training = fusion.training
        output = fusion.eval()(self.pair.to(weight))
        fusion.train(training)
        grey = self.pair[0, 3:].expand(3, -1, -1)
        views = {"visible": self.pair[0, :3], "infrared": grey, "fused": output.fused[0]}
        images = {name: to_uint8(view)[..., ::-1][self.inside] for name, view in views.items()}
        weights = output.weights[0, 1].float().cpu().numpy()  # at a quarter of the size
        images["weights"] = cv2.resize(weights, self.pair.shape[:1:-1])[self.inside]
        height = max(1, round(images["fused"].shape[0] * width / images["fused"].shape[1]))
        return {
            name: cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)
            for name, image in images.items()
        }


class FilmStrip:
    """The same pairs over a training: one column of fused images and weight maps for each of some epochs.

    Each column is a file, so that a resumed training continues the strip.

    Args:
        folder: Folder of the columns.
        pairs: The pairs.
        epochs: Epochs of the training; at most `FRAMES` of them are shown, including the first and the last.
    """

    def __init__(self, folder: Path, pairs: Sequence[Shown], epochs: int) -> None:
        self.folder = folder
        self.pairs = pairs
        self.kept = {*evenly(range(1, epochs + 1), FRAMES)}

    def add(self, fusion: nn.Module, epoch: int, file: Path) -> Path | None:
        """Add a column for this epoch, if the strip shows it, and rewrite the strip.

        Args:
            fusion: The front-end.
            epoch: Number of finished epochs.
            file: JPEG to write.

        Returns:
            The file, None if the epoch is not shown.
        """
        if epoch not in self.kept or not self.pairs:
            return None
        self.folder.mkdir(exist_ok=True)
        views = [shown.views(fusion, WIDTH) for shown in self.pairs]
        column = np.vstack([part for seen in views for part in (seen["fused"], _grey(seen["weights"]))])
        write_image(self.folder / f"{epoch:05d}.png", column)
        parts = np.cumsum([len(seen["fused"]) for seen in views for _ in range(2)])[:-1]
        epochs = {
            int(path.stem): np.split(np.asarray(cv2.imread(str(path))), parts)
            for path in sorted(self.folder.glob("*.png"))
        }
        limits, words = scale_of([maps[..., 0] / 255 for column in epochs.values() for maps in column[1::2]])
        columns = [("visible, infrared", [seen[name] for seen in views for name in ("visible", "infrared")])]
        for number, tiles in epochs.items():
            tiles[1::2] = [color_weights(maps[..., 0] / 255, limits) for maps in tiles[1::2]]
            columns.append((f"epoch {number}", tiles))
        write_columns(columns, limits, f"infrared {words}", file)
        return file


def plot_weights(fusion: nn.Module, pairs: Sequence[Shown], file: Path) -> Path:
    """Write both sources, the fused image and the weights of some pairs, in colours that span their range."""
    views = [shown.views(fusion, WIDE) for shown in pairs]
    limits, words = scale_of([seen["weights"] for seen in views])
    columns = [(name, [seen[name] for seen in views]) for name in ("visible", "infrared", "fused")]
    weights = [color_weights(seen["weights"], limits) for seen in views]
    write_columns([*columns, ("weights", weights)], limits, f"infrared {words}", file)
    return file


def write_columns(
    columns: Sequence[tuple[str, list[np.ndarray]]], limits: tuple[float, float], words: str, file: Path
) -> None:
    """Write columns of tiles under their titles, and below them the scale of the weights and what it says."""
    tall = [grid([[titled(title, first)], *([tile] for tile in rest)]) for title, (first, *rest) in columns]
    picture = grid([tall])
    strip = np.full((1, min(picture.shape[1], SCALE), 3), 255, np.uint8)
    write_image(file, grid([[picture], [with_legend(strip, limits)], [titled(words, strip)]]))


def _grey(weights: np.ndarray) -> np.ndarray:
    """Return weights (h, w), [0, 1], as a grey picture (h, w, 3) uint8, as a column keeps them."""
    return cv2.merge([(weights * 255).round().astype(np.uint8)] * 3)
