"""Fused images for people: no boxes, no letterbox, any size. `metafusion fuse`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from ultralytics.cfg import get_cfg
from ultralytics.utils import LOGGER, TQDM
from ultralytics.utils.torch_utils import select_device

from metafusion_yolo.data.pairs import PairError, listed
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource, tensor_pairs
from metafusion_yolo.data.sources.loaders import load_pairs
from metafusion_yolo.engine.arguments import check_arguments
from metafusion_yolo.engine.predict.classical import RULES, fuse_pair
from metafusion_yolo.engine.predict.journal import Journal
from metafusion_yolo.engine.predict.outputs import run_folder
from metafusion_yolo.engine.predict.results import compose_fused
from metafusion_yolo.engine.predict.writers import Names, PictureFolder, written_rate
from metafusion_yolo.nn.fusion import input_size
from metafusion_yolo.options import Fuse, Resume, Source, Sync
from metafusion_yolo.options.scale import Cluster
from metafusion_yolo.support.cluster import each, in_blocks, share
from metafusion_yolo.support.drawing import to_uint8
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.resources import find_data_yaml

SHORT = {"max": "maximum"}  # as the literature abbreviates it


def fuse_images(
    source: Any,
    infrared: Any = BY_RULE,
    method: str = Fuse.method,
    net: nn.Module | None = None,
    rig: Rig | None = None,
    **kwargs: Any,
) -> Iterator[Path]:
    """Write fused images at the size of the visible ones, and yield the files as they are done.

    Args:
        source: As for :meth:`MetaFusionYOLO.predict`.
        infrared: As there.
        method: "learned", or a classical rule, which needs no `net`: "average", "maximum" (or "max"), "laplacian".
        net: The fusion front-end, for "learned".
        rig: The cameras; None for pairs that are registered already.
        **kwargs: Fields of :class:`~metafusion_yolo.options.Source`, :class:`~metafusion_yolo.options.Sync`,
            :class:`~metafusion_yolo.options.Resume` and, for image files that all workers see under the same paths,
            :class:`~metafusion_yolo.options.scale.Cluster`. The host's arguments: `imgsz`, longest side in pixels of
            the front-end's input; `device`; `data`, a data-set YAML that describes the cameras; `vid_stride`;
            `project`, `name` and `exist_ok`, where to write; `verbose`, whether to show the progress.

    Returns:
        The files as they are done: one PNG file per pair, earlier ones first, or one MP4 file per video at its end.

    Raises:
        ValueError: If the method is unknown, the run cannot be resumed, or there is no front-end.
        PairError: If the sources do not form pairs.
    """
    Fuse(method)
    read, timing, cluster, resume = Source.of(kwargs), Sync.of(kwargs), Cluster.of(kwargs), Resume.of(kwargs).resume
    method = SHORT.get(method, method)
    if net is None and method not in RULES:
        raise UserValueError(f"method={method} needs model=; the methods that do not are {', '.join(RULES)}")
    check_arguments("predict", kwargs)
    args = get_cfg(overrides={"task": "detect", "mode": "predict", "name": "fuse", **kwargs})
    args.exist_ok = args.exist_ok or resume or bool(cluster.part)
    make = partial(_fusion, method, net, args)
    if args.data:
        rig = Rig.of_file(find_data_yaml(args.data))
    if isinstance(source, torch.Tensor):
        source, infrared, rig = _arrays(tensor_pairs(source, infrared)), BY_RULE, None
    paired = PairedSource(source, infrared, read.layout, read.on_error, sync=timing, align=read.align)
    loader = load_pairs(paired, rig or Rig(), vid_stride=args.vid_stride, in_order=args.stream_buffer)
    fps = written_rate(loader, args.vid_stride)
    of_files = getattr(loader, "of_files", False)
    if resume and not of_files:
        raise UserValueError("resume=True is for image files; videos, cameras and images in memory start over")
    if cluster.part or cluster.engine == "ray":
        if not of_files or (cluster.part and resume):
            raise UserValueError(
                "engine=ray and part= are for image files, and a part is always done as a whole, without resume=True"
            )
        return _write_shared(loader, make, args, resume, method, cluster)
    return _write_fused(loader, make(None), args, resume, method, fps)


def _fusion(method: str, net: nn.Module | None, args: Any, device: str | int | None) -> Any:
    """Return the function that fuses a pair."""
    if net is None or method in RULES:
        return partial(fuse_pair, rule=method)
    return LearnedFusion(net, args.imgsz, args.device if device is None else device)


def _write_shared(loader: Any, make: Any, args: Any, resume: bool, method: str, cluster: Cluster) -> Iterator[Path]:
    """Write the fused images of files in blocks, and yield the files as the blocks are done."""
    save_dir, finished, skipped = run_folder(args), False, []
    journal = None if cluster.part else Journal(save_dir, {"method": method, "imgsz": args.imgsz}, resume)
    names, done_before, todo = Names(), Counter(journal.done if journal else ()), []
    for visible, infrared in loader.pairs:  # named in their order, in which blocks do not end
        name = names.of_image(visible)
        if done_before[visible] > 0:
            done_before[visible] -= 1
            yield save_dir / f"{name}.png"
        else:
            todo.append((visible, infrared, name))
    blocks = [*in_blocks(share(todo, cluster.part))]
    work = partial(_FusedBlock, make, loader.reader, save_dir, loader.on_error)
    try:
        for number, done in each(work, blocks, cluster.engine, cluster.workers, method == "learned"):
            for (visible, _, _), (file, problem) in zip(blocks[number], done, strict=True):
                if problem:
                    skipped.append(problem)
                    continue
                if journal:
                    journal.add(visible)
                yield file
        finished = True
    finally:
        if journal:
            journal.close(finished)
        if skipped:
            LOGGER.warning(f"{len(skipped)} pairs skipped:{listed(skipped)}")


class _FusedBlock:
    """Fuses blocks of pairs of files, and writes the images."""

    def __init__(self, make: Any, reader: PairReader, folder: Path, on_error: str, device: str | int | None) -> None:
        self._fuse, self._reader, self._folder, self._on_error = make(device), reader, PictureFolder(folder), on_error

    def __call__(self, block: Sequence[tuple[str, str | None, str]]) -> list[tuple[Path, str]]:
        return [self._one(*pair) for pair in block]

    def _one(self, visible: str, infrared: str | None, name: str) -> tuple[Path, str]:
        """Return the file of a fused image, or why there is none."""
        try:
            pair = self._reader.read(visible, infrared)
        except PairError as error:
            if self._on_error == "stop":
                raise
            return Path(), str(error)
        return self._folder.add(name, np.ascontiguousarray(self._fuse(pair)[..., ::-1])), ""


def _write_fused(loader: Any, fuse: Any, args: Any, resume: bool, method: str, fps: float | None) -> Iterator[Path]:
    """Write the fused images of a loader, and yield the files as they are done."""
    of_files = getattr(loader, "of_files", False)
    save_dir, finished = run_folder(args), False
    journal = Journal(save_dir, {"method": method, "imgsz": args.imgsz}, resume) if of_files else None
    folder, names = PictureFolder(save_dir), Names()
    videos: dict[Path, None] = {}
    try:
        if journal:
            loader.leave_out(journal.done)
            yield from [folder.folder / f"{names.of_image(path)}.png" for path in journal.done]
        for paths, pairs, _ in TQDM(
            (batch for batch in loader), total=_length(loader), desc="fusing", disable=not args.verbose
        ):
            for path, pair in zip(paths, pairs, strict=True):
                name = names.of_image(path) if fps is None else names.of_video(path)
                file = folder.add(name, np.ascontiguousarray(fuse(pair)[..., ::-1]), fps)
                if journal:
                    journal.add(path)
                if fps is None:
                    yield file
                else:
                    videos[file] = None
        finished = True
    finally:
        folder.close()
        loader.close()
        if journal:
            journal.close(finished)
    yield from videos


class LearnedFusion:
    """Fuse pairs one by one with the front-end of a model.

    The whole pair is resized for the front-end to sides that are multiples of 32, so there is no border; its prediction
    is applied to the pixels of the full image.

    Args:
        net: The front-end.
        imgsz: Longest side in pixels of the front-end's input.
        device: As for the host; None for the first GPU, or the CPU.
    """

    def __init__(self, net: nn.Module, imgsz: int | list[int], device: Any = None) -> None:
        self.device = select_device(device, verbose=False)
        self.net = deepcopy(net).to(self.device).float().eval()
        self.longest = imgsz if isinstance(imgsz, int) else max(imgsz)

    @torch.inference_mode()
    def __call__(self, pair: np.ndarray) -> np.ndarray:
        """Return the fused image (H, W, 3) uint8, R, G, B, of a pair (H, W, 4) uint8, R, G, B, IR."""
        planes = torch.from_numpy(pair).to(self.device).permute(2, 0, 1)[None].float() / 255
        height, width = pair.shape[:2]
        size = input_size(height, width, self.longest)
        small = F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)
        coefficients = self.net(small.clamp(0, 1)).coefficients
        coefficients = F.interpolate(coefficients, pair.shape[:2], mode="bilinear", align_corners=False)
        return compose_fused(planes, coefficients)


def _length(loader: Any) -> int | None:
    """Return the number of pairs; None for generators and live cameras."""
    if loader.mode == "video":
        return loader.frames
    return None if loader.mode == "stream" or loader.nf == sys.maxsize else loader.nf


def _arrays(pairs: torch.Tensor) -> list[np.ndarray]:
    """Return the pairs of a tensor (B, 4, H, W), [0, 1], as (H, W, 4) uint8."""
    pairs = pairs if pairs.ndim == 4 else pairs[None]
    return list(to_uint8(pairs))
