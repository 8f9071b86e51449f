"""Published data sets to paired YOLO data sets: one module per family of formats, one writer for all."""

import json
import shutil
from pathlib import Path

from metafusion_yolo import __version__
from metafusion_yolo.data.shown_in import INDEX as SHOWN_IN
from metafusion_yolo.options import Convert
from metafusion_yolo.prepare.convert import writer
from metafusion_yolo.prepare.convert.coco import COCO
from metafusion_yolo.prepare.convert.formats import SHARED, Format, Listing
from metafusion_yolo.prepare.convert.kaist import KAIST
from metafusion_yolo.prepare.convert.msrs import MSRS
from metafusion_yolo.prepare.convert.report import ConversionReport
from metafusion_yolo.prepare.convert.scenes import split_by_scene
from metafusion_yolo.prepare.convert.vedai import VEDAI
from metafusion_yolo.prepare.convert.voc import DRONE_VEHICLE, FLIR_ALIGNED, LLVIP, M3FD, VOC
from metafusion_yolo.prepare.convert.yolo import YOLO
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.words import nearest

FORMATS = {
    layout.name: layout for layout in (LLVIP, M3FD, FLIR_ALIGNED, KAIST, DRONE_VEHICLE, VEDAI, MSRS, VOC, COCO, YOLO)
}


def convert(
    format: str,
    src: str | Path,
    dst: str | Path,
    labels: str | None = Convert.labels,
    copy: bool = Convert.copy,
    boxes: str = Convert.boxes,
) -> ConversionReport:
    """Convert a published data set to a paired YOLO data set with a YAML to train with.

    ```
    dst/images/{train,val,test}/...    visible, linked
    dst/infrared/{train,val,test}/...  infrared, linked
    dst/labels/{train,val,test}/...    class cx cy w h, normalised
    dst/FORMAT.yaml                    to train with
    dst/conversion.json                the report, the arguments and a digest of the files
    ```

    The data set is written beside dst and moved there at the end, so that an interrupted run leaves nothing. A second
    run with the same arguments and unchanged files does nothing; with others it replaces an earlier conversion, unless
    that was changed by hand.

    Args:
        format: A key of :data:`FORMATS`.
        src: Root folder of the data set as published.
        dst: New or empty folder, or an earlier conversion.
        labels: "visible", "infrared" or "union", where the two cameras are labelled separately; None for the usual
            choice of the data set. See :func:`~metafusion_yolo.prepare.convert.boxes.union`.
        copy: Copy the images instead of linking them.
        boxes: "upright" for the task `detect`; "oriented", four corners, for `obb`; "segments", the outlines of
            masks, for `segment`.

    Returns:
        What was converted, and what was left out and why.

    Raises:
        FileNotFoundError: If src does not exist or has another layout; the message names the missing folder or file.
        ValueError: For an unknown format or labels, boxes that the data set does not have, a dst that holds other
            files or was changed, or if no pair is left.
    """
    if format not in FORMATS:
        raise UserValueError(f"unknown format '{format}', {nearest(format, FORMATS)}")
    Convert(format, str(src), str(dst), labels, copy, boxes)
    _check_boxes(FORMATS[format], boxes)
    layout, src, dst = FORMATS[format], Path(src).resolve(), Path(dst).resolve()
    if not src.is_dir():
        raise MissingFileError(f"no folder '{src}'; src= must name the root folder of the data set")
    if src == dst or src in dst.parents or dst in src.parents:
        raise UserValueError(f"dst={dst} and src={src} must not contain one another; name a folder elsewhere")
    request = {"format": format, "src": str(src), "labels": labels, "copy": copy, "boxes": boxes}
    request |= {"digest": writer.digest(src, follow=True), "version": __version__}
    record = writer.earlier_record(dst)
    if record and record["request"] == request:
        return ConversionReport.from_dict(record["report"], dst / record["yaml"])
    new = dst.with_name(f".{dst.name}.partial")
    shutil.rmtree(new, ignore_errors=True)
    try:
        listing, chosen = _prepare(layout.read(src), labels, layout.labels, format)
        if boxes != "upright" and chosen == "union":
            raise UserValueError(f"labels=union merges upright boxes, not {boxes}; give labels=visible or infrared")
        if layout.outlines:
            listing.notes.append(f"boxes: {boxes} (of upright and {layout.outlines})")
        if (src / SHOWN_IN).is_file():
            listing.notes.append(f"{SHOWN_IN}: left behind; it counts lines of label files, which are written anew")
        new.mkdir(parents=True)
        report = writer.write_pairs(new, layout, listing, chosen, boxes, copy, dst)
        record = {
            "yaml": report.yaml.name,
            "request": request,
            "digest": writer.digest(new),
            "report": report.to_dict(),
        }
        (new / writer.RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        writer.replace_folder(new, dst)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return report


def _check_boxes(layout: Format, boxes: str) -> None:
    """Reject oriented boxes or segments for a data set that has none."""
    if boxes not in ("upright", layout.outlines):
        others = [name for name, other in FORMATS.items() if other.outlines == boxes]
        raise UserValueError(f"boxes={boxes}: '{layout.name}' has none, only {', '.join(others)}; leave boxes= out")


def _prepare(listing: Listing, labels: str | None, usual: str, name: str) -> tuple[Listing, str]:
    """Return a listing in which every pair has a split, and the camera whose labels are taken."""
    if not listing.pairs:
        raise UserValueError(f"no pairs in the layout of '{name}'; is src= complete?")
    separate = all(SHARED not in pair.labels for pair in listing.pairs)
    if labels and not separate:
        raise UserValueError(f"labels={labels}, but '{name}' is labelled once for both cameras here; leave labels= out")
    chosen = (labels or usual) if separate else SHARED
    notes = [f"labels: {chosen} (of visible, infrared and union)"] if separate else []
    if any(pair.split == "" for pair in listing.pairs):
        there = [pair for pair in listing.pairs if pair.visible.is_file() and pair.infrared.is_file()]
        rest = [pair for pair in listing.pairs if not (pair.visible.is_file() and pair.infrared.is_file())]
        pairs, note = split_by_scene(there)
        return Listing(pairs + rest, listing.classes, [*listing.notes, note, *notes]), chosen
    writer.check_splits(dict.fromkeys(pair.split for pair in listing.pairs))
    return Listing(listing.pairs, listing.classes, [*listing.notes, *notes]), chosen
