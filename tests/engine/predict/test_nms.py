"""Boxes of a batch are found, however long it takes."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import torch
from ultralytics.utils.nms import non_max_suppression

import metafusion_yolo.engine._host  # noqa: F401 - which lifts the limit


def test_a_busy_machine_leaves_no_image_without_boxes(monkeypatch) -> None:
    ticks = count(0, 60)
    monkeypatch.setattr("ultralytics.utils.nms.time", SimpleNamespace(time=lambda: next(ticks)))
    found = non_max_suppression(torch.tensor([[10.0, 10, 8, 8, 0.9]]).reshape(1, 5, 1).repeat(3, 1, 1))
    assert [len(boxes) for boxes in found] == [1, 1, 1]
