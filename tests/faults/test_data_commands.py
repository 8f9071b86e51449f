"""`metafusion data`: conversion, registration, synthetic pairs."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import written

REGISTER = "data register data=data.yaml"

LAYOUTS = {  # what is said of a folder that is not in the layout
    "llvip": "no folder 'images/Annotations'; expected visible/{train,test}, infrared/{train,test} "
    "and Annotations, as LLVIP is published, in the folder src=",
    "m3fd": "no folder 'images/Vis'; expected Vis, Ir and Annotation, as M3FD is published, in the folder src=",
    "flir-aligned": "no folder 'images/JPEGImages'; expected JPEGImages, Annotations, align_train.txt and "
    "align_validation.txt, as aligned FLIR is published, in the folder src=",
    "kaist": "no folder 'images/images'; expected images/setXX/VXXX/{visible,lwir} and "
    "annotations/setXX/VXXX, as KAIST is published, in the folder src=",
    "drone-vehicle": "no folder 'images/train/trainimg'; expected "
    "train/{trainimg,trainimgr,trainlabel,trainlabelr}, likewise val and test, as "
    "DroneVehicle is published, in the folder src=",
    "vedai": "no folder 'images/Vehicules1024'; expected Vehicules1024 and Annotations1024 with "
    "fold01.txt and fold01test.txt, or the same with 512, in the folder src=",
    "msrs": "no folder 'images/train/vi'; expected {train,test}/{vi,ir,Segmentation_labels}, as MSRS "
    "is published, or vi, ir and labels of its folder detection, in the folder src=",
    "voc": "no folder 'images/visible' (or vis, vi, rgb, images, JPEGImages); expected folders "
    "visible, infrared and labels, each with or without train, val and test in it, in the "
    "folder src=",
}

AREA = Area(
    "Data commands",
    "See [data sets](datasets.md) and [registration](registration.md).",
    [
        *(
            Fault(f"conversion from a folder that is no {name}", f"data convert format={name} src=images dst=new", says)
            for name, says in LAYOUTS.items()
        ),
        Fault(
            "conversion of an unknown format",
            "data convert format=llvp src=images dst=new",
            "unknown format 'llvp', did you mean 'llvip'?",
        ),
        Fault(
            "conversion from nowhere",
            "data convert format=llvip src=nowhere dst=new",
            "no folder 'nowhere'; src= must name the root folder of the data set",
        ),
        Fault(
            "conversion from a file",
            "data convert format=llvip src=data.yaml dst=new",
            "no folder 'data.yaml'; src= must name the root folder of the data set",
        ),
        Fault(
            "conversion into itself",
            "data convert format=llvip src=images dst=images/new",
            "dst=images/new and src=images must not contain one another; name a folder elsewhere",
        ),
        Fault(
            "conversion with labels of neither camera",
            "data convert format=llvip src=images dst=new labels=both",
            "'labels=both' is invalid, known: infrared, union, visible",
        ),
        Fault(
            "pairs of a folder that is not there",
            "data init visible=images infrared=nowhere",
            "'nowhere' does not exist; give an image, a folder with images, a glob, a .txt list of images or a .csv "
            "list of pairs",
        ),
        Fault(
            "pairs of one folder alone",
            "data init visible=images/train",
            "no infrared= for visible=images/train; give the folder of the infrared images, or layout= if each image "
            "holds both cameras",
        ),
        Fault(
            "pairs of one folder whose names do not say the camera",
            "data init visible=images/train infrared=images/train",
            "visible= and infrared= are both 'images/train', and the names do not say which camera an image is of; "
            "give globs, such as visible='images/train/*_V.*' infrared='images/train/*_T.*'",
        ),
        Fault(
            "pairs of other images",
            "data init visible=images/train infrared=infrared/val by=times",
            "no partner for 2 of 2 images by names except for times a second or two apart: visible ones are named like "
            "'0.png', '1.png', '2.png', ..., infrared ones like '0.png', '1.png'; nothing is written; choose by=names, "
            "numbers, times, exif or looks, or give a CSV of pairs as visible=",
        ),
        Fault(
            "pairs of images of both cameras, and of another folder",
            "data init visible=images infrared=infrared layout=horizontal",
            "'images' needs no infrared=, as layout=horizontal says that it holds both cameras; leave infrared= out",
        ),
        Fault(
            "pairs with labels from nowhere",
            "data init visible=images infrared=infrared labels=nowhere",
            "labels='nowhere' is not a folder; give the folder of the YOLO label files",
        ),
        Fault(
            "pairs by a way that there is not",
            "data init visible=images infrared=infrared by=name",
            "'by=name' is invalid, did you mean 'names'?",
        ),
        Fault(
            "check of nothing",
            "data check",
            "give data=, a data-set YAML, or the two folders, visible= and infrared=",
        ),
        Fault(
            "check of a YAML and of folders",
            "data check data=data.yaml visible=images infrared=infrared",
            "give data=, a data-set YAML, or the two folders, visible= and infrared=",
        ),
        Fault(
            "registration of one folder",
            "data register visible=images",
            "give data=, a data-set YAML, or the two folders, visible= and infrared=",
        ),
        Fault(
            "registration by a board of unknown size",
            f"{REGISTER} board=9by6",
            "board='9by6' is invalid, expected its inner corners, across and down, such as 9x6",
        ),
        Fault(
            "registration by one live camera",
            "data register visible=rtsp://10.0.0.5/1",
            "visible=rtsp://10.0.0.5/1 is a live camera; give the other one as infrared=",
        ),
        Fault(
            "registration by too few pairs",
            f"{REGISTER} pairs=3",
            "'pairs=3' is invalid, expected at least 6: pairs to estimate from, of the data set or each sequence",
        ),
        Fault(
            "registration by a matrix of two rows",
            f"{REGISTER} matrix=[[1,0,0],[0,1,0]]",
            "registration: matrix in the arguments must be a 3 x 3 matrix of numbers, not [[1, 0, 0], [0, 1, 0]]",
        ),
        Fault(
            "registration by a matrix of zeros",
            f"{REGISTER} matrix=[[0,0,0],[0,0,0],[0,0,0]]",
            "registration: matrix in the arguments cannot be inverted; it maps infrared to visible "
            "pixels, as OpenCV's do",
        ),
        Fault(
            "registration by a matrix of words",
            f"{REGISTER} matrix=[['a','b'],['c','d']]",
            "'matrix=[[a,b],[c,d]]' is invalid, expected a list",
        ),
        Fault(
            "registration by hand of each sequence",
            f"{REGISTER} matrix=[[1,0,0],[0,1,0],[0,0,1]] per=sequence",
            "matrix= is for the whole data set; leave out per=sequence",
        ),
        Fault(
            "registration of a data set of the package",
            "data register data=llvip.yaml",
            "'…/datasets/llvip.yaml' is part of the package; copy it to a folder of yours and register the copy",
        ),
        Fault(
            "registration of a YAML in braces",
            f"{REGISTER} matrix=[[1,0,0],[0,1,0],[0,0,1]]",
            "'data.yaml' cannot be changed automatically; add this by hand: "
            "registration: {infrared: [64, 48], matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, "
            "0.0, 1.0]], visible: [64, 48]}",
            written("data.yaml", "{train: images/train, val: images/val, names: [a, b]}"),
            leaves=["runs/register-2/*.png"],
        ),
        Fault(
            "synthetic data of no pairs",
            "data synth dst=new train=0",
            "'train=0' is invalid, expected at least 1: pairs to train with",
        ),
        Fault(
            "synthetic data of 8 pixels",
            "data synth dst=new imgsz=8",
            "'imgsz=8' is invalid, expected at least 32: image size in pixels",
        ),
        Fault(
            "synthetic data of a negative seed",
            "data synth dst=new seed=-1",
            "'seed=-1' is invalid, expected at least 0: random seed for reproducibility",
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
