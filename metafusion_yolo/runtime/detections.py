"""What was found in a pair: boxes, scores, classes, maps, and the images to draw on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from metafusion_yolo.data.temperatures import Reading
from metafusion_yolo.support.placement import place_labels

FONT = cv2.FONT_HERSHEY_SIMPLEX
RANGE = "min", "mean", "max"  # of distances


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
        masks: (K, H, W) bool, of the task segment.
        keypoints: (K, points, 2 or 3) float32, x and y in pixels, and whether it shows, [0, 1], of the task pose.
        corners: (K, 4, 2) float32 of oriented boxes, which may lie outside; `boxes_xyxy` are the boxes around them.
        probabilities: Of each class (C,), of the task classify, which finds no objects.
        semantic_mask: Class of each pixel (H, W) int32, of the task semantic, which finds none either.
        depth: Distance of each pixel (H, W) float32, metres, of the task depth, likewise.
        tracks: Number of the track of each object (K,) int64, -1 for none; None where nothing is tracked.
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
    masks: np.ndarray | None = None
    keypoints: np.ndarray | None = None
    corners: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    tracks: np.ndarray | None = None
    semantic_mask: np.ndarray | None = None
    depth: np.ndarray | None = None

    @property
    def covered(self) -> list[tuple[int, str, float]]:
        """Number, name and share of each class of pixels that there is; of a single class, without the rest."""
        if self.semantic_mask is None:
            return []
        known = self.names if len(self.names) > 1 else {1: self.names[0]}  # as in the host, where 0 is then the rest
        shares = [(number, name, float((self.semantic_mask == number).mean())) for number, name in known.items()]
        return [row for row in shares if row[2]]

    @property
    def likely(self) -> list[tuple[str, float]]:
        """Name and probability of the five likeliest classes of a classifier, the likeliest first."""
        if self.probabilities is None:
            return []
        order = np.argsort(-self.probabilities, kind="stable")[:5]
        return [(self.names[int(i)], float(self.probabilities[i])) for i in order]

    def draw(self) -> np.ndarray:
        """Return a copy of the image (H, W, 3) uint8, B, G, R, with boxes, names and scores."""
        image = self.image.copy()
        if self.depth is not None:
            return cv2.applyColorMap(
                cv2.normalize(self.depth, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U), cv2.COLORMAP_TURBO
            )
        for number, *_ in self.covered:
            there = self.semantic_mask == number
            image[there] = (image[there] * 0.5 + np.multiply(colour_of(number), 0.5)).astype(np.uint8)
        width = max(round(sum(image.shape[:2]) / 600), 1)
        for i, (name, share) in enumerate(self.likely, start=1):
            corner = (4 * width, 16 * width * i)
            cv2.putText(image, f"{name} {share:.2f}", corner, FONT, 0.45 * width, (0, 255, 255), width, cv2.LINE_AA)
        tracks = [-1] * len(self.scores) if self.tracks is None else self.tracks.tolist()
        labels = [
            f"{f'id:{track} ' * (track >= 0)}{self.names[int(cls)]} {score:.2f}"  # as the host writes it
            for track, score, cls in zip(tracks, self.scores, self.classes, strict=True)
        ]
        fonts = [(0.35 * width * part + 0.1, max(round(width * part), 1)) for part in (1, 0.75)]  # scale, thickness
        sizes = [[cv2.getTextSize(text, FONT, *font)[0] for font in fonts] for text in labels]
        places = place_labels(self.boxes_xyxy, [[(w, h + 6) for w, h in some] for some in sizes], image.shape)
        boxes = self.boxes_xyxy.round().astype(int).tolist()
        for i, (box, cls, text, place) in enumerate(zip(boxes, self.classes, labels, places, strict=True)):
            colour = colour_of(int(cls))
            if self.masks is not None:
                image[self.masks[i]] = (image[self.masks[i]] * 0.5 + np.multiply(colour, 0.5)).astype(np.uint8)
            if self.corners is None:
                cv2.rectangle(image, box[:2], box[2:], colour, width)
            else:
                cv2.polylines(image, [self.corners[i].round().astype(np.int32)], True, colour, width)
            for x, y, *shows in [] if self.keypoints is None else self.keypoints[i].tolist():
                if not shows or shows[0] >= 0.5:
                    cv2.circle(image, (round(x), round(y)), 2 * width, colour, -1)
            if place:
                scale, thickness = fonts[place.choice]
                foot = (place.left, place.bottom - 4)
                cv2.putText(image, text, foot, FONT, scale, colour, thickness, cv2.LINE_AA)
        return image

    def summary(self) -> list[dict[str, Any]]:
        """Return the objects as JSON has them: name, class, confidence, box, and the number of the track if any.

        Of maps: name, class and share of each class of pixels; the shortest, mean and longest distance.
        """
        if self.depth is not None:
            return [{"name": "depth", **{key: round(float(getattr(self.depth, key)()), 3) for key in RANGE}}]
        if self.semantic_mask is not None:
            return [{"name": name, "class": c, "pixel_ratio": round(share, 5)} for c, name, share in self.covered]
        tracks = [None] * len(self.scores) if self.tracks is None else self.tracks.tolist()
        rows = zip(self.classes.tolist(), self.scores.tolist(), self.boxes_xyxy.tolist(), tracks, strict=True)
        return [
            {
                "name": self.names[cls],
                "class": cls,
                "confidence": round(score, 5),
                "box": dict(zip(("x1", "y1", "x2", "y2"), (round(x, 2) for x in box), strict=True)),
                **({} if track in (None, -1) else {"track_id": track}),
            }
            for cls, score, box, track in rows
        ]

    def __str__(self) -> str:
        """Return one line per box: name, score, x1, y1, x2, y2 and, if measured, lowest, mean, highest temperature.

        An oriented box has its four corners instead of x1, y1, x2, y2, and behind these a mask has the number of
        its pixels. Of a classifier it is one line per likely class: name, probability; of classes of pixels their
        shares; of distances the shortest, the mean and the longest, in metres.
        """
        if self.depth is not None:
            return " ".join(["depth", *(f"{getattr(self.depth, key)():.2f}" for key in RANGE)])
        if self.semantic_mask is not None:
            return "\n".join(f"{name} {share:.3f}" for _, name, share in self.covered)
        if self.probabilities is not None:
            return "\n".join(f"{name} {share:.3f}" for name, share in self.likely)
        heat = self.temperatures or [None] * len(self.scores)
        places = self.boxes_xyxy if self.corners is None else self.corners.reshape(-1, 8)
        sizes = [()] * len(places) if self.masks is None else [(mask.sum(),) for mask in self.masks]
        rows = zip(self.classes, self.scores, places, sizes, heat, strict=True)
        told = [(c, s, [*box, *size, *(reading[:3] if reading else ())]) for c, s, box, size, reading in rows]
        return "\n".join(
            f"{self.names[int(c)]} {s:.3f} " + " ".join(f"{x:.1f}" for x in values) for c, s, values in told
        )


def colour_of(number: int) -> list[int]:
    """Return the colour of a class, B, G, R."""
    hue = np.array([[[number * 37 % 180, 255, 255]]], np.uint8)
    return cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
