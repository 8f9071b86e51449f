"""`MetaFusionYOLO`: the host's `Model` for pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from metafusion_yolo.data.rig import rig_of
from metafusion_yolo.data.sources import BY_RULE, PairedSource
from metafusion_yolo.data.sync import SyncReport
from metafusion_yolo.engine._host import check_tracker
from metafusion_yolo.engine.arguments import check_arguments
from metafusion_yolo.engine.export.benchmark import benchmark_formats
from metafusion_yolo.engine.export.exporter import FusionDetectionExporter
from metafusion_yolo.engine.export.triton import check_servable, write_repository
from metafusion_yolo.engine.loading import LoadedModel
from metafusion_yolo.engine.overview import describe_model
from metafusion_yolo.engine.predict.calls import ConcurrentModel
from metafusion_yolo.engine.predict.fuser import fuse_images
from metafusion_yolo.engine.predict.pictures import in_notebook, show_each
from metafusion_yolo.engine.predict.predictor import Request
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.engine.predict.slicing import Slicing
from metafusion_yolo.engine.tasks import TASKS, WHOLE
from metafusion_yolo.engine.train.model import LearningModel
from metafusion_yolo.engine.validate.measure import FusionMetrics
from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.options import Export, Fuse, OutputOptions, SlicingOptions, Source, Sync, Track, Val
from metafusion_yolo.support.console import in_our_words
from metafusion_yolo.support.errors import UserTypeError, UserValueError
from metafusion_yolo.support.resources import find_data_yaml


class MetaFusionYOLO(ConcurrentModel, LearningModel, LoadedModel):
    """A fused detector, used as one uses `ultralytics.YOLO`.

    Examples:
        >>> model = MetaFusionYOLO("metafusion-yolov8n.yaml")
        >>> sum(p.numel() for p in model.model.fusion.parameters()) < 400_000
        True

    Args:
        model: Model YAML, checkpoint (`.pt`), export (`.onnx`, ...) or address of a model on a Triton server.
        task: What it is for: "detect", "segment", "pose", "obb", "classify",
            "semantic" or "depth"; None for the task of its head.
        verbose: Whether to log a summary of a new model.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If the file is not a checkpoint, one of a model that has no fused form, or of another task.
    """

    def __init__(
        self, model: str | Path = "metafusion-yolov8n.yaml", task: str | None = None, verbose: bool = False
    ) -> None:
        super().__init__(model=model, task=task, verbose=verbose)
        self.task = self.task or self.overrides["task"]  # of a Triton server the host notes it there alone

    def __repr__(self) -> str:
        """Return front-end, detector, classes, cameras and origin in ten lines; the layers are those of `.model`."""
        return describe_model(self.model_name, self.model, self.ckpt, self.ckpt_path)

    def _val_data(self) -> str:
        """Return the data set of the checkpoint; the host would fall back on COCO."""
        data = self.overrides.get("data")
        if not data or not Path(find_data_yaml(data)).exists():
            raise UserValueError(f"'data' is missing and the checkpoint's own ({data}) is not here; give it as data=")
        return str(data)

    def predict(  # noqa: D417 - described once, in the options
        self,
        source: Any = None,
        stream: bool = False,
        predictor: Any = None,
        infrared: Any = BY_RULE,
        view: str = OutputOptions.view,
        save_fused: bool = OutputOptions.save_fused,
        save_weights: bool = OutputOptions.save_weights,
        save_json: bool = OutputOptions.save_json,
        save_csv: bool = OutputOptions.save_csv,
        temperatures: bool = OutputOptions.temperatures,
        layout: str | None = Source.layout,
        align: str = Source.align,
        on_error: str = Source.on_error,
        sync: str = Sync.by,
        sync_tolerance: float = Sync.tolerance,
        sync_offset: float = Sync.offset,
        on_missing: str = Sync.on_missing,
        reconnect: float = Sync.reconnect,
        slice: int = SlicingOptions.size,
        overlap: float = SlicingOptions.overlap,
        resume: bool = False,
        tracking: Track | None = None,
        **kwargs: Any,
    ) -> Iterator[FusionResults] | list[FusionResults]:
        """Detect on pairs.

        Args:
            source: The visible side, or whole pairs: a path, folder, glob, `.txt` list or `.csv` list of pairs; a
                video; the number or URL of a live camera; an (H, W, 3) array in B, G, R; a PIL image; an (H, W, 4)
                array or a (B, 4, H, W) tensor in R, G, B, IR; a list or generator of these or of `(visible, infrared)`
                tuples. All but the tensor are normalised and registered as in training.
            stream: Whether to yield results one by one, for long sources.
            predictor: Another predictor class.
            infrared: The infrared side of the same kind. Left out, the pairing rule of the checkpoint finds it;
                None detects with the visible camera alone.
            view, save_fused, ..., temperatures: See :class:`~metafusion_yolo.options.OutputOptions`.
            layout, align, on_error: See :class:`~metafusion_yolo.options.Source`.
            sync, sync_tolerance, sync_offset, on_missing, reconnect: See :class:`~metafusion_yolo.options.Sync`.
            slice, overlap: See :class:`~metafusion_yolo.options.SlicingOptions`.
            resume: Whether to continue an interrupted run of this `project` and `name`; returns results of the rest.
            tracking: What :meth:`track` adds.
            **kwargs: The host's prediction arguments. `data=`, a data-set YAML, says how other cameras than those of
                the training go together.

        Returns:
            Results with `.fused`, `.infrared`, `.fusion_weights` and `.modalities` beside the host's attributes.

        Raises:
            PairError: If something does not pair up.
            ConnectionError: If a live camera cannot be reached, or is lost and `on_missing` is "error".
            ValueError: For a missing source, an unknown view, layout or rule, or a run that cannot be resumed.
        """
        if source is None:
            raise UserValueError("'source' is missing; give an image, a folder, a video, an array or a list of pairs")
        self._take_start(kwargs)
        check_arguments("predict", kwargs, isinstance(self.model, FrontEndAhead), self.task)
        for key in ("conf", "tracker"):  # None is accepted by the host, which then fails
            if kwargs.get(key, "") is None:
                del kwargs[key]
        outputs = OutputOptions(view, save_fused, save_weights, save_json, save_csv, temperatures)
        data = kwargs.get("data") and find_data_yaml(kwargs["data"])
        timing = Sync(sync, sync_tolerance, sync_offset, on_missing, reconnect)
        paired = PairedSource(source, infrared, layout, on_error, data, timing, align)
        if inline := bool(kwargs.get("show")) and in_notebook():
            kwargs["show"] = False  # the host would look for a window
        call = self._begin(kwargs, predictor, (tracking := tracking or Track()).persist)
        request = Request(paired, outputs, Slicing(slice, overlap), resume, tracking, call)
        results = super().predict(request, stream, predictor, **kwargs)
        return show_each(results) if inline else results

    @property
    def sync_report(self) -> SyncReport | None:
        """Counts of the frames of the videos or live cameras of the last run; None for other sources."""
        return getattr(getattr(self.predictor, "dataset", None), "report", None)

    def track(
        self,
        source: Any = None,
        stream: bool = False,
        persist: bool = Track.persist,
        rate: float | None = Track.rate,
        **kwargs: Any,
    ) -> Iterator[FusionResults] | list[FusionResults]:
        """Track on pairs of a sequence; sources as for :meth:`predict`, arguments as for the host's `track`.

        The images of a folder, list or generator are a sequence, those of a folder in the order of their names; where
        the folder changes, a new one begins. `rate` and `persist`: see :class:`~metafusion_yolo.options.Track`.
        """
        if self.task in WHOLE:
            raise UserValueError(f"the task '{self.task}' is one of whole pairs, with no objects to track; use predict")
        check_tracker(kwargs.get("tracker"))
        kwargs.update(mode="track", tracking=Track(persist, rate), batch=kwargs.get("batch") or 1)
        kwargs["conf"] = 0.1 if kwargs.get("conf") is None else kwargs["conf"]  # trackers use uncertain boxes too
        return self.predict(source, stream, **kwargs)

    def val(  # noqa: D417 - described once, in the options
        self,
        validator: Any = None,
        modalities: str = Val.modalities,
        metrics: str | Sequence[str] | None = Val.metrics,
        curves: bool = Val.curves,
        night_below: float = Val.night_below,
        corruptions: bool = Val.corruptions,
        **kwargs: Any,
    ) -> FusionMetrics:
        """Measure detection and fusion, and write val.json, val.csv and, with plots, val.html into the run's folder.

        Args:
            validator: Another validator class.
            modalities, metrics, curves, night_below, corruptions: See :class:`~metafusion_yolo.options.Val`; a
                `conditions:` file in the data-set YAML goes before `night_below`.
            **kwargs: The host's validation arguments.

        Returns:
            The host's detection metrics, with ours in `.report` and in `.results_dict`.

        Raises:
            ValueError: For unknown modalities or metrics, or curves or corruptions with a camera switched off.
        """
        self._take_start(kwargs)
        check_arguments("val", kwargs, isinstance(self.model, FrontEndAhead), self.task)
        build = partial(validator or TASKS[self.task]["validator"], modalities=modalities, metrics=metrics)
        return super().val(partial(build, curves=curves, night_below=night_below, corruptions=corruptions), **kwargs)

    def export(
        self,
        inputs: str = Export.inputs,
        fused: bool = Export.fused,
        fusion_weights: bool = Export.fusion_weights,
        triton: str | Path | None = None,
        **kwargs: Any,
    ) -> str:
        """Export the front-end and the detector as one model.

        Args:
            inputs: "one" input of four channels, R, G, B, IR, or "two": `visible` and `infrared`.
            fused: Whether to add the fused image (B, 3, H, W) to the outputs.
            fusion_weights: Whether to add the weights of the cameras (B, 2, H, W) too.
            triton: Folder in which to write a model repository of the Triton Inference Server; ONNX and OpenVINO only.
            **kwargs: The host's export arguments, `format="onnx"` first of all.

        Returns:
            Path of the exported file or folder.
        """
        self._check_is_pytorch_model()
        check_arguments("export", kwargs, task=self.task)
        method = {"imgsz": self.model.args["imgsz"], "batch": 1, "data": None, "device": None, "verbose": False}
        overrides = {**self.overrides, **method, **kwargs, "mode": "export"}
        if triton is not None:
            check_servable(overrides.get("format"), triton)
        exporter = FusionDetectionExporter(
            overrides=overrides, _callbacks=self.callbacks, inputs=inputs, fused=fused, fusion_weights=fusion_weights
        )
        with in_our_words():
            file = exporter(model=self.model)
        if triton is not None:
            write_repository(file, triton)
        return file

    def benchmark(
        self, data: str | None = None, format: str | list[str] | None = None, verbose: bool = False, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Measure size, accuracy and speed of the checkpoint and of its exports.

        Args:
            data: Paired data set; None for the one of the checkpoint.
            format: Formats, as a list or a comma-separated string, "onnx:16" in FP16 and "onnx:8" in INT8; None for
                those whose packages are installed.
            verbose: The host's; only False, as a format that fails is a row of the table.
            **kwargs: The host's arguments: `imgsz`, `device`, `project`, `name`, `exist_ok`.

        Returns:
            One row per format, see :func:`metafusion_yolo.engine.export.benchmark.benchmark_formats`.
        """
        self._check_is_pytorch_model()
        if verbose is not False:
            raise UserValueError(
                f"'verbose={verbose}' would stop at a format that fails; here it becomes a row of the table: leave it "
                "out"
            )
        formats = [name.strip() for name in format.split(",")] if isinstance(format, str) else format
        return benchmark_formats(self, data or self._val_data(), formats, **kwargs)

    def fuse_images(
        self, source: Any, infrared: Any = BY_RULE, method: str = Fuse.method, **kwargs: Any
    ) -> Iterator[Path]:
        """Write fused images at the size of the visible ones, without boxes, and yield the files as they are done.

        Args:
            source: As for :meth:`predict`.
            infrared: As for :meth:`predict`.
            method: "learned", or for comparison a classical rule: "average", "maximum" or "laplacian".
            **kwargs: See :func:`~metafusion_yolo.engine.predict.fuser.fuse_images`.

        Raises:
            TypeError: For an export; `predict` writes the fused images of one that gives them.
            ValueError: For an unknown method.
        """
        if not isinstance(self.model, FrontEndAhead):
            raise UserTypeError(
                f"'{self.model_name}' is an export; use the .pt checkpoint, or predict with save_fused=True"
            )
        kwargs = {k: v for k, v in {"imgsz": self.overrides.get("imgsz"), **kwargs}.items() if v is not None}
        return fuse_images(source, infrared, method, net=self.model.fusion, rig=rig_of(self.model), **kwargs)
