"""Networks of the fusion front-end.

Shape letters used in every docstring of the package: **B** batch, **C** channels, **H, W** pixels, **N** tokens,
**M** attention heads, **K** boxes. A *pair* is one tensor (B, 4, H, W) in channel order R, G, B, IR, range [0, 1].
"""

NUM_CHANNELS = 4  # R, G, B, IR
