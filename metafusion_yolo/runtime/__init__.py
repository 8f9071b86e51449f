"""Detection on pairs from an exported ONNX file without PyTorch, with NumPy, OpenCV and ONNX Runtime only.

Examples:
    >>> from metafusion_yolo.runtime import Detector
    >>> detector = Detector("best.onnx")  # doctest: +SKIP
    >>> detections = detector(cv2.imread("visible.jpg"), read_counts("infrared.png"))  # doctest: +SKIP
    >>> cv2.imwrite("boxes.jpg", detections.draw())  # doctest: +SKIP

Live cameras and tracks are in :mod:`metafusion_yolo.runtime.moving`. From the command line:
`python -m metafusion_yolo.runtime best.onnx visible infrared`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from metafusion_yolo.data.planes import PLANES, cameras_on, central, compare_sizes, counts_of, join, rgb_of
from metafusion_yolo.data.registration import Registration, Size, scaling, warp_infrared
from metafusion_yolo.data.steady import Steady
from metafusion_yolo.data.temperatures import Thermogram
from metafusion_yolo.data.thermal import Limits, Thermal
from metafusion_yolo.runtime.detections import Detections
from metafusion_yolo.runtime.heads import MAPS, corners_of, map_of, masks_of, outlines, select, select_oriented
from metafusion_yolo.runtime.reading import frames, read_counts, read_visible
from metafusion_yolo.support.errors import MissingFileError, UserValueError

__all__ = ["Detections", "Detector", "read_counts", "read_visible", "select"]

TASKS = "detect", "segment", "pose", "obb", "classify", *MAPS
GREY = 114  # border of a letterboxed image, as in training


class Detector:
    """A detector of pairs in an ONNX file, whose metadata hold the normalisation and registration of the cameras.

    Args:
        model: ONNX file written by `metafusion export`.
        conf: Lowest score of a detection.
        iou: Largest overlap of two boxes of one class.
        max_det: Largest number of detections in a pair.
        threads: Threads of ONNX Runtime; 0 for all cores.
        providers: Execution providers of ONNX Runtime.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it was not exported by metafusion_yolo, or is damaged, or for a limit beyond 0 to 1.
    """

    def __init__(
        self,
        model: str | Path,
        conf: float = 0.25,
        iou: float = 0.7,
        max_det: int = 300,
        threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        if not Path(model).is_file():
            raise MissingFileError(f"no model '{model}'; give an ONNX file written by metafusion export")
        for name, share in (("conf", conf), ("iou", iou)):
            if not 0 <= share <= 1:
                raise UserValueError(f"'{name}={share}' is invalid, expected at least 0 and at most 1")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.conf, self.iou, self.max_det = conf, iou, max_det
        self._given = str(Path(model).absolute()), conf, iou, max_det, threads, tuple(providers)
        try:
            self.session = onnxruntime.InferenceSession(str(model), options, providers=list(providers))
            metadata = self.session.get_modelmeta().custom_metadata_map
        except Exception as error:  # ONNX Runtime has one class per kind of fault
            raise UserValueError(
                f"'{model}' cannot be loaded ({' '.join(str(error).split())}); export it again"
            ) from error
        if "pair_input" not in metadata:
            raise UserValueError(f"'{model}' does not say how it reads pairs; export it by metafusion export")
        try:
            self._read(metadata, str(model))
        except Exception as error:  # damaged text can raise almost anything
            reason = " ".join(str(error).split())
            raise UserValueError(f"'{model}' has damaged metadata ({reason}); export it again") from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the arguments; a copy loads the file again from the same path."""
        return Detector, self._given, {key: getattr(self, key) for key in ("conf", "iou", "max_det")}

    def _read(self, metadata: dict[str, str], model: str) -> None:
        """Read the metadata of the export, which are Python literals; no code is run."""
        self.task = metadata.get("task", "detect")
        if self.task not in TASKS:
            raise UserValueError(f"'{model}' is for the task '{self.task}', and the runtime knows {', '.join(TASKS)}")
        self.kpt_shape = tuple(ast.literal_eval(metadata.get("kpt_shape", "(0, 0)")))
        values = {name: ast.literal_eval(metadata[name]) for name in ("pair_input", "names", "imgsz", "args")}
        pair_input: dict[str, Any] = values["pair_input"]
        self.names: dict[int, str] = dict(values["names"])
        height, width = map(int, values["imgsz"])
        self.imgsz = height, width
        self.stride = int(metadata["stride"])
        self.dynamic = bool(values["args"].get("dynamic"))
        self.batch = 1 if self.dynamic else int(metadata["batch"])
        self.outputs: list[str] = list(pair_input.get("outputs", ["boxes"]))
        self.thermal = Thermal.from_yaml(pair_input.get("thermal"), model)
        self.registration = Registration.from_yaml(pair_input.get("registration"), model)

    def __call__(
        self,
        visible: np.ndarray,
        infrared: np.ndarray | None,
        file: str | Path | None = None,
        limits: Limits | None = None,
    ) -> Detections:
        """Detect on one pair.

        Args:
            visible: (H, W, 3) uint8, B, G, R, as OpenCV reads it.
            infrared: (h, w) of any depth, as :func:`read_counts` reads it; None if there is no infrared image.
            file: The visible file, whose folder selects the registration of a sequence.
            limits: Counts that become black and white; None to take them from the image.

        Raises:
            TypeError: If one of them is no such array.
            ValueError: If the depth of the infrared image does not fit the normalisation of the export, or its shape
                that of the visible one, and the export does not register it.
        """
        return self.detect_many([(visible, infrared)], [file], limits)[0]

    def detect_many(
        self,
        pairs: Sequence[tuple[np.ndarray, np.ndarray | None]],
        files: Sequence[str | Path | None] | None = None,
        limits: Limits | None = None,
    ) -> list[Detections]:
        """Detect on pairs, those of one size by a single run of the network where the export allows it.

        Args:
            pairs: Visible and infrared image of each; see :meth:`__call__`.
            files: The visible file of each pair, whose folder selects the registration of a sequence.
            limits: Counts that become black and white in all of them; None to take them from each image.

        Returns:
            What was found, in the order of the pairs. An export of a fixed batch takes so many at a time, a dynamic
            one all of a size.

        Raises:
            TypeError, ValueError: As :meth:`__call__`, for one of them.
        """
        files = files or [None] * len(pairs)
        pairs = [(visible, None if infrared is None else counts_of(infrared)) for visible, infrared in pairs]
        boxed = [self.letterbox(self.stack(*pair, file, limits)) for pair, file in zip(pairs, files, strict=True)]
        found: dict[int, Detections] = {}
        for shape in dict.fromkeys(one[0].shape for one in boxed):
            alike = [i for i, one in enumerate(boxed) if one[0].shape == shape]
            together = len(alike) if self.dynamic else self.batch
            for start in range(0, len(alike), together):
                chosen = alike[start : start + together]
                outputs = self._run([boxed[i][0] for i in chosen])
                for place, i in enumerate(chosen):
                    own = [output[place].astype(np.float32) for output in outputs]
                    found[i] = self._found(own, *pairs[i], files[i], boxed[i][1:])
        return [found[i] for i in range(len(pairs))]

    def _run(self, boxed: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of the network for letterboxed pairs of one shape; a fixed batch is filled up."""
        filled = boxed if self.dynamic else boxed + boxed[-1:] * (self.batch - len(boxed))
        planes = np.stack(filled).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        planes /= 255
        inputs = [x.name for x in self.session.get_inputs()]
        feed = {inputs[0]: planes} if len(inputs) == 1 else {"visible": planes[:, :3], "infrared": planes[:, 3:]}
        return self.session.run(None, feed)

    def _found(
        self,
        outputs: list[np.ndarray],
        visible: np.ndarray,
        infrared: np.ndarray | None,
        file: str | Path | None,
        place: tuple[Size, int, int],
    ) -> Detections:
        """Return the detections of a pair, in pixels of the visible image."""
        if self.task == "classify":
            nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
            return Detections(*nothing, self.names, visible, probabilities=outputs[0])
        (boxes, *images), (inner, left, top) = outputs, place
        size = visible.shape[1::-1]
        there = np.divide(size, inner)  # scale from the network's size
        window = slice(top, top + inner[1]), slice(left, left + inner[0])
        prototypes = images.pop(0) if self.task == "segment" else None
        rows, found = self._of_task(boxes, prototypes, there, (left, top), window, size)
        extra = {
            name: cv2.resize(image.transpose(1, 2, 0)[window], size)
            for name, image in zip([name for name in self.outputs[1:] if name != "prototypes"], images, strict=True)
        }
        fused = cv2.cvtColor((extra["fused"] * 255).round().astype(np.uint8), cv2.COLOR_RGB2BGR) if extra else None
        weights = extra["fusion_weights"].transpose(2, 0, 1) if "fusion_weights" in extra else None
        shown = visible if fused is None else fused
        heat = None
        if self.thermal.unit and infrared is not None:
            thermogram = Thermogram(infrared, self.thermal, self._homography(file, size, infrared.shape[1::-1]))
            heat = [thermogram.under(outline) for outline in outlines(rows[:, :4], **found)]
        seen = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), self.names, shown, fused, weights, heat
        return replace(Detections(*seen), **found)

    def _of_task(
        self,
        boxes: np.ndarray,
        prototypes: np.ndarray | None,
        there: np.ndarray,
        border: tuple[int, int],
        window: tuple[slice, slice],
        size: Size,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return boxes (K, 6) in pixels of the visible image, x1, y1, x2, y2, score, class, and what the task adds."""
        extra = {
            "segment": 0 if prototypes is None else len(prototypes),
            "pose": int(np.prod(self.kpt_shape)),
            "obb": 1,
        }
        if self.task in MAPS:
            return np.zeros((0, 6), np.float32), {MAPS[self.task]: map_of(self.task, boxes, window, size)}
        count = extra.get(self.task, 0)
        limits = self.conf, self.iou, self.max_det, boxes.shape[0] == 4 + len(self.names) + count

        def placed(points: np.ndarray) -> np.ndarray:
            return (points - border) * there

        if self.task == "obb":
            rows = select_oriented(boxes, *limits)
            corners = placed(corners_of(rows[:, [0, 1, 2, 3, 6]])).astype(np.float32)
            rows[:, :4] = np.concatenate((corners.min(1), corners.max(1)), 1).clip(0, np.tile(size, 2))
            return rows[:, :6], {"corners": corners}
        rows = select(boxes, *limits, count)
        network = rows[:, :4].copy()
        rows[:, :4] = placed(network.reshape(-1, 2, 2)).reshape(-1, 4).clip(0, np.tile(size, 2))
        if prototypes is not None:
            masks, shown = masks_of(rows[:, 6:], prototypes, network, window, size)
            return rows[shown, :6], {"masks": masks[shown]}
        if self.task == "pose":
            points = rows[:, 6:].reshape(-1, *self.kpt_shape)
            points[..., :2] = placed(points[..., :2]).clip(0, size)  # as in the host
            return rows[:, :6], {"keypoints": points}
        return rows, {}

    def _homography(self, file: str | Path | None, visible: Size, infrared: Size) -> np.ndarray:
        """Return the (3, 3) matrix from infrared to visible pixels, that of a resize where nothing is registered."""
        matrix = self.registration.homography(file, visible, infrared) if self.registration else None
        return scaling(infrared, visible) if matrix is None else matrix

    def stack(
        self, visible: np.ndarray, infrared: np.ndarray | None, file: str | Path | None, limits: Limits | None = None
    ) -> np.ndarray:
        """Return the pair (H, W, 4) uint8, R, G, B, IR, normalised and registered; arguments as for `__call__`."""
        rgb, size = rgb_of(visible), visible.shape[1::-1]
        if infrared is None:
            return join(rgb, np.zeros(visible.shape[:2], np.uint8))
        if problem := self.thermal.problem(infrared):
            raise UserValueError(problem)
        grey = self.thermal.to_uint8(infrared, limits, file)
        matrix = self.registration.homography(file, size, grey.shape[1::-1]) if self.registration else None
        if matrix is not None:
            return join(rgb, warp_infrared(rgb, grey, matrix))
        if problem := compare_sizes(size, grey.shape[1::-1], "the two images")[0]:
            raise UserValueError(problem)
        return join(rgb, grey if grey.shape == visible.shape[:2] else cv2.resize(grey, size))

    def letterbox(self, pair: np.ndarray) -> tuple[np.ndarray, tuple[int, int], int, int]:
        """Return the pair in the network's size, its own (width, height) in it, and the left and top border.

        A dynamic export gets only the border that its stride requires. A classifier sees the middle of the pair, and
        what tells distances sees it stretched.
        """
        if self.task == "classify":
            return central(pair, self.imgsz[0]), self.imgsz[::-1], 0, 0
        height, width = pair.shape[:2]
        gain = min(self.imgsz[0] / height, self.imgsz[1] / width)
        inner = max(round(width * gain), 1), max(round(height * gain), 1)
        if self.task == "depth":
            inner = self.imgsz[1], self.imgsz[0]
        free = [self.imgsz[1] - inner[0], self.imgsz[0] - inner[1]]
        if self.dynamic:
            free = [pixels % self.stride for pixels in free]
        left, top = (round(pixels / 2 - 0.1) for pixels in free)
        right, bottom = (round(pixels / 2 + 0.1) for pixels in free)
        on = cameras_on(pair)
        if inner != (width, height):
            pair = cv2.resize(pair, inner, interpolation=cv2.INTER_LINEAR)
        boxed = cv2.copyMakeBorder(pair, top, bottom, left, right, cv2.BORDER_CONSTANT, value=[GREY] * 4)
        for camera in PLANES.keys() - on:
            boxed[..., PLANES[camera]] = 0
        return boxed, inner, left, top

    def video(self, visible: str | Path, infrared: str | Path) -> Iterator[Detections]:
        """Detect on two videos, paired by frame number, until one of them ends.

        Raises:
            FileNotFoundError: If a video cannot be opened.
        """
        steady = Steady(self.thermal, str(infrared))
        steady.begin(frames(infrared, heat=True, sample=True))
        for colour, heat in zip(frames(visible), frames(infrared, heat=True), strict=False):
            yield self(colour, steady.see(heat), visible, steady.limits)
