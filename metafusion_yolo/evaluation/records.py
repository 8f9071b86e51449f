"""What a validation keeps of every pair until it is over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from metafusion_yolo.evaluation.precision import Image
from metafusion_yolo.evaluation.weights import PairWeights

SURE = 0.25  # score from which a detection counts as one, the host's default in prediction
OVERLAP = 0.5  # least IoU of a detection and the object that it finds


@dataclass
class PairRecord:
    """A pair and what was found in it.

    Attributes:
        file: The visible image.
        condition: As in "night".
        found: Undisturbed ("both") and under each disturbance, the detections and how they match the labels.
        boxes_xyxy: Labelled boxes (K, 4), pixels of the network's input.
        best_scores: Highest score of the detections of its class that overlap each labelled box (K,), 0 for none.
        detections: Detections of at least `SURE` (D, 6): x, y, x, y, score, class.
        quality: Fusion metrics.
        weights: Weights of the infrared camera, None for exports, which do not give them.
    """

    file: str
    condition: str
    found: dict[str, Image]
    boxes_xyxy: np.ndarray
    best_scores: np.ndarray
    detections: np.ndarray
    quality: dict[str, float] = field(default_factory=dict)
    weights: PairWeights | None = None

    @property
    def missed(self) -> np.ndarray:
        """Whether each labelled box was missed (K,), bool."""
        return self.best_scores < SURE
