"""Does joint training cost fusion quality? Metrics of the fused images of several checkpoints on folders of pairs.

Each fusion is NAME=CHECKPOINT, NAME=RULE or RULE; the fixed rules are average, maximum, visible and infrared. Pairs
need no labels and are fused at their own size. For every fusion and folder, prints the mean of each metric and its
ratio to that of the reference, with a 95 % interval by resampling the images, the same ones for both. Writes JSON,
which holds the values of every image too, a picture of some pairs, and with `--result` the ratios for the docs.

    python benchmarks/quality.py joint=joint/weights/best.pt fusion-only=only/weights/best.pt average \
        --pairs tno/images:tno/infrared roadscene/images/unlabelled:roadscene/infrared/unlabelled \
        --reference fusion-only --montage runs/benchmarks/quality.png 6
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import ultralytics
from results import save

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.sources import file_pairs
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.nn.rules import PixelRule

RULES = ("average", "maximum", "visible", "infrared")
HEIGHT = 240  # of a row of the picture, in pixels

Values = dict[str, dict[str, float]]  # of one fusion and folder: file -> metric -> value


class Fused(NamedTuple):
    """One pair and what became of it, all uint8, at the size of the visible image."""

    file: str
    visible: np.ndarray  # (H, W, 3), R, G, B
    infrared: np.ndarray  # (H, W)
    fused: np.ndarray  # (H, W, 3), R, G, B


def fuse_folder(fusion: str, visible: str, infrared: str, imgsz: int) -> Iterator[Fused]:
    """Yield the pairs of two folders, fused by a checkpoint or a rule."""
    return by_rule(fusion, visible, infrared) if fusion in RULES else by_checkpoint(fusion, visible, infrared, imgsz)


def by_checkpoint(checkpoint: str, visible: str, infrared: str, imgsz: int) -> Iterator[Fused]:
    """Yield what a checkpoint makes of the pairs of two folders."""
    model = MetaFusionYOLO(checkpoint)
    for result in model.predict(visible, infrared=infrared, imgsz=imgsz, save=False, stream=True, verbose=False):
        if result.fused is None:
            raise SystemExit(f"'{checkpoint}' gives no fused image; use the .pt checkpoint, not an export")
        file = Path(result.path).relative_to(visible).as_posix()
        yield Fused(file, result.orig_img[..., ::-1].copy(), result.infrared, result.fused)


def by_rule(rule: str, visible: str, infrared: str) -> Iterator[Fused]:
    """Yield what a fixed rule makes of the pairs of two folders, at every pixel."""
    for source, partner in file_pairs(visible, infrared, "infrared"):
        pair = PairReader().read(source, partner)
        fused = PixelRule(rule)(as_tensor(pair)).fused[0].permute(1, 2, 0)
        file = Path(source).relative_to(visible).as_posix()
        yield Fused(file, pair[..., :3], pair[..., 3], (fused * 255).round().byte().numpy())


def as_tensor(image: np.ndarray) -> torch.Tensor:
    """Return an image (H, W, C) uint8 as (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def measure(pair: Fused) -> dict[str, float]:
    """Return every metric of one pair, on luminance."""
    images = (
        rgb_to_luminance(as_tensor(pair.fused)),
        rgb_to_luminance(as_tensor(pair.visible)),
        as_tensor(pair.infrared[..., None]),
    )
    return {key: metric(*images).item() for key, metric in METRICS.items()}


def ratio_of_means(values: np.ndarray, reference: np.ndarray, resamples: int) -> tuple[float | None, ...]:
    """Return the ratio of two means over the same images, with the 95 % interval of resampled images.

    Args:
        values: A metric of each image (N,).
        reference: The same of the reference, like `values`.
        resamples: How often to draw N images with replacement.

    Returns:
        Ratio, lower and upper end; None where a mean of the reference is not positive, so that a ratio says nothing.
    """
    draws = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    means, references = values[draws].mean(1), reference[draws].mean(1)
    if min(reference.mean(), references.min()) <= 0:
        return None, None, None
    low, high = np.percentile(means / references, [2.5, 97.5])
    return float(values.mean() / reference.mean()), float(low), float(high)


def summarise(values: dict[str, Values], reference: str, folder: str, resamples: int) -> list[dict[str, Any]]:
    """Return a row for every fusion of a folder: the mean of each metric, its ratio to the reference, the interval."""
    rows = []
    for name, images in values.items():
        row: dict[str, Any] = {"fusion": name, "pairs": folder, "images": len(images)}
        for key in METRICS:
            own, other = (np.array([v[key] for v in values[n].values()]) for n in (name, reference))
            ratio, low, high = ratio_of_means(own, other, resamples)
            row[key] = {"mean": float(own.mean()), "ratio": ratio, "low": low, "high": high}
        rows.append(row)
    return rows


def ratios(rows: list[dict[str, Any]], reference: str) -> dict[str, dict[str, Any]]:
    """Return the table of the docs: for every other fusion and folder, the metrics that have a ratio, and intervals."""
    return {
        f"{row['fusion']}, {row['images']} pairs of {name_of(row['pairs'])}": {
            key: {"value": row[key]["ratio"], "interval": (row[key]["low"], row[key]["high"])}
            for key in METRICS
            if row[key]["ratio"] is not None
        }
        for row in rows
        if row["fusion"] != reference
    }


def name_of(pairs: str) -> str:
    """Return the name of the data set whose folders are compared.

    Examples:
        >>> name_of("data/tno/images:data/tno/infrared"), name_of("photos:thermal")
        ('tno', 'photos')
    """
    parts = Path(pairs.rpartition(":")[0]).parts
    return parts[parts.index("images") - 1] if "images" in parts[1:] else parts[-1]


def line(row: dict[str, Any], widths: Sequence[int]) -> str:
    """Return a row as aligned text: fusion, visible folder, images, and `mean  ratio [low, high]` of each metric."""
    texts = (row["fusion"], str(row["pairs"]).rpartition(":")[0], row["images"])
    cells = [f"{text!s:<{width}}" for text, width in zip(texts, widths, strict=True)]
    for key in METRICS:
        m = row[key]
        ratio = "-" if m["ratio"] is None else f"{m['ratio']:.3f} [{m['low']:.3f}, {m['high']:.3f}]"
        cells.append(f"{m['mean']:7.4f}  {ratio:<20}")
    return "  ".join(cells).rstrip()


def montage(pairs: dict[str, list[Fused]]) -> np.ndarray:
    """Return a picture (H, W, 3), B, G, R: a row for every pair, visible | infrared | fused by each fusion.

    Args:
        pairs: The same pairs by the name of the fusion.
    """
    rows = []
    for views in zip(*pairs.values(), strict=True):
        images = [views[0].visible, views[0].infrared, *(view.fused for view in views)]
        rows.append([tile(image) for image in images])
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(rows[0]))]
    names = ("visible", "infrared", *pairs)
    header = [caption(name, width) for name, width in zip(names, widths, strict=True)]
    padded = [[pad(image, width) for image, width in zip(row, widths, strict=True)] for row in rows]
    return np.vstack([np.hstack(row) for row in (header, *padded)])


