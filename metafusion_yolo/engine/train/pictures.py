"""Pictures of a training: its losses by term and phase, and the fused images of the same pairs over the epochs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metafusion_yolo.support.drawing import to_uint8
from metafusion_yolo.support.sampling import evenly

WIDTH = 200  # of a tile in the film strip, pixels
WIDE = 320  # of a tile of the weight maps, pixels
CAPTION = 22  # height of a heading, pixels
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

    Example:
        >>> stretches(["warmup", "joint", "joint"])
        [('warmup', 1, 1), ('joint', 2, 3)]
    """
    found: list[tuple[str, int, int]] = []
    for epoch, name in enumerate(phases, 1):
        first = found.pop()[1] if found and found[-1][0] == name else epoch
        found.append((name, first, epoch))
    return found


class FilmStrip:
    """The same pairs over a training: one column of fused images and weight maps for each of some epochs.

    Each column is a file, so that a resumed training continues the strip.

    Args:
        folder: Folder of the columns.
        pairs: Pairs (1, 4, H, W), R, G, B, IR in [0, 1].
        epochs: Epochs of the training; at most `FRAMES` of them are shown, including the first and the last.
    """

    def __init__(self, folder: Path, pairs: Sequence[Tensor], epochs: int) -> None:
        self.folder = folder
        self.pairs = pairs
        self.kept = {*evenly(range(1, epochs + 1), FRAMES)}

    def add(self, fusion: nn.Module, epoch: int, file: Path) -> Path | None:
        """Add a column and rewrite the strip, if it shows this epoch.

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
        shown = [view(fusion, pair) for pair in self.pairs]
        column = [part for seen in shown for part in (tile(seen["fused"], WIDTH), tile(seen["weights"], WIDTH))]
        cv2.imwrite(str(self.folder / f"{epoch:05d}.png"), headed(f"epoch {epoch}", column))
        sources = [part for seen in shown for part in (tile(seen["visible"], WIDTH), tile(seen["infrared"], WIDTH))]
        columns = [headed("visible, infrared", sources)]
        columns += [np.asarray(cv2.imread(str(path))) for path in sorted(self.folder.glob("*.png"))]
        cv2.imwrite(str(file), np.hstack(columns))
        return file


def plot_weights(fusion: nn.Module, pairs: Sequence[Tensor], file: Path) -> Path:
    """Write both sources, the fused image and the infrared weight (dark 0, bright 1) of some pairs; return the file."""
    shown = [view(fusion, pair) for pair in pairs]
    titles = {"visible": "visible", "infrared": "infrared", "fused": "fused", "weights": "weight of infrared"}
    columns = [headed(title, [tile(seen[key], WIDE) for seen in shown]) for key, title in titles.items()]
    cv2.imwrite(str(file), np.hstack(columns))
    return file


@torch.no_grad()
def view(fusion: nn.Module, pair: Tensor) -> dict[str, np.ndarray]:
    """Return both sources, the fused image and the infrared weights of a pair, each (H, W, 3) uint8, B, G, R.

    Args:
        fusion: The front-end.
        pair: (1, 4, H, W), R, G, B, IR in [0, 1].
    """
    weight = next(fusion.parameters(), pair)
    training = fusion.training
    output = fusion.eval()(pair.to(weight))
    fusion.train(training)
    weights = cv2.applyColorMap(to_uint8(output["weights"][0, 1:2])[..., 0], cv2.COLORMAP_VIRIDIS)
    grey = pair[0, 3:].expand(3, -1, -1)
    images = {"visible": pair[0, :3], "infrared": grey, "fused": output["fused"][0]}
    return {**{name: to_uint8(image)[..., ::-1] for name, image in images.items()}, "weights": weights}


def tile(image: np.ndarray, width: int) -> np.ndarray:
    """Return an image resized to a width, with a thin frame."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def headed(title: str, tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Stack tiles of equal width under a heading."""
    heading = np.full((CAPTION, tiles[0].shape[1], 3), 255, np.uint8)
    cv2.putText(heading, title, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (32, 32, 32), 1, cv2.LINE_AA)
    return np.vstack([heading, *tiles])
