"""What passes as the same detections, by precision."""

import pytest

ROW = {"format": "onnx", "error": "", "mAP50": 0.6, "unmatched": 0, "min_iou": 0.999, "max_score_diff": 0.0001}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "passes"),
        ({"unmatched": 1}, "1 boxes without a partner"),
        ({"min_iou": 0.97}, "IoU 0.97, scores 0.0001"),
        ({"max_score_diff": 0.02}, "IoU 0.999, scores 0.02"),
        ({"format": "onnx:16", "unmatched": 3, "mAP50": 0.591}, "passes"),
        ({"format": "onnx:16", "mAP50": 0.589}, "+1.1 points lost"),
        ({"format": "openvino:8", "mAP50": 0.575}, "passes"),
        ({"format": "openvino:8", "mAP50": 0.56}, "+4.0 points lost"),
        ({"error": "no such operator"}, "does not run"),
    ],
)
def test_verdict(changes, expected) -> None:
    from parity import verdict

    assert verdict({**ROW, **changes}, reference=0.6) == expected
