"""Paired visible and infrared data: pairing, loading, augmentation, synthetic scenes."""
