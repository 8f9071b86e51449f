"""Cross-attention through which the meta-features enter the fusion features."""

from __future__ import annotations

from torch import Tensor, nn

from metafusion_yolo.nn.blocks import resize


class MetaFeatureCrossAttention(nn.Module):
    """Add to the fusion features what detection looks for in the scene.

    Multi-head attention of linear cost: queries come from the fusion features, keys and values from the meta-features.
    The keys (softmax over places) gather the values into one summary of the scene per feature; each query (softmax over
    features) mixes the summaries. Places that show nothing, as the bars of a letterbox, have no part in the summaries:
    a square input is weighed as one without bars. Queries have half the resolution of the fusion features: fine
    enough for weight maps, at a quarter of the cost. The output projection starts at zero, so an untrained block
    changes nothing.

    Source: meta-feature embedding after Zhao et al., "MetaFusion", CVPR 2023, which uses convolutions and a guide loss;
    the cross-attention is this project's, in the form of Shen et al., "Efficient Attention: Attention with Linear
    Complexities", WACV 2021, equations 3 and 5.

    Args:
        channels: Channels of the fusion features.
        context_channels: Channels of the meta-features.
        heads: Attention heads M; divides `channels`.
    """

    IGNORED = 9.0  # by which the logits of blank places are lower: they count for a ten-thousandth

    def __init__(self, channels: int, context_channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.pool = nn.AvgPool2d(2)
        self.query_norm = nn.LayerNorm(channels)
        self.context_norm = nn.LayerNorm(context_channels)
        self.to_query = nn.Linear(channels, channels, bias=False)
        self.to_key = nn.Linear(context_channels, channels, bias=False)
        self.to_value = nn.Linear(context_channels, channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, query: Tensor, context: Tensor, blank: Tensor) -> Tensor:
        """Return the fusion features with the meta-features embedded.

        Args:
            query: Fusion features (B, C, H, W), H and W even.
            context: Meta-features (B, context_channels, h, w), any size.
            blank: Places of the context that show nothing (B, 1, h, w), 1, else 0.

        Returns:
            (B, C, H, W).
        """
        pooled = self.pool(query)
        queries = self.query_norm(tokens(pooled))
        contexts = self.context_norm(tokens(context))
        q = self._split(self.to_query(queries)).softmax(-1)  # over the features of a head
        keys = self.to_key(contexts) - self.IGNORED * tokens(blank)
        k, v = self._split(keys).softmax(-2), self._split(self.to_value(contexts))  # over the places
        attended = q @ (k.transpose(-2, -1) @ v)  # (B, M, N, C/M)
        update = self.to_out(attended.transpose(1, 2).flatten(2))  # (B, N, C)
        update = update.transpose(1, 2).reshape(pooled.shape)
        return query + resize(update, query)

    def _split(self, x: Tensor) -> Tensor:
        """Split (B, N, C) into heads (B, M, N, C / M)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)  # X2Paddle lacks unflatten


def tokens(features: Tensor) -> Tensor:
    """Flatten a feature map (B, C, H, W) to tokens (B, H * W, C)."""
    return features.flatten(2).transpose(1, 2)
