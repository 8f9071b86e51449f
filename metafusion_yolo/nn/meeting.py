"""Where the cameras meet: as one image, or in features, at a level of the backbone up to which each has a stem."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.teaching import probe, run
from metafusion_yolo.support.errors import UserValueError

STRIDES = {f"P{n}": 2**n for n in (2, 3, 4, 5)}  # of the levels, in pixels


class Join(nn.Conv2d):
    """Join the features of both cameras: each times its weight, then a 1×1 convolution, which starts as their sum.

    Features that agree are thus what they were, so the detector begins with what it knows; and a camera that is off has
    the weight 0 and no part in them.

    Source: this project; two backbones joined by 1×1 convolutions are known from J. Liu et al., "Multispectral Deep
    Neural Networks for Pedestrian Detection", BMVC 2016 (there without weights).

    Args:
        channels: Channels of each camera, and of the result.
        pixels: Stride of the features, in pixels of the image.
    """

    def __init__(self, channels: int, pixels: int) -> None:
        super().__init__(2 * channels, channels, kernel_size=1)
        self.pixels = pixels

    def reset_parameters(self) -> None:
        """Start as the sum; PyTorch and the host call this for new weights."""
        with torch.no_grad():
            self.weight.copy_(torch.eye(self.out_channels).repeat(1, 2)[..., None, None])
            self.bias.zero_()  # type: ignore[union-attr]

    def forward(self, visible: Tensor, infrared: Tensor, share: Tensor) -> Tensor:  # type: ignore[override]
        """Return the joined features (B, C, h, w).

        Args:
            visible: Features of the visible camera (B, C, h, w).
            infrared: Those of the infrared camera.
            share: Weight of the infrared camera (B, 1, H, W), [0, 1]; the visible one has the rest.
        """
        share = F.avg_pool2d(share, self.pixels, self.pixels)
        return super().forward(torch.cat(((1 - share) * visible, share * infrared), 1))


class Stems(nn.Module):
    """A stem for each camera: the first layers of a detector's backbone, twice, and what joins them.

    It takes the place of the first of these layers, and a :class:`Tap` that of each other one.

    Args:
        layers: The layers, in sequence.
        joins: What joins the features of the cameras, by index of the layer; none where no one reads them.
    """

    def __init__(self, layers: nn.Sequential, joins: dict[int, Join] | None = None) -> None:
        super().__init__()
        self.visible = layers
        self.infrared = deepcopy(layers)
        self.joins = nn.ModuleDict({str(i): join for i, join in (joins or {}).items()})

    def forward(self, shown: Tensor) -> tuple[Tensor, ...]:
        """Return the features of every layer, joined where that is read.

        Args:
            shown: Pairs with the weight of the infrared camera (B, 5, H, W), of :func:`with_share`; or images
                (B, 3, H, W), of which the stem of the visible camera gives the features, as the detector's own.
        """
        seen = shown.detach() if self.training else shown  # only the share learns; the images' gradient costs time
        features = run(self.visible, seen[:, :3])
        if shown.shape[1] > 3:
            infrared = run(self.infrared, seen[:, 3:4].expand(-1, 3, -1, -1))
            for i, join in ((int(name), join) for name, join in self.joins.items()):
                features[i] = join(features[i], infrared[i], shown[:, NUM_CHANNELS:])
        return tuple(features)

    def check(self, embed: Iterable[int]) -> None:
        """Reject layers at which each camera has features of its own.

        Args:
            embed: Indices of the layers whose features are wanted.

        Raises:
            ValueError: If one of them lies within the stems, and the cameras are not joined there.
        """
        joined = [int(name) for name in self.joins]
        if apart := [i for i in embed if 0 <= i < len(self.visible) and i not in joined]:
            raise UserValueError(
                f"at embed={apart} each camera has features of its own; give {' or '.join(map(str, joined))}, where "
                f"they are joined, or a later layer"
            )


class Tap(nn.Module):
    """Stands in for a layer that the stems have run, and returns its features.

    Args:
        i: Index of the layer.
    """

    def __init__(self, i: int) -> None:
        super().__init__()
        self.i = i

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the features of the layer."""
        return features[self.i]


