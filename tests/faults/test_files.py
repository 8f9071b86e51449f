"""Faults of image files."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault

AREA = Area(
    "Image files",
    "about",
    [
        Fault("train on a thermal image missing", "train data=data.yaml", "x", lambda r: (r / "infrared/train/1.png").unlink() ),
        Fault("predict on a thermal image missing", "predict model=best.pt source=images/train", "x", lambda r: (r / "infrared/train/1.png").unlink() ),
        Fault("runs", "predict model=best.pt source=images/train", "x", None, code=0 ),
        Fault("trains", "train data=data.yaml", "x", None, code=0 ),
        Fault("yolov8n", "train data=data.yaml pretrained=yolov8n.pt", "x", None, code=0 ),
        Fault("yolov8n model", "train data=data.yaml model=yolov8n.pt", "x", None, code=0 ),
        Fault("stock", "train data=data.yaml model=stock.pt", "x", None, code=0 ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
