"""Which camera the detector reads better before training."""

from __future__ import annotations

from typing import Any

import torch
from ultralytics.data.augment import LetterBox

from metafusion_yolo.data.dataset import PairedYOLODataset
from metafusion_yolo.data.pairs import read_pair
from metafusion_yolo.nn.tasks import FusionDetectionModel

SAMPLES = 48
MARGIN = 0.02  # relative difference of the two losses below which neither camera is favoured


def stronger_camera(model: FusionDetectionModel, dataset: PairedYOLODataset, device: torch.device) -> str:
    """Compare the detection loss of each camera alone on evenly spaced training pairs, before any training.

    A detector pretrained on visible images reads some cameras better than others; starting the weight maps there
    gives it images it can read from the first step. Deterministic, so all ranks of a multi-GPU run agree.

    Source: this project.

    Args:
        model: The model to be trained, its detector pretrained or not.
        dataset: Training pairs with labels.
        device: Where the model is.

    Returns:
        "visible", "infrared", or "even" if the losses are within 2 % of each other.
    """
    step = max(1, len(dataset) // SAMPLES)
    batches = [_batch(dataset, i, device) for i in range(0, len(dataset), step)]
    training = model.training
    model.eval()
    with torch.no_grad():
        visible = sum(_loss(model, batch, batch["img"][:, :3]) for batch in batches)
        infrared = sum(_loss(model, batch, batch["img"][:, 3:].expand(-1, 3, -1, -1)) for batch in batches)
    model.train(training)
    if abs(visible - infrared) <= MARGIN * min(visible, infrared):
        return "even"
    return "visible" if visible < infrared else "infrared"


def _batch(dataset: PairedYOLODataset, i: int, device: torch.device) -> dict[str, Any]:
    """Return one letterboxed training pair, not augmented, as a batch."""
    label = dataset.labels[i]
    file = label["im_file"]
    pair = read_pair(file, dataset.partners[file])
    height, width = pair.shape[:2]
    size = dataset.imgsz
    boxed = LetterBox((size, size))(image=pair)
    gain = size / max(height, width)
    scale = torch.tensor([width, height, width, height]) * gain / size
    shift = torch.tensor([1 - scale[0], 1 - scale[1], 0, 0]) / 2
    boxes = torch.from_numpy(label["bboxes"]) * scale + shift
    return {
        "img": torch.from_numpy(boxed).permute(2, 0, 1)[None].float().to(device) / 255,
        "cls": torch.from_numpy(label["cls"]).to(device),
        "bboxes": boxes.to(device),
        "batch_idx": torch.zeros(len(boxes), device=device),
    }


def _loss(model: FusionDetectionModel, batch: dict[str, Any], image: torch.Tensor) -> float:
    """Return the detection loss of one image that counts as fused."""
    return float(model.loss({**batch, "img": image})[0].sum())
