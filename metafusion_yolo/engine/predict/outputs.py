"""Files of a prediction in addition to the host's: fused images, weight maps, detections as JSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ultralytics.cfg import get_save_dir
from ultralytics.utils import LOGGER

from metafusion_yolo.data.rig import Rig
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.engine.predict.writers import CsvTable, JsonArray, Names, PictureFolder
from metafusion_yolo.nn.fusion import FusionOutput
from metafusion_yolo.options import OutputOptions
from metafusion_yolo.support.drawing import with_legend
from metafusion_yolo.support.errors import UserValueError

COLUMNS = (
    *("visible", "infrared", "modalities", "frame", "time", "name", "class", "confidence"),
    *("x1", "y1", "x2", "y2", "track_id", "infrared_weight"),
)
OTHER_CORNERS = ("x3", "y3", "x4", "y4")  # of oriented boxes

TEMPERATURES = (
    *("temperature_min", "temperature_mean", "temperature_max", "temperature_contrast", "temperature_unit"),
    *("hot_x", "hot_y"),
)


def run_folder(args: Any, make: bool = True) -> Path:
    """Return the folder of a run by `project`, `name` and `exist_ok`; no two runs get the same one.

    Args:
        args: The host's arguments.
        make: Whether to create it, at the same moment, so that two runs which begin together get one each.

    Raises:
        FileExistsError: If no number is left for it, or a file has its name.
    """
    before = None
    while True:
        folder = get_save_dir(args)
        try:
            if make:
                folder.mkdir(parents=True, exist_ok=args.exist_ok or hasattr(args, "save_dir"))
            return folder
        except FileExistsError:
            if folder == before:  # not taken by another run just now
                raise
            before = folder


def check_measured(options: OutputOptions, rig: Rig) -> bool:
    """Return whether the infrared camera measures temperatures.

    Raises:
        ValueError: If it does not, and they are to be drawn.
    """
    if options.temperatures and not rig.thermal.unit:
        raise UserValueError(
            "temperatures=True needs to know what counts mean; write 'thermal: {unit: celsius}', with scale: and "
            "offset:, into a data-set YAML, and give it as data="
        )
    return bool(rig.thermal.unit)


class Outputs:
    """The files of a run. Every result is written at once, so memory use stays constant.

    Args:
        folder: Folder of the run; it is created if there is anything to write.
        options: What to write.
        done: Visible images of the finished pairs, whose records are kept.
        names: Names for the remaining pairs.
        measured: Whether the infrared camera measures temperatures, which then have columns of their own.
        oriented: Whether boxes have four corners.
    """

    def __init__(
        self,
        folder: Path,
        options: OutputOptions,
        done: Sequence[str] = (),
        names: Names | None = None,
        measured: bool = False,
        oriented: bool = False,
    ) -> None:
        keep = frozenset(done)
        makers: dict[str, Callable[[Path], Any]] = {}
        if options.save_fused:
            makers["fused"] = PictureFolder
        if options.save_weights:
            makers["weights"] = PictureFolder
        if options.save_json:
            makers["predictions.json"] = partial(JsonArray, keep=keep)
        if options.save_csv:
            columns = COLUMNS + TEMPERATURES * measured + OTHER_CORNERS * oriented
            makers["predictions.csv"] = partial(CsvTable, columns=columns, keep=keep)
        if makers:
            folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._names = names or Names()
        self._files = {name: make(folder / name) for name, make in makers.items()}

    def write(self, result: FusionResults, fps: float | None = None) -> None:
        """Write the requested outputs of one result.

        Args:
            result: The result, whose `fused_path` is set.
            fps: Frames per second of the result's video, None for an image.

        Raises:
            OSError: If a file cannot be written.
        """
        files = self._files
        if result.has_fusion and ("fused" in files or "weights" in files):
            name = (self._names.of_image if fps is None else self._names.of_video)(result.path)
            if "fused" in files:
                result.fused_path = files["fused"].add(name, result.image("fused"), fps)
            if "weights" in files and result.has_weights:
                files["weights"].add(name, with_legend(result.image("weights")), fps)
        if "predictions.json" in files or "predictions.csv" in files:
            record = describe(result)
            if "predictions.json" in files:
                files["predictions.json"].add(record)
            if "predictions.csv" in files:
                files["predictions.csv"].add(flat_rows(record))

    def close(self) -> None:
        """Finish all files, and log where they are."""
        for file in self._files.values():
            file.close()
        if self._files:
            LOGGER.info(f"{', '.join(self._files)} saved to {self.folder}")
        self._files = {}


def describe(result: FusionResults) -> dict[str, Any]:
    """Return one result as a record for JSON; the detections are those of `summary()`."""
    return {
        "visible": result.path,
        "infrared": result.infrared_path,
        "modalities": result.modalities,
        "frame": result.frame,
        "time": None if result.time is None else round(result.time, 4),
        "height": result.orig_shape[0],
        "width": result.orig_shape[1],
        "detections": result.summary(),
    }


def say_what_is_missing(options: OutputOptions, given: FusionOutput | Mapping[str, Any] | None, drawn: bool) -> None:
    """Warn which requested outputs are missing because an export has no fused image or no weights.

    Args:
        options: What was requested.
        given: Output of the front-end, or the additional outputs of an export by name; None for neither.
        drawn: Whether pictures are saved.
    """
    if isinstance(given, FusionOutput):
        return
    missing = []
    if not given:
        missing += ["save_fused writes nothing"] * options.save_fused
        shown = options.view not in ("visible", "infrared") and drawn
        missing += [f"view={options.view} shows the cameras only"] * shown
    if not given or "fusion_weights" not in given:
        missing += ["save_weights writes nothing"] * options.save_weights
        missing += ["infrared_weight is empty"] * (options.save_json or options.save_csv)
    if missing:
        lacking = "no weights" if given else "no fused image and no weights"
        LOGGER.warning(f"{lacking} from this export: {', '.join(missing)}")


def flat_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a record in `predictions.csv`, one per detection."""
    pair = {key: record[key] for key in ("visible", "infrared", "modalities", "frame", "time")}
    rows = []
    for detection in record["detections"]:
        values = {key: value for key, value in detection.items() if key in COLUMNS}
        if measured := detection.get("temperature"):
            spot, told = measured["hot"], {f"temperature_{key}": measured[key] for key in measured.keys() - {"hot"}}
            values |= told | {"hot_x": spot["x"], "hot_y": spot["y"]}
        rows.append({**pair, **values, **detection.get("box", {})})
    return rows
