"""How the detector teaches the meta-features: by its backbone features, and by the look-ahead. Training only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metafusion_yolo.nn.fusion import FusionOutput
from metafusion_yolo.nn.meta import MetaProjection

GENERATOR = "meta."  # prefix of the parameters of a FusionNet that make the meta-features

OutputLoss = Callable[[FusionOutput], Tensor]


class MetaTeacher(nn.Module):
    """Read the backbone features of a detector, and project meta-features into their space.

    Args:
        layers: Layers of the detector, backbone first.
        depth: Number of layers of the backbone.
        meta_channels: Channels of the meta-features.
        levels: Strides to teach.
    """

    def __init__(self, layers: nn.Sequential, depth: int, meta_channels: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        taps = backbone_taps(layers[:depth])
        self.taps = {stride: taps[stride][0] for stride in levels}
        self.projection = MetaProjection(meta_channels, {stride: taps[stride][1] for stride in levels})

    def forward(self, output: FusionOutput) -> dict[int, Tensor]:
        """Return the backbone features predicted from the meta-features, by stride."""
        return self.projection(output.meta_features)

    @contextmanager
    def listening(self, layers: nn.Sequential) -> Iterator[dict[int, Tensor]]:
        """Yield a dictionary that a forward within this context fills with the backbone features by stride."""
        heard: dict[int, Tensor] = {}
        handles = [
            layers[i].register_forward_hook(lambda _, __, features, stride=stride: heard.update({stride: features}))
            for stride, i in self.taps.items()
        ]
        try:
            yield heard
        finally:
            for handle in handles:
                handle.remove()


def backbone_taps(backbone: nn.Sequential, size: int = 64) -> dict[int, tuple[int, int]]:
    """Return index and channels of the last backbone layer at each stride.

    Args:
        backbone: Layers in sequence, the first takes an image (B, 3, H, W).
        size: Side of the probe image in pixels.
    """
    return {size // x.shape[-1]: (i, x.shape[1]) for i, x in enumerate(probe(backbone, size))}


def run(layers: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Return the features of every layer of a sequence."""
    features = []
    for layer in layers:
        x = layer(x)
        features.append(x)
    return features


def probe(backbone: nn.Sequential, size: int) -> list[Tensor]:
    """Return the features of every layer of a backbone for a black image of `size` × `size` pixels."""
    black = next(backbone.parameters()).new_zeros(1, 3, size, size)
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    with torch.no_grad():
        features = run(backbone, black)
    for module, mode in modes.items():
        module.training = mode
    return features


def look_ahead_loss(
    fusion: nn.Module,
    train: tuple[Tensor, OutputLoss],
    test: tuple[Tensor, OutputLoss],
    teacher: nn.Module,
    lr: float,
    first_order: bool = False,
) -> Tensor:
    """Return the loss of the fusion network after a step towards the meta-features, which these learn to lower.

    Inner step, on a functional copy of the network: `θ' = θ - lr · ∇_θ L_align(θ, φ; train)`. Outer loss:
    `L(θ', φ; test)`. φ are the parameters of the meta-feature extractor and of the teacher, θ all others of the
    network. The result has a gradient with respect to φ only, including the path through θ'. It is an ordinary loss
    term for accumulation, loss scaling, weight averaging and the reduction over processes.

    Args:
        fusion: The network, a :class:`~metafusion_yolo.nn.fusion.FusionNet`; it is not changed.
        train: Pairs (B, 4, H, W) for the inner step, and the alignment loss of their output.
        test: Pairs for the outer loss, and that loss of their output.
        teacher: The module that the alignment loss trains beside the meta-features.
        lr: Size of the inner step.
        first_order: Treat θ' as constant: φ learns only from the effect of the meta-features in the forward pass.

    Returns:
        Scalar.

    Source:
        Zhao et al., "MetaFusion", CVPR 2023, inner and outer update. There the generator reads the detector's features
        and the update is a separate phase on other batches; here it is a loss term on two halves of one batch.
    """
    parameters = dict(fusion.named_parameters())
    generator = {name: p for name, p in parameters.items() if name.startswith(GENERATOR)}
    network = {name: p.detach().requires_grad_() for name, p in parameters.items() if name not in generator}
    with torch.autocast(train[0].device.type, enabled=False):  # half precision loses the small second derivatives
        pairs, alignment = train
        inner = alignment(functional_call(fusion, {**network, **generator}, (pairs,)))
        steps = torch.autograd.grad(inner, [*network.values()], create_graph=not first_order, allow_unused=True)
        ahead = {name: p if g is None else p - lr * g for (name, p), g in zip(network.items(), steps, strict=True)}
        pairs, loss = test
        outer = loss(functional_call(fusion, {**ahead, **generator}, (pairs,)))
        taught = [p for p in (*generator.values(), *teacher.parameters()) if p.requires_grad]
        gradients = torch.autograd.grad(outer, taught, allow_unused=True)
    linear = [(p * g).sum() for p, g in zip(taught, gradients, strict=True) if g is not None]
    surrogate = torch.stack(linear).sum()  # has the gradient of the outer loss without its graph
    return outer.detach() + surrogate - surrogate.detach()


def frozen_copy(model: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return the parameters (detached) and buffers (copied, as a forward may change them) under a prefix."""
    parameters = {name: p.detach() for name, p in model.named_parameters() if name.startswith(prefix)}
    buffers = {name: b.clone() for name, b in model.named_buffers() if name.startswith(prefix)}
    return {**parameters, **buffers}


def rows(batch: Mapping[str, Any], start: int, stop: int, joint_masks: bool = True) -> dict[str, Any]:
    """Return images `start` to `stop` of the host's batch, with their labels; `joint_masks`: one mask per image."""
    inside = (batch["batch_idx"] >= start) & (batch["batch_idx"] < stop)
    of_image, of_object = ["img", "hidden", "sources", "sem_masks"], ["cls", "bboxes", "keypoints"]
    (of_image if joint_masks else of_object).append("masks")
    objects = {key: batch[key][inside] for key in of_object if key in batch}
    images = {key: batch[key][start:stop] for key in of_image if key in batch}
    return {**images, "batch_idx": batch["batch_idx"][inside] - start, **objects}
