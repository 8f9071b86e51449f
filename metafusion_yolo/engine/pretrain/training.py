"""Pre-training of the front-end alone, on images that the project makes or may ship.

    python -m metafusion_yolo.engine.pretrain.training --detector yolov8n.pt

Half of the pairs are synthetic scenes, half photographs with an invented thermal view; most are spoilt. The front-end
learns from the fusion losses (of what the cameras showed before), from the trust loss (where which camera is blind),
and from a frozen detector, whose features of the fused image should be those of the untouched photograph. The weights
should say where to look, not which camera is better at large: per image, over what is well seen, their mean is held.

Source: this project.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from ultralytics.utils import LOGGER

from metafusion_yolo.config import Gains
from metafusion_yolo.engine.pretrain.pairs import PairMaker, Views
from metafusion_yolo.functional.losses import trust_loss
from metafusion_yolo.nn.criterion import fusion_loss
from metafusion_yolo.nn.degradation import Degraded, degrade
from metafusion_yolo.nn.fusion import FusionNet, FusionOutput
from metafusion_yolo.nn.start import START

LEVELS = (2, 4, 6, 9)  # layers of a YOLOv8 backbone, the last at strides 4, 8, 16 and 32


@dataclass(frozen=True)
class Recipe:
    """How the shipped start was trained.

    Attributes:
        steps, batch, side: Optimizer steps, pairs of each, and their height and width in pixels.
        lr: Learning rate of AdamW at its highest; it rises for 30 steps and falls by a cosine.
        spoilt: Probability that a pair is spoilt.
        trust, balance, features: Weights of these terms; those of the fusion losses are the default.
        share: Share of the infrared camera that each image is held to.
        seed: Of everything random.
    """

    steps: int = 600
    batch: int = 8
    side: int = 192
    lr: float = 3e-3
    spoilt: float = 0.8
    trust: float = 1.5
    balance: float = 2.0
    features: float = 1.0
    share: float = 0.6
    seed: int = 0


class Eye(nn.Module):
    """Features of an image, from a frozen detector.

    Args:
        layers: Layers of a YOLOv8 detector, backbone first.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers[: LEVELS[-1] + 1].float().eval().requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of images (B, 3, H, W) at strides 4, 8, 16 and 32."""
        features = []
        for i, layer in enumerate(self.layers):
            image = layer(image)
            features += [image] if i in LEVELS else []
        return features


def balance_loss(weights: Tensor, hidden: Tensor, share: float) -> Tensor:
    """Keep the mean share of the infrared camera of each image, over pixels that both cameras see.

    Args:
        weights: Share of each camera (B, 2, H, W), visible first, in [0, 1].
        hidden: How far each camera is blind, (B, 2, H, W), in [0, 1].
        share: The mean to hold, in (0, 1).

    Returns:
        Scalar: mean of the squared differences, each by the share of the image that is well seen.
    """
    seen = 1 - hidden.sum(1, keepdim=True).clamp(0, 1)
    area = seen.mean((1, 2, 3))
    mean = (weights[:, 1:] * seen).mean((1, 2, 3)) / area.clamp(min=0.05)
    return (area * (mean - share).square()).mean()


def feature_loss(seen: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Return the mean cosine distance of features, in [0, 2], over levels and places."""
    distances = [(1 - F.cosine_similarity(a, b, dim=1)).mean() for a, b in zip(seen, wanted, strict=True)]
    return torch.stack(distances).mean()


def objective(
    output: FusionOutput, degraded: Degraded, views: Views, eye: Eye | None, recipe: Recipe
) -> dict[str, Tensor]:
    """Return every term by name, weighted."""
    weights = output.weights
    hidden = F.avg_pool2d(degraded.hidden, 4)
    terms = {
        "fusion": fusion_loss(output, degraded.sources, Gains())[0],
        "trust": recipe.trust * trust_loss(weights, output.coefficients[:, 3:], hidden),
        "balance": recipe.balance * balance_loss(weights, hidden, recipe.share),
    }
    if eye and recipe.features:
        fused = output.fused[: len(views.photograph)].contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = eye(views.photograph.contiguous(memory_format=torch.channels_last))
        terms["features"] = recipe.features * feature_loss(eye(fused), wanted)
    return terms


def train_start(recipe: Recipe, eye: Eye | None = None, every: int = 50) -> FusionNet:
    """Train a front-end of default size on the CPU; the same recipe gives the same parameters, bit for bit.

    Args:
        recipe: See there.
        eye: The frozen detector; None to do without.
        every: After how many steps to log.
    """
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    maker = PairMaker(recipe.seed)
    net = FusionNet(initial_infrared_weight=recipe.share).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    for step in range(recipe.steps):
        rate = min(1.0, (step + 1) / 30) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / recipe.steps)))
        optimizer.param_groups[0]["lr"] = recipe.lr * rate
        views = maker.batch(recipe.batch, recipe.side)
        degraded = degrade(views.pair, recipe.spoilt, generator)
        terms = objective(net(degraded.img), degraded, views, eye, recipe)
        optimizer.zero_grad()
        torch.stack([*terms.values()]).sum().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if every and step % every == every - 1:
            LOGGER.info(f"{step + 1}: " + ", ".join(f"{name} {term.item():.4f}" for name, term in terms.items()))
    return net.eval()


def main() -> None:
    """Train the start and write it."""
    parser = argparse.ArgumentParser(description="Train the start of the fusion front-end.")
    parser.add_argument("--out", default=str(START), help="file to write")
    parser.add_argument("--detector", default="yolov8n.pt", help="frozen detector; empty for none")
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    args = vars(parser.parse_args())
    out, detector = Path(args.pop("out")), args.pop("detector")
    torch.set_num_threads(1)  # sums in a fixed order
    from ultralytics.nn.tasks import load_checkpoint

    eye = Eye(load_checkpoint(detector)[0].model) if detector else None
    net = train_start(Recipe(**args), eye)
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    save_file(tensors, out, {name: str(value) for name, value in args.items()})


if __name__ == "__main__":
    main()
