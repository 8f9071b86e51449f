"""Detection on pairs from an exported ONNX file without PyTorch, with NumPy, OpenCV and ONNX Runtime only.

Example:
    >>> from metafusion_yolo.runtime import Detector
    >>> detector = Detector("best.onnx")  # doctest: +SKIP
    >>> detections = detector(cv2.imread("visible.jpg"), read_counts("infrared.png"))  # doctest: +SKIP
    >>> cv2.imwrite("boxes.jpg", detections.draw())  # doctest: +SKIP

From the command line: `python -m metafusion_yolo.runtime best.onnx visible infrared`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from metafusion_yolo.data.planes import PLANES, cameras_on, join
from metafusion_yolo.data.registration import Registration, Size, scaling, warp_infrared
from metafusion_yolo.data.temperatures import Reading, Thermogram
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE, Limits, Thermal
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.placement import place_labels
from metafusion_yolo.support.sampling import evenly

FONT = cv2.FONT_HERSHEY_SIMPLEX
GREY = 114  # border of a letterboxed image, as in training


@dataclass
class Detections:
    """The K objects found in one pair.

    Attributes:
        boxes_xyxy: (K, 4) float32, pixels of the visible image.
        scores: (K,) float32, [0, 1], highest first.
        classes: (K,) int64.
        names: Name of each class.
        image: Image to draw on, (H, W, 3) uint8, B, G, R: the fused image if the export has it, else the visible one.
        fused: Fused image (H, W, 3) uint8, B, G, R; None for exports without it.
        fusion_weights: Share of each camera (2, H, W) float32, visible first; None for exports without it.
        temperatures: Of each box, in the `unit` of the data set; None where the camera does not measure.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: dict[int, str]
    image: np.ndarray
    fused: np.ndarray | None = None
    fusion_weights: np.ndarray | None = None
    temperatures: list[Reading | None] | None = None

    def draw(self) -> np.ndarray:
        """Return a copy of the image (H, W, 3) uint8, B, G, R, with boxes, names and scores."""
        image = self.image.copy()
        width = max(round(sum(image.shape[:2]) / 600), 1)
        labels = [f"{self.names[int(cls)]} {score:.2f}" for score, cls in zip(self.scores, self.classes, strict=True)]
        fonts = [(0.35 * width * part + 0.1, max(round(width * part), 1)) for part in (1, 0.75)]  # scale, thickness
        sizes = [[cv2.getTextSize(text, FONT, *font)[0] for font in fonts] for text in labels]
        places = place_labels(self.boxes_xyxy, [[(w, h + 6) for w, h in some] for some in sizes], image.shape)
        boxes = self.boxes_xyxy.round().astype(int).tolist()
        for box, cls, text, place in zip(boxes, self.classes, labels, places, strict=True):
            hue = np.array([[[int(cls) * 37 % 180, 255, 255]]], np.uint8)
            colour = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
            cv2.rectangle(image, box[:2], box[2:], colour, width)
            if place:
                scale, thickness = fonts[place.choice]
                foot = (place.left, place.bottom - 4)
                cv2.putText(image, text, foot, FONT, scale, colour, thickness, cv2.LINE_AA)
        return image

    def __str__(self) -> str:
        """Return one line per box: name, score, x1, y1, x2, y2 and, if measured, lowest, mean, highest temperature."""
        heat = self.temperatures or [None] * len(self.scores)
        rows = zip(self.classes, self.scores, self.boxes_xyxy, heat, strict=True)
        told = [(c, s, [*box, *(reading[:3] if reading else ())]) for c, s, box, reading in rows]
        return "\n".join(
            f"{self.names[int(c)]} {s:.3f} " + " ".join(f"{x:.1f}" for x in values) for c, s, values in told
        )


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
        ValueError: If it was not exported by metafusion_yolo, or is damaged.
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
        """Pickle as the arguments; the file is loaded again where the copy arrives, from the same path."""
        return Detector, self._given, {key: getattr(self, key) for key in ("conf", "iou", "max_det")}

    def _read(self, metadata: dict[str, str], model: str) -> None:
        """Read the metadata of the export, which are Python literals; no code is run."""
        if (task := metadata.get("task", "detect")) != "detect":
            raise UserValueError(f"'{model}' is of the task '{task}', and the runtime finds boxes; use metafusion_yolo")
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
            ValueError: If the depth of the infrared image does not fit the normalisation of the export.
        """
        pair = self.stack(visible, infrared, file, limits)
        boxed, inner, left, top = self.letterbox(pair)
        planes = np.ascontiguousarray(boxed.transpose(2, 0, 1)[None].repeat(self.batch, 0), np.float32) / 255
        inputs = [x.name for x in self.session.get_inputs()]
        feed = {inputs[0]: planes} if len(inputs) == 1 else {"visible": planes[:, :3], "infrared": planes[:, 3:]}
        boxes, *images = (output[0].astype(np.float32) for output in self.session.run(None, feed))
        rows = select(boxes, self.conf, self.iou, self.max_det, raw=boxes.shape[0] == 4 + len(self.names))
        size = visible.shape[1::-1]
        there = np.tile(np.divide(size, inner), 2)  # scale from the network's size
        rows[:, :4] = ((rows[:, :4] - np.tile((left, top), 2)) * there).clip(0, np.tile(size, 2))
        extra = {
            name: cv2.resize(image.transpose(1, 2, 0)[top : top + inner[1], left : left + inner[0]], size)
            for name, image in zip(self.outputs[1:], images, strict=True)
        }
        fused = cv2.cvtColor((extra["fused"] * 255).round().astype(np.uint8), cv2.COLOR_RGB2BGR) if extra else None
        weights = extra["fusion_weights"].transpose(2, 0, 1) if "fusion_weights" in extra else None
        shown = visible if fused is None else fused
        heat = None
        if self.thermal.unit and infrared is not None:
            thermogram = Thermogram(infrared, self.thermal, self._homography(file, size, infrared.shape[1::-1]))
            heat = [thermogram.under(box[[[0, 1], [2, 1], [2, 3], [0, 3]]]) for box in rows[:, :4]]
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), self.names, shown, fused, weights, heat)

    def _homography(self, file: str | Path | None, visible: Size, infrared: Size) -> np.ndarray:
        """Return the (3, 3) matrix from infrared to visible pixels, that of a resize where nothing is registered."""
        matrix = self.registration.homography(file, visible, infrared) if self.registration else None
        return scaling(infrared, visible) if matrix is None else matrix

    def stack(
        self, visible: np.ndarray, infrared: np.ndarray | None, file: str | Path | None, limits: Limits | None = None
    ) -> np.ndarray:
        """Return the pair (H, W, 4) uint8, R, G, B, IR, normalised and registered; arguments as for `__call__`."""
        rgb, size = cv2.cvtColor(visible, cv2.COLOR_BGR2RGB), visible.shape[1::-1]
        if infrared is None:
            return join(rgb, np.zeros(visible.shape[:2], np.uint8))
        if problem := self.thermal.problem(infrared):
            raise UserValueError(problem)
        grey = self.thermal.to_uint8(infrared, limits, file)
        matrix = self.registration.homography(file, size, grey.shape[1::-1]) if self.registration else None
        if matrix is not None:
            return join(rgb, warp_infrared(rgb, grey, matrix))
        return join(rgb, grey if grey.shape == visible.shape[:2] else cv2.resize(grey, size))

    def letterbox(self, pair: np.ndarray) -> tuple[np.ndarray, tuple[int, int], int, int]:
        """Return the pair in the network's size, its own (width, height) in it, and the left and top border.

        A dynamic export gets only the border that its stride requires.
        """
        height, width = pair.shape[:2]
        gain = min(self.imgsz[0] / height, self.imgsz[1] / width)
        inner = max(round(width * gain), 1), max(round(height * gain), 1)
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
        limits = self.thermal.limits_of(frame for frame in _frames(infrared, sample=True))
        for colour, heat in zip(_frames(visible), _frames(infrared), strict=False):
            yield self(colour, cv2.cvtColor(heat, cv2.COLOR_BGR2GRAY), visible, limits)


def select(output: np.ndarray, conf: float, iou: float, max_det: int, raw: bool) -> np.ndarray:
    """Return the detections in the output of a network, highest score first.

    Args:
        output: (4 + C, N) centre, width, height and the score of each class (`raw`), or (N, 6) x1, y1, x2, y2, score
            and class of an export that includes NMS.
        conf: Lowest score.
        iou: Largest overlap of two boxes of one class.
        max_det: Largest number of detections.
        raw: Whether the output is the first of these.

    Returns:
        (K, 6) float32: x1, y1, x2, y2, score, class.
    """
    if not raw:
        return output[output[:, 4] > conf][:max_det]
    scores, classes = output[4:].max(0), output[4:].argmax(0)
    kept = scores > conf
    centre, size, scores, classes = output[:2, kept].T, output[2:4, kept].T, scores[kept], classes[kept]
    corner = centre - size / 2
    boxes: Any = np.hstack((corner, size))  # OpenCV's type hints only allow lists
    order = np.array(cv2.dnn.NMSBoxesBatched(boxes, scores, classes.astype(np.int32), conf, iou), int)[:max_det]
    return np.hstack((corner, corner + size, scores[:, None], classes[:, None])).astype(np.float32)[order]


def read_counts(file: str | Path) -> np.ndarray:
    """Read an infrared image (h, w) in the depth of its file; colours become their luminance.

    Raises:
        FileNotFoundError: If the file does not exist, or is not an image.
        ValueError: If an `.npy` file is damaged.
    """
    if Path(file).suffix == ".npy":
        return np.load(file, allow_pickle=False)
    image = cv2.imread(str(file), cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise MissingFileError(f"'{file}' cannot be read as an image; give the infrared partner of the visible image")
    return image


def read_visible(file: str | Path) -> np.ndarray:
    """Read a visible image (H, W, 3) uint8, B, G, R.

    Raises:
        FileNotFoundError: If the file does not exist, or is not an image.
    """
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise MissingFileError(f"'{file}' cannot be read as an image; give a visible image, a folder or a video")
    return image


def _frames(file: str | Path, sample: bool = False) -> Iterator[np.ndarray]:
    """Yield all frames (H, W, 3) of a video, or some of them in grey (H, W)."""
    capture = cv2.VideoCapture(str(file))
    if not capture.isOpened():
        raise MissingFileError(f"'{file}' cannot be opened as a video")
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    numbers = evenly(range(count), SEQUENCE_SAMPLE) if sample else None
    try:
        while numbers is None:
            read, frame = capture.read()
            if not read:
                return
            yield frame
        for number in numbers:
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            read, frame = capture.read()
            if read:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    finally:
        capture.release()