def with_share(pair: Tensor, weights: Tensor) -> Tensor:
    """Return the input of the stems: pairs with the weight of the infrared camera, (B, 5, H, W), [0, 1].

    Args:
        pair: Pairs (B, 4, H, W), R, G, B, IR in [0, 1].
        weights: Weights of the cameras at stride 4, (B, 2, H / 4, W / 4), of the front-end.
    """
    return torch.cat((pair, F.interpolate(weights[:, 1:], scale_factor=4)), 1)  # repeated: the mean at a level is exact


def meet_at(model: Any, level: str) -> None:
    """Give a model of the host a stem for each camera, up to a level of its backbone.

    Args:
        model: The model; its attributes `model` and `save` change.
        level: One of `STRIDES`.

    Raises:
        ValueError: If its backbone does not have the level, or is no plain sequence up to it.
    """
    if not (shapes := shapes_of(model)):
        raise UserValueError(f"fusion: meet: {level} needs a backbone whose layers follow each other; set meet: image")
    ends = {stride: i for i, (stride, _) in enumerate(shapes)}
    if STRIDES[level] not in ends:
        there = ", ".join(["image", *(name for name, stride in STRIDES.items() if stride in ends)])
        raise UserValueError(
            f"fusion: meet: {level} is not a level of this detector's backbone, expected one of {there}"
        )
    end = ends[STRIDES[level]]
    read = sorted({i for i in model.save if i < end} | {end})
    split(model, end + 1, {i: Join(shapes[i][1], shapes[i][0]) for i in read})


def shapes_of(model: Any) -> list[tuple[int, int]]:
    """Return stride and channels of each layer of a model's backbone, none if its layers do not follow each other."""
    backbone = model.model[: len(model.yaml["backbone"])]
    if type(model.model) is not nn.Sequential or any(layer.f != -1 for layer in backbone):  # or of torchvision
        return []
    size = 2 * max(STRIDES.values())
    return [(size // x.shape[-1], x.shape[1]) for x in probe(backbone, size)]


def default_level(model: Any) -> str:
    """Return the place that `meet: auto` stands for: P3 if the model's backbone has that level, else the image."""
    return "P3" if STRIDES["P3"] in dict(shapes_of(model)) else "image"


def split(model: Any, depth: int, joins: dict[int, Join] | None = None) -> None:
    """Replace the first `depth` layers of a model of the host by stems; see :class:`Stems`."""
    layers = model.model
    stems = Stems(layers[:depth], joins).to(next(layers.parameters()))
    places: list[Any] = [stems, *map(Tap, range(1, depth))]
    for i, (place, layer) in enumerate(zip(places, layers, strict=False)):
        place.i, place.f, place.type, place.np = i, -1 if i == 0 else 0, layer.type, layer.np  # as the host expects
    model.model = nn.Sequential(*places, *layers[depth:])
    model.save = sorted({0, *model.save})


def give_stems(source: Any, model: Any) -> Any:
    """Return the model that `model` takes its weights from, with a stem for each camera if `model` has them.

    Raises:
        ValueError: If it has stems up to another level than `model`.
    """
    wanted, there = (len(m.model[0].visible) if has_stems(m) else 0 for m in (model, source))
    if there == wanted:
        return source
    source = deepcopy(source)
    if there:
        stems = source.model[0]
        if not all(map(torch.equal, stems.visible.parameters(), stems.infrared.parameters())):
            raise UserValueError(
                f"the cameras of the checkpoint meet at {source.config.meet}, those of this model at "
                f"{model.config.meet}; set fusion: meet: {source.config.meet}, or start from a stock detector such as "
                f"yolov8n.pt"
            )
        source.model = nn.Sequential(*stems.visible, *source.model[there:])  # twins that have learned nothing yet
    if wanted:
        split(source, wanted)
    return source


def has_stems(model: Any) -> bool:
    """Return whether the cameras of a model of the host have stems of their own."""
    return isinstance(next(iter(getattr(model, "model", [])), None), Stems)


def layer_name(name: str) -> str:
    """Return the name that a module would have without stems, so that names of the host's layers fit both.

    Examples:
        >>> layer_name("model.0.infrared.4.cv1.conv"), layer_name("model.6.cv1")
        ('model.4.cv1.conv', 'model.6.cv1')
    """
    for stem in ("model.0.visible.", "model.0.infrared."):
        if name.startswith(stem):
            return f"model.{name.removeprefix(stem)}"
    return name
