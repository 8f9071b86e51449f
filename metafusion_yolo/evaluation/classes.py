"""Judge a detector on a data set that numbers its classes differently: match them by name."""

from collections.abc import Mapping

import torch
from torch import Tensor

from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import spelling

ALIASES = {
    "people": "person",
    "persons": "person",
    "pedestrian": "person",
    "bike": "bicycle",
    "motorbike": "motorcycle",
}
Order = tuple[int | None, ...]


def class_order(model: Mapping[int, str], data: Mapping[int, str]) -> Order | None:
    """Return for each class of a data set its index in the detector, None where the detector lacks it.

    Args:
        model: Names of the detector's classes by index.
        data: Names of the data set's classes by index.

    Returns:
        None if the indices agree already, if the model's classes have no names, or if no name is known to both and the
        number of classes is the same: then the names are taken to be different words for the same classes.

    Raises:
        UserValueError: If the two have no class in common.

    Examples:
        >>> class_order({0: "person", 1: "bicycle", 2: "car"}, {0: "Car", 1: "pedestrian", 2: "lamp"})
        (2, 0, None)
    """
    if all(name == str(index) for index, name in model.items()):  # a new model, whose classes have no names yet
        return None
    known = {_canonical(name): index for index, name in model.items()}
    order = tuple(known.get(_canonical(data[index])) for index in sorted(data))
    if order == tuple(range(len(model))):
        return None
    if any(index is not None for index in order):
        return order
    if len(model) == len(data):
        return None
    raise UserValueError(
        f"the model knows {_some(model)}, the data set has {_some(data)}: no class in common; rename those in 'names:'"
    )


def describe_order(order: Order, model: Mapping[int, str], data: Mapping[int, str]) -> str:
    """Return in words which classes are judged, and which the detector cannot find."""
    pairs = zip(sorted(data), order, strict=True)
    judged = [f"{data[i]} as {model[j]}" if data[i] != model[j] else data[i] for i, j in pairs if j is not None]
    lacking = [data[i] for i, j in zip(sorted(data), order, strict=True) if j is None]
    text = f"classes are matched by name: {', '.join(judged)}"
    return f"{text}; the model has no {', '.join(lacking)}" if lacking else text


def select_classes(predictions: Tensor, order: Order, classes: int) -> Tensor:
    """Put the scores of raw predictions into the order of a data set.

    Args:
        predictions: (B, 4 + classes + others, N), boxes first; the others are mask coefficients, keypoints or angles.
        order: See :func:`class_order`.
        classes: Number of classes of the detector.

    Returns:
        (B, 4 + len(order) + others, N); a class that the detector lacks has the score 0.
    """
    scores = [
        torch.zeros_like(predictions[:, :1]) if index is None else predictions[:, 4 + index : 5 + index]
        for index in order
    ]
    return torch.cat((predictions[:, :4], *scores, predictions[:, 4 + classes :]), 1)


def renumber_classes(found: list[dict[str, Tensor]], order: Order) -> list[dict[str, Tensor]]:
    """Renumber the classes `cls` (D,) of the detections of each image, and drop those that the data set lacks."""
    renumbered = []
    for image in found:
        classes = image["cls"].new_full(image["cls"].shape, -1)
        for new, old in enumerate(order):
            if old is not None:
                classes[image["cls"] == old] = new
        kept = classes >= 0
        renumbered.append({**{key: value[kept] for key, value in image.items()}, "cls": classes[kept]})
    return renumbered


def _canonical(name: str) -> str:
    """Return the name by which classes are compared."""
    return ALIASES.get(spelling(str(name)), spelling(str(name)))


def _some(names: Mapping[int, str]) -> str:
    """Return the first names of a list, in quotes."""
    shown = [f"'{names[index]}'" for index in sorted(names)]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
