"""The arguments of `data init`."""

from dataclasses import dataclass

from metafusion_yolo.options.fields import REQUIRED, Checked, option

LAYOUTS = ("horizontal", "horizontal-infrared-first", "vertical", "vertical-infrared-first", "stacked")
CAMERAS = ("dji-m3t", "dji-m30t", "dji-h20t", "flir-lepton", "infiray-p2-pro", "optris", "seek-shot", "hikvision")
BY = ("auto", "names", "numbers", "times", "exif", "looks")


@dataclass(frozen=True)
class Init(Checked):
    """Data sets of images as they lie on the disk."""

    visible: str = option(REQUIRED, "folder or glob of the visible images; CSV of pairs; images of both, with layout=")
    infrared: str | None = option(None, "folder or glob of the infrared images")
    labels: str | None = option(None, "folder of YOLO label files; left out: those beside the images")
    names: str | list[str] | None = option(
        None, "comma-separated class names; left out: from a classes.txt or YAML near the labels", also=(tuple,)
    )
    by: str = option(
        "auto", "what to pair by: auto (names, else EXIF times), names, numbers, times, exif, looks", choices=BY
    )
    layout: str | None = option(None, f"for images that hold both cameras: {', '.join(LAYOUTS)}", choices=LAYOUTS)
    camera: str | None = option(None, f"camera of both, or infrared=: {', '.join(CAMERAS)}", choices=CAMERAS)
    dst: str = option("pairs", "folder of the YAML and the lists of pairs")
    exist_ok: bool = option(False, "write over the YAML of an earlier run")
