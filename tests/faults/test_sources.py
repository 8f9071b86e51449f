"""Sources of prediction that are not there, or not what they seem."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import all_of, picture, written

PREDICT = "predict model=best.pt"
HERE = f"{PREDICT} source=images/train"

AREA = Area(
    "Sources",
    "See [sources](sources.md).",
    [
        Fault(
            "source that does not exist",
            f"{PREDICT} source=nowhere",
            "'nowhere' does not exist; give an image, a folder with images, a glob, a .txt list of "
            "images or a .csv list of pairs",
        ),
        Fault(
            "source that does not exist, fusion",
            "fuse method=average source=nowhere",
            "'nowhere' does not exist; give an image, a folder with images, a glob, a .txt list of "
            "images or a .csv list of pairs",
        ),
        Fault(
            "pattern that matches nothing",
            f"{PREDICT} source='nowhere/*.png'",
            "no images in 'nowhere/*.png'; give an image, a folder with images, a glob, a .txt list "
            "of images or a .csv list of pairs",
        ),
        Fault(
            "source that is no image",
            f"{PREDICT} source=data.yaml",
            "no images in 'data.yaml'; give an image, a folder with images, a glob, a .txt list of "
            "images or a .csv list of pairs",
        ),
        Fault(
            "image on the web",
            f"{PREDICT} source=https://example.org/street.jpg",
            "'https://example.org/street.jpg' is on the web; download it first",
        ),
        Fault(
            "screen",
            f"{PREDICT} source=screen",
            "'screen' is one image, and no pair; record both cameras, and give two videos",
        ),
        Fault(
            "list of cameras",
            f"{PREDICT} source=door.streams",
            "'door.streams' lists cameras; give those of one pair, source=rtsp://... infrared=rtsp://...",
            written("door.streams", "rtsp://door/day\n"),
        ),
        Fault(
            "folder of videos",
            f"{PREDICT} source=films",
            "no images in 'films'; give a video by itself, and the one of the other camera as infrared=",
            written("films/a.mp4"),
        ),
        Fault(
            "video among the images",
            HERE,
            "WARNING videos in 'images/train' left out: 1; give a video by itself, and the one of the other camera as "
            "infrared=",
            written("images/train/a.mp4"),
            code=0,
            note="The images are looked at.",
        ),
        Fault(
            "manifest without the two columns",
            f"{PREDICT} source=pairs.csv out=found",
            "'pairs.csv' has no column 'visible' but 'a', 'b'; give visible and infrared, an address of an image in "
            "each row",
            written("pairs.csv", "a,b\nstreet.png,heat.png\n"),
        ),
        Fault(
            "manifest with addresses of an unknown scheme",
            f"{PREDICT} source=pairs.csv out=found",
            "unknown scheme 'bucket://' in 'bucket://v.png'; give a path, or what fsspec opens: s3://, gs://, ...",
            written("pairs.csv", "visible,infrared\nbucket://v.png,bucket://i.png\n"),
        ),
        Fault(
            "share that there is not",
            f"{PREDICT} source=pairs.csv out=found part=4/3",
            "'part=4/3' is invalid, expected the number of a share and of all, from 1/100 to 100/100",
        ),
        Fault(
            "share of fused images that there is not",
            "fuse model=best.pt source=images/val part=1/0",
            "'part=1/0' is invalid, expected the number of a share and of all, from 1/100 to 100/100",
            checked=True,
        ),
        Fault(
            "Ray without a place for the results",
            f"{PREDICT} source=images/val engine=ray",
            "'engine=ray' needs out=, a folder or address for results, and a manifest as source=",
        ),
        Fault(
            "folder with results of other settings",
            f"{PREDICT} source=pairs.csv out=found conf=0.5",
            "out='found' holds results of another conf, 0.1 and not 0.5; give another",
            all_of(
                written("pairs.csv", "visible,infrared\nimages/val/0.png,infrared/val/0.png\n"),
                written("found/_run.json", '{"conf": 0.1, "data": null}'),
            ),
        ),
        Fault(
            "infrared folder that does not exist",
            f"{HERE} infrared=nowhere",
            "infrared='nowhere' does not exist; give the file or folder of the partners",
        ),
        Fault(
            "infrared folder of other images",
            f"{HERE} infrared=infrared/val",
            "2 problems in source='images/train':\n  no infrared image for 'images/train/2.png': "
            "looked for 'infrared/val/2.*'; add the file, or set 'infrared:' in the data-set YAML "
            "(at predict: infrared=)\n  no infrared image for 'images/train/3.png': looked for "
            "'infrared/val/3.*'; add the file, or set 'infrared:' in the data-set YAML (at predict: "
            "infrared=)",
        ),
        Fault(
            "one infrared image for several visible ones",
            f"{HERE} infrared=infrared/train/0.png",
            "infrared='infrared/train/0.png' is one file for 4 visible images; give a folder",
        ),
        Fault(
            "image outside of a folder named images",
            f"{PREDICT} source=street.png",
            "1 problem in source='street.png':\n  'street.png' is not in a folder named 'images', "
            "which 'infrared: infrared' would replace; set 'infrared: {from: ..., to: ...}' in the "
            "data-set YAML (at predict: infrared=)",
            picture("street.png", 48, 64, 3),
        ),
        Fault(
            "list of files that do not exist",
            f"{PREDICT} source=list.txt",
            "2 of 2 files listed in 'list.txt' do not exist: 'a.png', 'b.png'; restore them or correct the list",
            written("list.txt", "a.png\nb.png\n"),
        ),
        Fault(
            "list that is empty",
            f"{PREDICT} source=list.txt",
            "no images in 'list.txt'; give an image, a folder with images, a glob, a .txt list of "
            "images or a .csv list of pairs",
            written("list.txt"),
        ),
        Fault(
            "list that is not UTF-8",
            f"{PREDICT} source=list.txt",
            "'list.txt' is not UTF-8 text (at byte 0); save it as UTF-8",
            written("list.txt", b"\xff\xfea\x00"),
        ),
        Fault(
            "list of pairs with one column",
            f"{PREDICT} source=pairs.csv",
            "row 1 of 'pairs.csv' has 1 columns; give two, visible and infrared",
            written("pairs.csv", "images/train/0.png\n"),
        ),
        Fault(
            "list of pairs that do not exist",
            f"{PREDICT} source=pairs.csv",
            "2 of 2 files listed in 'pairs.csv' do not exist: 'a.png', 'b.png'; restore them or correct the list",
            written("pairs.csv", "a.png,b.png\n"),
        ),
        Fault(
            "list of pairs that is empty",
            f"{PREDICT} source=pairs.csv",
            "no pairs in 'pairs.csv'; give a row for each, visible,infrared",
            written("pairs.csv"),
        ),
        Fault(
            "list of pairs that is not UTF-8",
            f"{PREDICT} source=pairs.csv",
            "'pairs.csv' is not UTF-8 text (at byte 0); save it as UTF-8",
            written("pairs.csv", b"\xff\xfea\x00"),
        ),
        Fault(
            "video that does not exist",
            f"{PREDICT} source=day.mp4 infrared=heat.mp4",
            "'day.mp4' does not exist; give the path of a video",
        ),
        Fault(
            "video that is none",
            "track model=best.pt source=day.mp4 infrared=heat.mp4",
            "'day.mp4' cannot be opened as a video; is it complete, and does a player play it?",
            written("day.mp4", "no video"),
        ),
        Fault(
            "video whose name is not UTF-8",
            f"{PREDICT} source=\udcff.mp4 infrared=None",
            "the name of '\\udcff.mp4' is not UTF-8, so it cannot be opened; rename it",
            lambda root: (root / "\udcff.mp4").touch(),
        ),
        Fault(
            "live camera that is off",
            f"{PREDICT} source=rtsp://127.0.0.1:1/a infrared=rtsp://127.0.0.1:1/b reconnect=0.1",
            "no frames from camera 'rtsp://127.0.0.1:1/a'; check its address, and that it is on",
        ),
        Fault(
            "live camera that does not exist",
            f"{PREDICT} source=97 infrared=98 reconnect=0.1",
            "no frames from camera '97'; check its address, and that it is on",
        ),
        Fault(
            "live camera without an infrared one",
            f"{PREDICT} source=rtsp://127.0.0.1:1/a",
            "no infrared camera for 'rtsp://127.0.0.1:1/a'; give it as infrared=, or infrared=None "
            "for none, or layout= if one camera holds both",
        ),
        Fault(
            "layout beside infrared images",
            f"{HERE} layout=horizontal infrared=infrared/train",
            "layout=horizontal says that the images hold both cameras; leave infrared= out",
        ),
        Fault(
            "layout of four channels in an image of three",
            f"{HERE} layout=stacked",
            "'images/train/0.png' has the channels RGB; layout=stacked reads four, R, G, B, IR, of 8 or 16 bits",
        ),
        Fault(
            "halves of an odd width",
            f"{HERE} layout=horizontal",
            "layout=horizontal needs two equal halves, but a frame of 63x48 has an odd width; crop it",
            picture("images/train/0.png", 48, 63, 3),
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
