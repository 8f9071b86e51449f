"""Self-training: pairs without labels, labelled by a detector of the same fold, as more pairs to train with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from torch import nn
from ultralytics.data.utils import img2label_paths
from ultralytics.utils.ops import xyxy2xywhn

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.folds import blocks_of
from metafusion_yolo.compare.training import evaluate
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.listing import list_images, read_pair_rows
from metafusion_yolo.data.pairs import expected_by_rule
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.support.files import below, link_below, original

SURE = 0.5  # least score of a box that becomes a label


def with_pseudo_labels(setting: Setting, data: Path, teacher: nn.Module, host: dict[str, Any]) -> Path:
    """Return a YAML whose `train:` has the pairs of `unlabelled:` too, with the boxes that a teacher is sure of.

    Pairs from a block of neighbouring frames with a test pair are left out, and so are those in which the teacher is
    sure of nothing.

    Args:
        setting: What all rows share; the YAML of its data set names the folder, `unlabelled:`.
        data: The YAML of a linked fold.
        teacher: A detector of pairs, trained on that fold.
        host: The host's arguments of an evaluation.
    """
    folder, fold = data.parent, yaml.safe_load(data.read_text(encoding="utf-8"))
    listed = {split: read_pair_rows(folder / fold[split]) for split in ("train", "val")}
    tested = [Path(original(folder, visible)) for visible, _, _ in listed["val"]]
    unlabelled = unlabelled_pairs(setting)
    blocks = blocks_of([*tested, *unlabelled])
    chosen = [image for block in blocks if not {*block} & {*tested} for image in block]
    for image in chosen:
        for file in (image, unlabelled[image]):
            link_below(folder, file)
    links = [below(folder, image) for image in chosen]
    (folder / "unlabelled.txt").write_text("".join(f"{link}\n" for link in links), encoding="utf-8")
    question = folder / "question.yaml"
    question.write_text(yaml.safe_dump({**fold, "val": "unlabelled.txt"}), encoding="utf-8")
    found = evaluate(teacher, {**host, "data": str(question)}, "both").recorded
    sure = {link: [box for box in image["boxes"] if box[4] >= SURE] for link, image in found.items()}
    sure = {link: boxes for link, boxes in sure.items() if boxes}
    for link, boxes in sure.items():
        write_label(link, np.array(boxes))
    (folder / "more.txt").write_text("".join(f"{link}\n" for link in sure), encoding="utf-8")
    answer = folder / "more.yaml"
    answer.write_text(yaml.safe_dump({**fold, "train": [fold["train"], *["more.txt"] * bool(sure)]}), encoding="utf-8")
    print(f"{len(sure)} of {len(unlabelled)} pairs without labels join {len(listed['train'])}")
    return answer


def unlabelled_pairs(setting: Setting) -> dict[Path, Path]:
    """Return the infrared image of each visible one of `unlabelled:`."""
    data = describe(setting.data)
    if "unlabelled" not in data:
        raise ValueError(f"'{setting.data}' names no pairs without labels; add 'unlabelled:', their folder")
    images = [str(Path(f).absolute()) for f in list_images(str(Path(data["path"]) / data["unlabelled"]))]
    partners, _ = find_partners(images, expected_by_rule(Rig.from_yaml(data, setting.data).pairing), False)
    return {Path(visible): Path(infrared) for visible, infrared in partners.items()}


def write_label(image: str, boxes: np.ndarray) -> None:
    """Write boxes (K, 6) in pixels, x y x y score class, as the host's label of an image."""
    height, width = cv2.imread(image).shape[:2]
    rows = np.column_stack((boxes[:, 5], xyxy2xywhn(boxes[:, :4], width, height, clip=True)))
    label = Path(img2label_paths([image])[0])
    label.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(label, rows, fmt=["%d", *["%.6f"] * 4])
