"""The scenes of docs/gallery.md and the picture of the README: rendered, detected in every image, drawn.

python examples/gallery.py --weights scenes.pt      # a detector of person and car, as `metafusion train` leaves it
python examples/gallery.py --weights scenes.pt --seeds 60  # look for telling scenes instead: what is found in each
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from jinja2 import Template
from torchvision.ops import box_iou

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.checkpoints import load_checkpoint
from metafusion_yolo.evaluation.corruptions import corrupt
from metafusion_yolo.nn.rules import PixelRule
from metafusion_yolo.nn.tasks import fused_form
from metafusion_yolo.prepare.synthetic import NAMES, SyntheticPair, render_pair
from metafusion_yolo.support.drawing import color_weights, grid, titled

DOCS = Path(__file__).parents[1] / "docs"
SIZE, SHOWN = 640, 480  # pixels wide, rendered and in the page
VIEWS = "visible", "infrared", "average", "maximum", "fused"
FOUND, FALSE, MISSED = (90, 220, 60), (0, 150, 255), (60, 60, 235)  # B, G, R


class Scene(NamedTuple):
    """A scene of the gallery: seed of the renderer, and what is done to one camera, a key of `KINDS`."""

    title: str
    seed: int
    spoilt: str = ""


SCENES = (
    Scene("Evening", 9),
    Scene("The same in darkness", 9, "night"),
    Scene("The same with glare", 9, "glare"),
    Scene("Fog", 12, "fog"),
    Scene("Washed-out thermal image", 21, "washed out"),
    Scene("Part of the thermal image lost", 9, "lost region"),
    Scene("A night street", 22),
)
README = tuple(scene.title for scene in SCENES[:3])
COLUMNS = {
    "visible": "visible",
    "infrared": "infrared",
    "fused": "fused, with what is found",
    "weights": "where the infrared camera counts",
}


class Found(NamedTuple):
    """What is found in one image: how many objects, how many other boxes, the image with them, and the weights."""

    right: int
    wrong: int
    picture: np.ndarray
    weights: np.ndarray | None


def main() -> None:
    """Write pictures and page, or a line a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="a detector that knows persons and cars")
    parser.add_argument("--about", default="", help="sentence about the detector, for the page")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--conf", type=float, default=0.25)
    parser.add_argument("--try-out", nargs="+", metavar="SEED[:KIND]", help="tell what is found in these instead")
    args = parser.parse_args()
    models = {view: model_of(args.weights, view) for view in VIEWS}
    for wanted in args.try_out or ():
        seed, _, spoilt = wanted.partition(":")
        pair, *images = render(Scene("", int(seed), spoilt))
        found = {view: detect(model, view, pair, images, args) for view, model in models.items()}
        told = (f"{view} {one.right}+{one.wrong}" for view, one in found.items())
        print(wanted, pair.condition, len(pair.classes), *told, sep="  ", flush=True)
    if args.try_out:
        return
    shown, rows = [], []
    (DOCS / "gallery").mkdir(exist_ok=True)
    for scene in SCENES:
        pair, *images = render(scene)
        found = {view: detect(model, view, pair, images, args) for view, model in models.items()}
        pictures = {view: one.picture for view, one in found.items()} | {
            "weights": color_weights(found["fused"].weights)
        }
        name = scene.title.lower().replace(" ", "-")
        for view, picture in pictures.items():
            write(DOCS / "gallery" / f"{name}-{view}.webp", picture)
        shown.append({"title": scene.title, "name": name, "objects": len(pair.classes), "found": found})
        if scene.title in README:
            pictures |= {"visible": images[0], "infrared": cv2.cvtColor(images[1], cv2.COLOR_GRAY2BGR)}
            rows.append(
                [
                    titled(f"{scene.title}: {title}" if view == "visible" else title, smaller(pictures[view], 420))
                    for view, title in COLUMNS.items()
                ]
            )
    cv2.imwrite(str(DOCS / "scenes.jpg"), grid(rows), [cv2.IMWRITE_JPEG_QUALITY, 84])
    template = Template((Path(__file__).parent / "gallery.md.j2").read_text(), trim_blocks=True)
    (DOCS / "gallery.md").write_text(template.render(about=args.about, scenes=shown) + "\n")


