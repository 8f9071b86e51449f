"""Detect from the command line without PyTorch: `python -m metafusion_yolo.runtime best.onnx visible infrared`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE
from metafusion_yolo.runtime import Detections, Detector, read_counts, read_visible
from metafusion_yolo.support.errors import UserError
from metafusion_yolo.support.sampling import evenly

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}


def main(argv: Sequence[str] | None = None) -> int:
    """Detect on two images, two folders with equal file names, or two videos; print the boxes, draw them on request."""
    parser = argparse.ArgumentParser(prog="python -m metafusion_yolo.runtime", description="Detect without PyTorch.")
    parser.add_argument("model", help="ONNX file of metafusion export")
    parser.add_argument("visible", type=Path, help="image, folder or video")
    parser.add_argument("infrared", type=Path, help="of the same kind; in a folder the names are those of the visible")
    parser.add_argument("--conf", type=float, default=0.25, help="lowest score (%(default)s)")
    parser.add_argument("--iou", type=float, default=0.7, help="largest overlap of boxes of a class (%(default)s)")
    parser.add_argument("--save", type=Path, help="folder for the drawn images")
    args = parser.parse_args(argv)
    try:
        for name, found in _run(Detector(args.model, args.conf, args.iou), args.visible, args.infrared):
            sys.stdout.write(f"{name}\n{found}\n" if str(found) else f"{name}\n")
            if args.save:
                args.save.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(args.save / f"{Path(name).stem}.jpg"), found.draw())
    except (UserError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _run(detector: Detector, visible: Path, infrared: Path) -> Iterator[tuple[str, Detections]]:
    """Yield a name and the detections of every pair."""
    if visible.suffix.lower() in VIDEOS:
        for number, found in enumerate(detector.video(visible, infrared)):
            yield f"{visible.stem}-{number:06}", found
        return
    pairs = [(visible, infrared)]
    if visible.is_dir():
        partners = {file.stem: file for file in sorted(infrared.iterdir())} if infrared.is_dir() else {}
        pairs = [(file, partners.get(file.stem, infrared / file.name)) for file in sorted(visible.iterdir())]
    limits = detector.thermal.limits_of(read_counts(partner) for _, partner in evenly(pairs, SEQUENCE_SAMPLE))
    for file, partner in pairs:
        yield str(file), detector(read_visible(file), read_counts(partner), file, limits)


if __name__ == "__main__":
    raise SystemExit(main())
