"""Answers of the server, as in its OpenAPI description, made from detections."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, Field

from metafusion_yolo.serve.engines import Found

QUALITY = 92  # of JPEG
LIKELY = 5  # classes of a classifier
MOST = 1000  # boxes of a pair


class Box(BaseModel):
    """Corners in pixels of the visible image."""

    x1: float
    y1: float
    x2: float
    y2: float


class Place(BaseModel):
    """A point in pixels of the visible image."""

    x: float
    y: float


class Temperature(BaseModel):
    """What the infrared camera measures within an object."""

    min: float
    mean: float
    max: float
    contrast: float | None = Field(description="mean minus the median of what is around the object; null if nothing is")
    hot: Place = Field(description="its hottest pixel")
    unit: str = Field(description="celsius or kelvin")


class Detection(BaseModel):
    """One object, as `predictions.json` has it."""

    name: str = Field(description="name of the class")
    number: int = Field(alias="class", description="number of the class")
    confidence: float = Field(description="score, 0 to 1")
    box: Box
    infrared_weight: float | None = Field(description="mean share of the infrared camera in it, 0 to 1")
    outline: list[tuple[float, float]] | None = Field(
        default=None, description="of the mask, or the four corners of the oriented box, pixels; null for upright boxes"
    )
    keypoints: list[list[float]] | None = Field(
        default=None, description="x and y of each in pixels, and whether it shows, 0 to 1; null for other tasks"
    )
    temperature: Temperature | None = Field(
        default=None, description="null where the infrared camera does not measure, or does not see the object"
    )


class Likely(BaseModel):
    """A class of the whole pair."""

    name: str
    number: int = Field(alias="class", description="number of the class")
    confidence: float = Field(description="probability, 0 to 1")


class Answer(BaseModel):
    """What was found in a pair."""

    width: int
    height: int
    infrared_weight: float | None = Field(description="mean share of the infrared camera; null where not exported")
    detections: list[Detection]
    classes: list[Likely] = Field(default=[], description="of a classifier, which finds no objects: the likeliest five")
    images: dict[str, str] = Field(description="by name, the requested ones that exist: PNG or JPEG in base64")
    note: str = Field(default="", description="what to know of the files; empty if nothing")


class Health(BaseModel):
    """Whether the server can answer."""

    status: Literal["loading", "ready"]
    model: str
    names: dict[int, str] = Field(description="classes by number; empty while the model is loading")
    waiting: int = Field(description="requests that wait")


class Problem(BaseModel):
    """Why there is no answer."""

    error: str


class Labelled(BaseModel):
    """A labelled object: corners as shares of width and height, 0 to 1."""

    number: int = Field(alias="class", ge=0, description="number of the class")
    box: Box
    shown_in: Literal["", "both", "visible", "infrared"] = Field(default="", description="the camera that shows it")


class Labels(BaseModel):
    """The new labels of a pair."""

    stamp: str = Field(max_length=64, description="of the labels that were corrected")
    labels: list[Labelled] = Field(max_length=MOST)


class Item(BaseModel):
    """A pair in the list."""

    name: str
    part: str
    condition: str | None = Field(description="such as night; null until predictions were made")
    objects: list[tuple[int, float, bool | None, str]] = Field(
        description="class, size in pixels, whether it was missed, the camera that shows it"
    )
    wrong: list[tuple[str, float]] | None = Field(description="name and score of detections of no object")
    share: float | None = Field(description="mean share of the infrared camera")
    problem: str


class PairsNow(BaseModel):
    """All pairs, and the progress of the predictions."""

    data: str
    names: dict[int, str]
    pairs: list[Item]
    running: str = Field(description="the part on which predictions are made; empty if on none")


class PairView(BaseModel):
    """A pair with its labels and detections."""

    name: str
    labels: list[Labelled]
    stamp: str
    problem: str = Field(description="why its labels cannot be corrected; empty if they can")
    answer: Answer


def answer_of(
    found: Found, names: dict[int, str], conf: float, views: Sequence[str], suffix: str, note: str = ""
) -> Answer:
    """Return the answer to a request.

    Args:
        found: What was found.
        names: Names of the classes.
        conf: Lowest score.
        views: Images to add; those that the model does not make are left out.
        suffix: Their format, "png" or "jpeg".
        note: What to know of the files.
    """
    places = None if found.outlines is None else [outline.round(2).tolist() for outline in found.outlines]
    points = None if found.keypoints is None else found.keypoints.round(2).tolist()
    rows = [
        Detection.model_validate(
            {
                "name": names[int(cls)],
                "class": int(cls),
                "confidence": round(float(score), 5),
                "box": dict(zip(Box.model_fields, (round(float(v), 2) for v in box), strict=True)),
                "infrared_weight": None if found.shares is None else round(float(found.shares[i]), 5),
                "outline": places and places[i],
                "keypoints": points and points[i],
                "temperature": found.temperatures and found.temperatures[i],
            }
        )
        for i, (box, score, cls) in enumerate(zip(found.boxes_xyxy, found.scores, found.classes, strict=True))
        if score >= conf
    ]
    height, width = found.size
    images = {view: encoded(found.images[view](), suffix) for view in views if view in found.images}
    share = None if found.share is None else round(found.share, 5)
    chances = np.zeros(0) if found.probabilities is None else found.probabilities
    classes = [
        Likely.model_validate({"name": names[i], "class": i, "confidence": round(float(chances[i]), 5)})
        for i in np.argsort(-chances, kind="stable")[:LIKELY].tolist()
    ]
    return Answer(
        width=width,
        height=height,
        infrared_weight=share,
        detections=rows,
        classes=classes,
        images=images,
        note=note,
    )


def plain(visible: np.ndarray, infrared: np.ndarray) -> Answer:
    """Return the answer before a model is loaded: the images of the cameras.

    Args:
        visible: (H, W, 3) uint8, B, G, R.
        infrared: (h, w) uint8.
    """
    images = {"visible": visible, "infrared": infrared}
    shown = {name: encoded(np.ascontiguousarray(image), "jpeg") for name, image in images.items()}
    height, width = visible.shape[:2]
    return Answer(width=width, height=height, infrared_weight=None, detections=[], images=shown)


def encoded(image: np.ndarray, suffix: str) -> str:
    """Return an image (H, W) or (H, W, 3) uint8, B, G, R, in base64."""
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, 1] if suffix == "png" else [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return base64.b64encode(cv2.imencode(f".{suffix}", image, parameters)[1].tobytes()).decode()