def model_of(weights: str, view: str) -> Any:
    """Return the detector behind the learned fusion, or behind a camera or a rule."""
    model = MetaFusionYOLO(weights)
    if view != "fused":
        if model.model.config.meet != "image":  # of a stock checkpoint, which reads one image
            model.model = fused_form(load_checkpoint(weights)[0], meet="image").eval()
        model.model.fusion = PixelRule(view)
    return model


def render(scene: Scene) -> tuple[SyntheticPair, np.ndarray, np.ndarray]:
    """Return the pair with its truth, and its two images, B, G, R and grey, as spoilt as the scene says."""
    pair = render_pair(scene.seed, SIZE, hard=True)
    planes = torch.from_numpy(np.dstack((pair.visible, pair.infrared))).permute(2, 0, 1) / 255
    if scene.spoilt:
        planes = corrupt(planes, scene.spoilt, 2, f"{scene.seed}.png").pair
    image = (planes.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return pair, np.ascontiguousarray(image[..., 2::-1]), np.ascontiguousarray(image[..., 3])


def detect(model: Any, view: str, pair: SyntheticPair, images: list[np.ndarray], args: argparse.Namespace) -> Found:
    """Detect in one image of a pair, and draw what is right, wrong and missed."""
    visible, infrared = images
    known = {number: name for number, name in model.names.items() if name in NAMES.values()}
    options = {"imgsz": args.imgsz, "conf": args.conf, "classes": [*known], "verbose": False}
    [result] = model.predict(visible, infrared=infrared, **options)
    truth, boxes = torch.from_numpy(pair.boxes_xyxy), result.boxes
    alike = [[NAMES[int(one)] == known[int(other)] for other in boxes.cls] for one in pair.classes]
    fits = (box_iou(truth, boxes.xyxy) >= 0.5) & torch.tensor(alike, dtype=torch.bool).reshape(len(truth), -1)
    right, hit = fits.any(0), fits.any(1)
    picture = {"visible": visible, "infrared": cv2.cvtColor(infrared, cv2.COLOR_GRAY2BGR)}.get(view)
    picture = np.ascontiguousarray(result.fused[..., ::-1] if picture is None else picture).copy()
    for box in truth[~hit]:
        dashed(picture, box.int().tolist())
    for box, good in zip(boxes.xyxy.int().tolist(), right.tolist(), strict=True):
        cv2.rectangle(picture, box[:2], box[2:], FOUND if good else FALSE, 3, cv2.LINE_AA)
    weights = result.fusion_weights
    return Found(int(hit.sum()), int((~right).sum()), picture, None if weights is None else weights[1])


def dashed(picture: np.ndarray, box: list[int], step: int = 12) -> None:
    """Draw the box of a missed object."""
    left, top, right, bottom = box
    for x in range(left, right, step):
        for y in (top, bottom):
            cv2.line(picture, (x, y), (min(x + step // 2, right), y), MISSED, 2)
    for y in range(top, bottom, step):
        for x in (left, right):
            cv2.line(picture, (x, y), (x, min(y + step // 2, bottom)), MISSED, 2)


def smaller(picture: np.ndarray, width: int) -> np.ndarray:
    """Return a picture of that width."""
    return cv2.resize(
        picture, (width, round(width * picture.shape[0] / picture.shape[1])), interpolation=cv2.INTER_AREA
    )


def write(file: Path, picture: np.ndarray) -> None:
    """Write a picture for the page."""
    cv2.imwrite(str(file), smaller(picture, SHOWN), [cv2.IMWRITE_WEBP_QUALITY, 80])


if __name__ == "__main__":
    main()
