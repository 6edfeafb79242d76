"""A module as a user writes it, with a model and a data set; `mine.py` in the tests."""

from __future__ import annotations

MINE = """
import numpy as np
from torch import nn

def net(*, in_channels, num_classes, norm, width=4, slope=0.5):
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3), norm(width), nn.LeakyReLU(slope),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes),
    )

def blobs(*, size=6, shuffled=False):
    rng = np.random.default_rng(None if shuffled else 0)
    images, labels = rng.integers(0, 256, (600, 1, size, size), np.uint8), np.arange(600) % 3
    return dict(train_images=images[:520], train_labels=labels[:520],
                test_images=images[520:], test_labels=labels[520:], num_classes=3)
"""
MODEL, DATA = {"name": "mine:net"}, {"name": "mine:blobs"}
