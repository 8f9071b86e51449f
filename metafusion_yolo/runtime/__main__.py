"""Detect from the command line without PyTorch: `python -m metafusion_yolo.runtime best.onnx visible infrared`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from itertools import tee
from pathlib import Path

import numpy as np

from metafusion_yolo.data.polarity import is_black_hot, turned_note
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE, turned
from metafusion_yolo.runtime import Detections, Detector, read_counts, read_visible
from metafusion_yolo.runtime.moving import Film, is_live, live, tracked
from metafusion_yolo.support.errors import MissingFileError, UserError, UserValueError
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.sampling import evenly
from metafusion_yolo.support.words import without_passwords

LOGGER = logging.getLogger("ultralytics")  # the host's, which is not needed here
IMAGES = {".bmp", ".jp2", ".jpeg", ".jpg", ".npy", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}


def main(argv: Sequence[str] | None = None) -> int:
    """Detect on two images, two folders with equal file names, two videos or two cameras; print what is found."""
    parser = argparse.ArgumentParser(prog="python -m metafusion_yolo.runtime", description="Detect without PyTorch.")
    parser.add_argument("model", help="ONNX file of metafusion export")
    parser.add_argument("visible", help="image, folder or video; address or number of a camera")
    parser.add_argument("infrared", help="of the same kind; in a folder the names are those of the visible")
    parser.add_argument("--conf", type=float, default=0.25, help="lowest score (%(default)s)")
    parser.add_argument("--iou", type=float, default=0.7, help="largest overlap of boxes of a class (%(default)s)")
    parser.add_argument("--save", type=Path, help="folder for the drawn images")
    parser.add_argument("--film", type=Path, help="MP4 file of the drawn images")
    parser.add_argument("--rate", type=float, default=25, help="frames a second, of tracks and film (%(default)s)")
    parser.add_argument("--track", action="store_true", help="number the objects of videos and cameras; needs trackers")
    parser.add_argument("--json", action="store_true", help="print one line of JSON per pair")
    args = parser.parse_args(argv)
    film = Film(args.film, args.rate) if args.film else None
    try:
        names, results = tee(_run(Detector(args.model, args.conf, args.iou), args.visible, args.infrared))
        found_of = (found for _, found in results)
        numbered = tracked(found_of, args.rate) if args.track else found_of
        for (name, _), found in zip(names, numbered, strict=True):
            _tell(name, found, args.json)
            drawn = found.draw() if args.save or film else None
            if args.save and drawn is not None:
                args.save.mkdir(parents=True, exist_ok=True)
                write_image(args.save / f"{Path(name).stem}.jpg", drawn)
            if film and drawn is not None:
                film.add(drawn)
    except KeyboardInterrupt:
        return 0  # of a camera, which has no end
    except (UserError, OSError) as error:
        sys.stderr.write(f"error: {without_passwords(str(error))}\n")
        return 2
    finally:
        if film:
            film.close()
    return 0


def _tell(name: str, found: Detections, as_json: bool) -> None:
    """Print what was found in a pair."""
    if as_json:
        text = json.dumps({"name": name, "detections": found.summary()}, ensure_ascii=False)
    else:
        text = f"{name}\n{found}" if str(found) else name
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _run(detector: Detector, visible: str, infrared: str) -> Iterator[tuple[str, Detections]]:
    """Yield a name and the detections of every pair."""
    if is_live(visible):
        for number, found in enumerate(live(detector, visible, infrared)):
            yield f"{number:06}", found
        return
    yield from _files(detector, Path(visible), Path(infrared))


def _files(detector: Detector, visible: Path, infrared: Path) -> Iterator[tuple[str, Detections]]:
    """Yield a name and the detections of every pair of files."""
    if visible.suffix.lower() in VIDEOS:
        for number, found in enumerate(detector.video(visible, infrared)):
            yield f"{visible.stem}-{number:06}", found
        return
    pairs = [*_by_name(visible, infrared)] if visible.is_dir() else [(visible, infrared)]
    unit = detector.thermal.unit
    some = evenly(pairs, SEQUENCE_SAMPLE)
    limits = detector.thermal.limits_of(read_counts(partner, unit=unit) for _, partner in some)
    negative = detector.thermal.invert == "auto" and is_black_hot(read_counts(partner) for _, partner in some)
    if negative:
        LOGGER.info(turned_note(infrared))
    for file, partner in pairs:
        counts = read_counts(partner, unit=unit)
        counts = turned(counts) if negative and counts.dtype == np.uint8 else counts
        yield str(file), detector(read_visible(file), counts, file, limits)


def _by_name(visible: Path, infrared: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the pairs of two folders, whose names agree but for their endings."""
    partners: dict[str, Path] = {}
    for file in _images(infrared):
        if (other := partners.setdefault(file.stem, file)) != file:
            raise UserValueError(f"'{other}' and '{file}' are of one name; leave one of them")
    for file in _images(visible):
        if file.stem not in partners:
            raise MissingFileError(f"'{file}' has no partner of its name in '{infrared}'; add it, or remove the image")
        yield file, partners[file.stem]


def _images(folder: Path) -> list[Path]:
    """Return the images of a folder by name; other files may lie beside them."""
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in IMAGES)
    if not files:
        raise MissingFileError(f"no images in '{folder}'; give a folder of {', '.join(sorted(IMAGES))}")
    return files


if __name__ == "__main__":
    raise SystemExit(main())
