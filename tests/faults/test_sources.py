"""Sources of prediction that are not there, or not what they seem."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import picture, written

PREDICT = "predict model=best.pt"
HERE = f"{PREDICT} source=images/train"

AREA = Area(
    "Sources",
    "What `source=` and `infrared=` of `predict`, `track` and `fuse` may name is in [sources](sources.md).",
    [
        Fault("source that does not exist", f"{PREDICT} source=nowhere", "?"),
        Fault("source that does not exist, fusion", "fuse method=average source=nowhere", "?"),
        Fault("pattern that matches nothing", f"{PREDICT} source='nowhere/*.png'", "?"),
        Fault("source that is no image", f"{PREDICT} source=data.yaml", "?"),
        Fault("infrared folder that does not exist", f"{HERE} infrared=nowhere", "?"),
        Fault("infrared folder of other images", f"{HERE} infrared=infrared/val", "?"),
        Fault("one infrared image for several visible ones", f"{HERE} infrared=infrared/train/0.png", "?"),
        Fault("image outside of a folder named images", f"{PREDICT} source=street.png", "?", picture("street.png", 48, 64, 3)),
        Fault("list of files that do not exist", f"{PREDICT} source=list.txt", "?", written("list.txt", "a.png\nb.png\n")),
        Fault("list that is empty", f"{PREDICT} source=list.txt", "?", written("list.txt")),
        Fault("list that is not UTF-8", f"{PREDICT} source=list.txt", "?", written("list.txt", b"\xff\xfea\x00")),
        Fault("list of pairs with one column", f"{PREDICT} source=pairs.csv", "?", written("pairs.csv", "images/train/0.png\n")),
        Fault("list of pairs that do not exist", f"{PREDICT} source=pairs.csv", "?", written("pairs.csv", "a.png,b.png\n")),
        Fault("list of pairs that is empty", f"{PREDICT} source=pairs.csv", "?", written("pairs.csv")),
        Fault("list of pairs that is not UTF-8", f"{PREDICT} source=pairs.csv", "?", written("pairs.csv", b"\xff\xfea\x00")),
        Fault("video that does not exist", f"{PREDICT} source=day.mp4 infrared=heat.mp4", "?"),
        Fault("video that is none", "track model=best.pt source=day.mp4 infrared=heat.mp4", "?", written("day.mp4", "no video")),
        Fault("video whose name is not UTF-8", f"{PREDICT} source=\udcff.mp4 infrared=None", "?", lambda root: (root / "\udcff.mp4").touch()),
        Fault("live camera that is off", f"{PREDICT} source=rtsp://127.0.0.1:1/a infrared=rtsp://127.0.0.1:1/b reconnect=0.1", "?"),
        Fault("live camera that does not exist", f"{PREDICT} source=97 infrared=98 reconnect=0.1", "?"),
        Fault("live camera without an infrared one", f"{PREDICT} source=rtsp://127.0.0.1:1/a", "?"),
        Fault("layout beside infrared images", f"{HERE} layout=horizontal infrared=infrared/train", "?"),
        Fault("layout of four channels in an image of three", f"{HERE} layout=stacked", "?"),
        Fault("halves of an odd width", f"{HERE} layout=horizontal", "?", picture("images/train/0.png", 48, 63, 3)),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
