"""Prediction on pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.utils import ops
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import scale_boxes

from metafusion_yolo.data.planes import PLANES, cameras_on
from metafusion_yolo.data.rig import Rig, rig_of
from metafusion_yolo.data.sources import Origin, PairedSource, is_path
from metafusion_yolo.data.sources.loaders import LoadPairs, load_pairs
from metafusion_yolo.engine._host import (
    TRACKING,
    extra_outputs,
    front_end,
    loaded_with,
    missing_packages_named,
    trackers_look,
    warn_of_other_cameras,
)
from metafusion_yolo.engine.arguments import check_classes
from metafusion_yolo.engine.predict.calls import Call, Networks
from metafusion_yolo.engine.predict.journal import Journal
from metafusion_yolo.engine.predict.outputs import Outputs, check_measured, run_folder, say_what_is_missing
from metafusion_yolo.engine.predict.results import FusionResults, pack_fusion, showing_fused
from metafusion_yolo.engine.predict.sequences import ImageSequences, in_name_order
from metafusion_yolo.engine.predict.slicing import Slicing, cut, merge, place
from metafusion_yolo.engine.predict.writers import BackgroundWriter, written_rate
from metafusion_yolo.options import OutputOptions, Track
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.logs import warnings_once

LISTS = (".txt", ".csv")  # whose order is that of the list
SETTINGS = (  # host arguments that the files of a run depend on
    *("model", "imgsz", "conf", "iou", "classes", "max_det", "agnostic_nms", "augment"),
    *("save", "save_txt", "save_conf"),
)


@dataclass(frozen=True)
class Request:
    """What to predict on and what to write, passed as the source because the host rejects arguments of ours."""

    source: PairedSource
    outputs: OutputOptions
    slicing: Slicing
    resume: bool = False
    track: Track = field(default_factory=Track)
    call: Call = field(default_factory=Call)


class FusionDetectionPredictor(DetectionPredictor):
    """Read pairs where the host reads images, and return the fused image with the detections.

    Attributes:
        options: What to write in addition to the host's files, and what to draw on.
        slicing: How large pairs are cut into slices.
        overlap: Whether to read pairs and write annotated images in threads while the network runs.
        networks: Where the predictors of a model find the weights that they share.
    """

    overlap = True
    networks: Networks | None = None
    options = OutputOptions()
    slicing = Slicing()
    _outputs: Outputs | None = None
    _journal: Journal | None = None
    _turn: AbstractContextManager[Any] = nullcontext()
    _persist = False
    _sequences: ImageSequences | None = None

    def setup_model(self, model: Any, verbose: bool = True) -> None:
        """Keep the output of the front-end by a hook, as the model does not return it."""
        load = partial(self._load, model, verbose)
        with missing_packages_named():
            if self.networks is None or self.args.compile:
                load()
            else:
                self.model, self._turn = self.networks.share(loaded_with(self.args), load)
        self.device = self.model.device
        # On the CPU the host's warm-up of a checkpoint only imports torchvision, for a quicker suppression of many
        # boxes: that takes longer than a few images. Streams and long lists import it themselves.
        self.done_warmup = self.device.type == "cpu" and self.model.format == "pt"
        self._fusion: Any = None
        self._trained_with = rig_of(self.model)
        self._extra = extra_outputs(self.model)
        fusion = front_end(self.model)
        if fusion is not None:
            fusion.register_forward_hook(self._keep_fusion)

    def _load(self, model: Any, verbose: bool) -> Any:
        super().setup_model(model, verbose)
        return self.model

    def _keep_fusion(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        self._fusion = output

    def setup_source(self, source: Any, stride: int | None = None) -> None:
        """Load pairs; the host sets up the rest."""
        request = source if isinstance(source, Request) else Request(PairedSource(source), OutputOptions(), Slicing())
        source, self.options, self.slicing = request.source, request.outputs, request.slicing
        if self.slicing.size and self.args.task != "detect":
            raise UserValueError(
                f"'slice={self.slicing.size}' joins upright boxes, and this model is for the task "
                f"'{self.args.task}'; leave it out"
            )
        self._persist = request.track.persist
        rig = self._trained_with or Rig()
        if source.data:
            rig = Rig.of_file(source.data)
            warn_of_other_cameras(self._trained_with, rig, source.data)
        args = self.args
        check_classes(args.classes, self.model.names)
        measured = check_measured(self.options, rig)
        loader = load_pairs(source, rig, args.batch, args.vid_stride, in_order=args.stream_buffer)
        self._sequences = None
        if isinstance(loader, LoadPairs) and args.mode == "track":
            self._sequences = ImageSequences(request.track.rate, request.track.persist)
            if is_path(source.visible) and Path(source.visible).suffix.lower() not in LISTS:
                loader.sort(in_name_order)
        elif request.track.rate is not None:
            raise UserValueError(f"'rate={request.track.rate}' is for tracked images; videos have their own")
        if isinstance(loader, LoadPairs):  # the host only shrinks the border where a batch has one size
            loader.alike = args.rect and (self.model.format == "pt" or getattr(self.model, "dynamic", False))
        super().setup_source(loader, stride)
        self.model.prefetch = self.overlap  # in a thread, as the host does with a GPU
        args.exist_ok = args.exist_ok or request.resume
        lasting = not args.embed and (args.save or args.save_txt or self.options.writes)  # embeddings are not written
        journaled = lasting and getattr(loader, "of_files", False)
        if request.resume and not (journaled and args.mode == "predict" and not args.save_crop):
            raise UserValueError(
                "resume=True continues what save=True, save_txt, save_fused, save_weights, save_json or save_csv "
                "write for image files; videos, cameras, tracks, crops and images in memory start over"
            )
        self.save_dir = run_folder(args, make=lasting or args.save_crop or args.visualize)
        self._journal = self._open_journal(request.resume) if journaled else None
        done, names = (self._journal.done, self._journal.names) if self._journal else ([], None)
        self._outputs = Outputs(self.save_dir, self.options, done, names, measured, oriented=args.task == "obb")
        self._said = False

    def _open_journal(self, resume: bool) -> Journal:
        """Open the journal of a run that writes files for image files, and skip the pairs that are done."""
        args, written = self.args, self.options
        settings = {**{key: getattr(args, key) for key in SETTINGS}, **vars(written), **vars(self.slicing)}
        journal = Journal(self.save_dir, settings, resume)
        self.dataset.leave_out(journal.done)
        return journal

    def stream_inference(self, source: Any = None, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Write our files with each result, finish them however the run ends, and log each warning once."""
        call = source.call if isinstance(source, Request) else nullcontext()
        self._outputs = self._journal = None
        self._annotated = BackgroundWriter() if self.overlap else None
        finished = False
        with call, closing(super().stream_inference(source, *args, **kwargs)) as results:
            try:
                for result in warnings_once(results):
                    if self._outputs and isinstance(result, FusionResults):  # not an embedding
                        self._outputs.write(result, written_rate(self.dataset, self.args.vid_stride))
                    if self._journal:
                        self._write(self._journal.add, result.path)
                    yield result
                finished = True
            finally:
                if self._outputs:
                    self._outputs.close()
                try:
                    if self._annotated:
                        self._annotated.close()
                except OSError:
                    finished = False
                    raise
                finally:
                    if self._journal:
                        self._journal.close(finished)

    def _write(self, write: Callable[..., None], *args: Any) -> None:
        """Write in the background if there is a writer, else at once; the order is kept."""
        if self._annotated:
            self._annotated.add(write, *args)
        else:
            write(*args)

    def save_predicted_images(self, save_path: Path, frame: int | None = 0) -> None:
        """Write annotated images in the background; the host writes videos."""
        if self.dataset.mode == "image":
            self._write(write_image, save_path.with_suffix(".jpg"), self.plotted_img)
        else:
            super().save_predicted_images(save_path, frame)

    def pre_transform(self, im: list[np.ndarray]) -> list[np.ndarray]:
        """Letterbox as the host does, but without a grey border around a blank camera."""
        boxed = super().pre_transform(im)
        for pair, out in zip(im, boxed, strict=True):
            for camera in PLANES.keys() - cameras_on(pair):
                out[..., PLANES[camera]] = 0
        return boxed

    def run_callbacks(self, event: str) -> None:
        """Continue the names of a resumed run, and track before anyone else sees the results.

        On the fused image trackers estimate camera motion and the appearance of objects.
        """
        if event == "on_predict_start" and self._journal:
            self._bases |= self._journal.names.taken
        if self.args.mode == "track" and event in TRACKING:
            found = event == "on_predict_postprocess_end"
            fused = showing_fused(self.results) if found and trackers_look(self) else nullcontext()
            named = self._sequences.named(self.results) if found and self._sequences else nullcontext()
            with fused, named:
                TRACKING[event](self, self._persist)
            if not found and self._sequences:
                self._sequences.set_rate(self.trackers)
        super().run_callbacks(event)

    def inference(self, im: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Detect in the slices first, then in the whole pairs, whose fusion is kept."""
        slicing = self.slicing.size and not self.args.embed
        self._sliced = [self._look_at_slices(pair) for pair in self._pairs()] if slicing else []
        self._fusion = None
        with self._turn:
            preds = super().inference(im, *args, **kwargs)
        if self._extra:
            self._fusion = dict(zip(self._extra, preds[-len(self._extra) :], strict=True))
        return self._first(preds)

    def _first(self, preds: Any) -> Any:
        """Return the output of an export without its additional outputs, else the whole output."""
        found = preds[: -len(self._extra)] if self._extra else preds
        return found[0] if self._extra and len(found) == 1 else found

    def _pairs(self) -> list[np.ndarray]:
        """Return the pairs of the batch, each (H, W, 4) uint8."""
        pairs = self.batch[1]
        return pairs if isinstance(pairs, list) else list(ops.convert_torch2numpy_batch(pairs))

    def _look_at_slices(self, pair: np.ndarray) -> torch.Tensor:
        """Return the boxes (K, 6) found in the slices of a pair, in its pixels: x1, y1, x2, y2, score, class."""
        height, width = pair.shape[:2]
        windows = self.slicing.windows(height, width)
        found = [torch.zeros(0, 6, device=self.device)]
        for start in range(0, len(windows), self.args.batch):
            some = windows[start : start + self.args.batch]
            slices = [cut(pair, window) for window in some]
            im = self.preprocess(slices)
            with self._turn:
                preds = self._first(self.model(im, augment=self.args.augment))
            for boxes, window, part in zip(self._boxes(preds), some, slices, strict=True):
                boxes[:, :4] = scale_boxes(im.shape[2:], boxes[:, :4], part.shape)
                found.append(place(boxes[:, :6], window, height, width))
        return torch.cat(found)

    def _boxes(self, preds: Any) -> list[torch.Tensor]:
        """Return the boxes (K, 6) of each image of a batch, after the host's NMS."""
        args = self.args
        return non_max_suppression(
            *(preds, args.conf, args.iou, args.classes, args.agnostic_nms),
            max_det=args.max_det,
            end2end=getattr(self.model, "end2end", False),
        )

    def postprocess(self, preds: Any, img: torch.Tensor, orig_imgs: Any, **kwargs: Any) -> list[FusionResults]:
        """Keep the channel order of tensors, which the host would reverse."""
        if not isinstance(orig_imgs, list):
            orig_imgs = list(ops.convert_torch2numpy_batch(orig_imgs))
        return super().postprocess(preds, img, orig_imgs, **kwargs)

    def construct_results(
        self, preds: list[torch.Tensor], img: torch.Tensor, orig_imgs: list[np.ndarray], **kwargs: Any
    ) -> list[FusionResults]:
        """Return results with the pair, its fusion and what the host found.

        Raises:
            ValueError: If a tracker needs features of sliced pairs.
        """
        if self.slicing.size and getattr(self, "_feats", None) is not None:
            raise UserValueError("slice= finds boxes without features: set 'with_reid: False' in the tracker's YAML")
        results = self.paired(super().construct_results(preds, img, orig_imgs, **kwargs), orig_imgs)
        for result, sliced in zip(results, self._sliced, strict=False):
            if len(sliced):
                result.update(boxes=self._merged(result.boxes.data, sliced))
        return results

    def paired(self, hosts: list[Any], pairs: list[np.ndarray]) -> list[FusionResults]:
        """Return the results of the host with the pairs (H, W, 4), their fusion and where they come from."""
        if not self._said:
            self._said = True
            say_what_is_missing(self.options, self._fusion, self.args.save)
        results = []
        origins = getattr(self.dataset, "origins", None) or [Origin()] * len(hosts)  # tensors have no origin
        for i, host in enumerate(hosts):
            fusion = self.fusion_of(i, pairs[i].shape)
            result = FusionResults(pairs[i], fusion, self.options.view, path=host.path, names=host.names)
            for key in result._keys:
                setattr(result, key, getattr(host, key))
            result.infrared_path, result.frame, result.time, result.thermogram = origins[i]
            result.shows_temperatures = self.options.temperatures
            results.append(result)
        return results

    def _merged(self, whole: torch.Tensor, sliced: torch.Tensor) -> torch.Tensor:
        """Return the boxes (K, 6) of a pair and its slices, one per object."""
        boxes = torch.cat((whole, sliced.to(whole)))
        return merge(boxes, self.args.iou, self.args.max_det, self.args.agnostic_nms)

    def fusion_of(self, i: int, shape: tuple[int, ...]) -> dict[str, torch.Tensor] | None:
        """Return the fusion of a pair of the batch, of a shape (H, W, 4); None where an export has none."""
        return None if self._fusion is None else pack_fusion(self._fusion, i)
