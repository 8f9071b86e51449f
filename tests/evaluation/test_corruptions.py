"""One camera spoilt, the same way every time, the other one untouched."""

from __future__ import annotations

import pytest
import torch

from metafusion_yolo.data.planes import PLANES
from metafusion_yolo.evaluation.corruptions import KINDS, STRENGTHS, corrupt

OTHER = {"visible": "infrared", "infrared": "visible"}


def scene(height: int = 96, width: int = 128) -> torch.Tensor:
    """Return a pair (4, H, W) with stripes that differ by camera."""
    x = torch.arange(width).expand(height, width)
    return torch.stack([0.5 + 0.4 * torch.sin(x / (1.5 + c / 4)) for c in range(4)])


@pytest.mark.parametrize("kind", KINDS)
def test_one_camera_is_spoilt_in_the_region_only(kind) -> None:
    camera, pair = KINDS[kind][0], scene()
    spoilt, region = corrupt(pair, kind, 3, "a.jpg")
    changed = (spoilt - pair).abs()
    assert not changed[PLANES[OTHER[camera]]].any()
    assert not changed[:, region == 0].any()
    assert changed[PLANES[camera], region > 0.8].mean() > 0.1
    assert spoilt.min() >= 0 and spoilt.max() <= 1 and region.min() >= 0 and region.max() <= 1
    assert torch.equal(pair, scene())  # nothing is done in place


@pytest.mark.parametrize("kind", KINDS)
def test_more_strength_leaves_less_of_the_picture(kind) -> None:
    camera, pair = KINDS[kind][0], scene()

    def likeness(strength: int) -> float:
        seen = corrupt(pair, kind, strength, "a.jpg").pair[PLANES[camera]]
        return torch.corrcoef(torch.stack((seen.flatten(), pair[PLANES[camera]].flatten())))[0, 1].item()

    shares = [likeness(strength) for strength in STRENGTHS]
    assert shares == sorted(shares, reverse=True) and shares[-1] < 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_of_the_file_makes_the_draw_whatever_its_folder(kind) -> None:
    pair = scene()
    first, again = (corrupt(pair, kind, 2, file).pair for file in ("one/a.jpg", "two/a.jpg"))
    assert torch.equal(first, again)
    if kind not in ("blurred",):  # which draws nothing
        assert not torch.equal(first, corrupt(pair, kind, 2, "b.jpg").pair) or kind == "washed out"


def test_the_letterbox_stays_as_it_is() -> None:
    pair = scene()
    spoilt, region = corrupt(pair, "night", 2, "a.jpg", area=(16, 8, 112, 88))
    frame = torch.ones(96, 128, dtype=torch.bool)
    frame[8:88, 16:112] = False
    assert torch.equal(spoilt[:, frame], pair[:, frame])
    assert not region[frame].any() and region[~frame].all()
