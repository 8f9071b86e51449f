"""Cross-attention against a loop over heads, features and places in float64."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from metafusion_yolo.nn.attention import MetaFeatureCrossAttention, tokens


def attention(channels: int = 4, context_channels: int = 3, heads: int = 2) -> MetaFeatureCrossAttention:
    """Return a block in float64 with random weights everywhere, the output projection included."""
    torch.manual_seed(0)
    block = MetaFeatureCrossAttention(channels, context_channels, heads).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    return block


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layer_norm(x: np.ndarray, norm: nn.LayerNorm) -> np.ndarray:
    scaled = (x - x.mean()) / math.sqrt(x.var() + norm.eps)
    return scaled * norm.weight.detach().numpy() + norm.bias.detach().numpy()


def upsample(plane: np.ndarray) -> np.ndarray:
    """Double a plane (h, w) bilinearly, pixel centres at half integers, borders repeated."""
    height, width = plane.shape
    out = np.zeros((2 * height, 2 * width))
    for y in range(2 * height):
        for x in range(2 * width):
            v, u = max((y + 0.5) / 2 - 0.5, 0), max((x + 0.5) / 2 - 0.5, 0)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = plane[top, left] * (1 - (u - left)) + plane[top, right] * (u - left)
            lower = plane[bottom, left] * (1 - (u - left)) + plane[bottom, right] * (u - left)
            out[y, x] = upper * (1 - (v - top)) + lower * (v - top)
    return out


def shown(context: torch.Tensor) -> torch.Tensor:
    """Return that every place of a context shows something."""
    return torch.zeros_like(context[:, :1])


def naive(
    block: MetaFeatureCrossAttention, query: torch.Tensor, context: torch.Tensor, blank: torch.Tensor
) -> np.ndarray:
    """Return (C, H, W) for one query (C, H, W), one context (c, h, w) and its blank places, value by value."""
    weights = {name: p.detach().numpy() for name, p in block.named_parameters()}
    channels, height, width = query.shape
    wide = channels // block.heads
    keys, values = [], []
    for place, ignored in zip(context.flatten(1).T.numpy(), blank.flatten().tolist(), strict=True):
        normed = layer_norm(place, block.context_norm)
        keys.append(weights["to_key.weight"] @ normed - 9 * ignored)
        values.append(weights["to_value.weight"] @ normed)
    update = np.zeros((channels, height // 2, width // 2))
    for y in range(height // 2):
        for x in range(width // 2):
            pooled = query[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((1, 2)).numpy()
            q = weights["to_query.weight"] @ layer_norm(pooled, block.query_norm)
            attended = np.zeros(channels)
            for head in range(block.heads):
                part = slice(head * wide, (head + 1) * wide)
                for feature in range(head * wide, (head + 1) * wide):
                    share = math.exp(q[feature]) / sum(math.exp(other) for other in q[part])
                    total = sum(math.exp(key[feature]) for key in keys)
                    for key, value in zip(keys, values, strict=True):
                        attended[part] += share * math.exp(key[feature]) / total * value[part]
            update[:, y, x] = weights["to_out.weight"] @ attended + weights["to_out.bias"]
    return query.numpy() + np.stack([upsample(plane) for plane in update])


@pytest.mark.parametrize(("channels", "context_channels", "heads"), [(4, 3, 1), (4, 3, 2), (6, 5, 3)])
@pytest.mark.parametrize("context_size", [(1, 2), (3, 2)])
def test_matches_loops(channels, context_channels, heads, context_size) -> None:
    block = attention(channels, context_channels, heads)
    query, context = features(2, channels, 4, 6), features(2, context_channels, *context_size, seed=1)
    blank = shown(context)
    blank[1, 0, 0, 0] = 1
    out = block(query, context, blank)
    assert out.shape == query.shape
    for i in range(2):
        np.testing.assert_allclose(out[i].detach().numpy(), naive(block, query[i], context[i], blank[i]), atol=1e-10)


def test_untrained_block_changes_nothing() -> None:
    block = MetaFeatureCrossAttention(8, 6, 2)
    query = features(2, 8, 4, 6).float()
    context = features(2, 6, 2, 3, seed=1).float()
    assert torch.equal(block(query, context, shown(context)), query)


def test_every_place_can_look_anywhere() -> None:
    block = attention()
    query, context = features(1, 4, 4, 6), features(1, 3, 2, 3, seed=1)
    changed = context.clone()
    changed[..., -1, -1] += torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    difference = (block(query, changed, shown(context)) - block(query, context, shown(context))).abs().amax((0, 1))
    assert difference.min() > 0


def test_order_of_the_context_does_not_matter() -> None:
    block = attention()
    query, context = features(1, 4, 4, 6), features(1, 3, 2, 3, seed=1)
    shuffled = context.flatten(2)[..., torch.tensor([3, 0, 5, 1, 4, 2])].view_as(context)
    torch.testing.assert_close(block(query, shuffled, shown(context)), block(query, context, shown(context)))


def test_blank_places_hardly_count() -> None:
    block = attention()
    query, context = features(1, 4, 4, 6), features(1, 3, 2, 3, seed=1)
    blank = shown(context)
    blank[..., 2] = 1
    without = block(query, context[..., :2], shown(context[..., :2]))
    assert (block(query, context, blank) - without).abs().max() < 0.01 * (
        block(query, context, shown(context)) - without
    ).abs().max()


def test_gradcheck() -> None:
    block = attention()
    query, context = features(1, 4, 2, 4).requires_grad_(), features(1, 3, 1, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(block, (query, context, shown(context)))


def test_tokens_are_in_reading_order() -> None:
    feature_map = torch.arange(12).view(1, 2, 2, 3)
    assert tokens(feature_map).tolist() == [[[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]]
