"""Paired visible and infrared data: pairing, reading, augmentation and sources of prediction."""