def tile(image: np.ndarray) -> np.ndarray:
    """Return an image as B, G, R at the height of a row."""
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image[..., ::-1]
    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    return cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)


def pad(image: np.ndarray, width: int) -> np.ndarray:
    """Put black to the right of an image, and a thin frame around it."""
    return cv2.copyMakeBorder(image, 2, 2, 2, width - image.shape[1] + 2, cv2.BORDER_CONSTANT)


def caption(text: str, width: int) -> np.ndarray:
    """Return the heading of a column."""
    heading = np.zeros((28, width + 4, 3), np.uint8)
    return cv2.putText(heading, text, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; refuse what does not fit together before anything is fused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fusions", nargs="+", metavar="NAME=CHECKPOINT", help="or a rule: " + ", ".join(RULES))
    parser.add_argument("--pairs", nargs="+", required=True, metavar="VISIBLE:INFRARED", help="folders of equal names")
    parser.add_argument("--reference", metavar="NAME", help="what ratios are to; the first fusion if left out")
    parser.add_argument("--imgsz", type=int, default=640, help="size at which checkpoints predict their weights")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/quality.json"))
    parser.add_argument("--result", type=Path, help="ratios for the docs, such as docs/results/quality.json")
    parser.add_argument("--montage", nargs=2, metavar=("FILE", "COUNT"), help="picture of COUNT pairs of each folder")
    args = parser.parse_args(arguments)
    named = [item.partition("=") if "=" in item else (item, "=", item) for item in args.fusions]
    args.fusions = {name: fusion for name, _, fusion in named}
    args.pairs = {pair: (pair.rpartition(":")[0], pair.rpartition(":")[2]) for pair in args.pairs}
    args.reference = args.reference or named[0][0]
    for name, _, fusion in named:
        if fusion not in RULES and not Path(fusion).is_file():
            parser.error(f"'{name}={fusion}': no such checkpoint, and no rule ({', '.join(RULES)})")
    if len(args.fusions) < len(named):
        parser.error("two fusions have the same name; give each its own, NAME=CHECKPOINT")
    if args.reference not in args.fusions:
        parser.error(f"--reference {args.reference} is none of {', '.join(args.fusions)}")
    for pair, folders in args.pairs.items():
        if not all(folder and Path(folder).is_dir() for folder in folders):
            parser.error(f"--pairs {pair}: expected two folders, VISIBLE:INFRARED")
    if args.montage and not (args.montage[1].isdigit() and int(args.montage[1])):
        parser.error(f"--montage FILE COUNT: COUNT must be a whole number above 0, not {args.montage[1]}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuse, measure, print and write."""
    args = parse_arguments(arguments)
    folders = [visible for visible, _ in args.pairs.values()]
    widths = [max(map(len, ("fusion", *args.fusions))), max(map(len, ("pairs", *folders))), 6]
    heads = [f"{head:<{width}}" for head, width in zip(("fusion", "pairs", "images"), widths, strict=True)]
    print("  ".join([*heads, *(f"{key:>7}  {'ratio to ' + args.reference:<20}" for key in METRICS)]).rstrip())
    rows, images, pictures = [], {}, {name: [] for name in args.fusions}
    for folder, (visible, infrared) in args.pairs.items():
        count = len(file_pairs(visible, infrared, "infrared"))
        shown = set(np.linspace(0, count - 1, min(int(args.montage[1]), count)).astype(int)) if args.montage else set()
        values: dict[str, Values] = {}
        for name, fusion in args.fusions.items():
            values[name] = {}
            for i, pair in enumerate(fuse_folder(fusion, visible, infrared, args.imgsz)):
                values[name][pair.file] = measure(pair)
                pictures[name] += [pair] if i in shown else []
        images[folder] = values
        for row in summarise(values, args.reference, folder, args.resamples):
            rows.append(row)
            print(line(row, widths), flush=True)
    settings = {"fusions": args.fusions, "reference": args.reference, "imgsz": args.imgsz, "resamples": args.resamples}
    versions = {"torch": torch.__version__, "ultralytics": ultralytics.__version__}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"rows": rows, **settings, **versions, "images": images}, indent=2))
    if args.result:
        spread = f"95 % intervals of {args.resamples:,} draws of the images"
        save(args.result, ratios(rows, args.reference), spread, first=f"ratio to {args.reference}", digits=3)
    if args.montage:
        Path(args.montage[0]).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(args.montage[0], montage(pictures))


if __name__ == "__main__":
    main()
