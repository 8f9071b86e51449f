"""`metafusion data`: conversion, registration, synthetic pairs."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import written

REGISTER = "data register data=data.yaml"

AREA = Area(
    "Data commands",
    "The layouts that can be converted are in [data sets](datasets.md); registration is in [registration](registration.md).",
    [
        *(Fault(f"conversion from a folder that is no {name}", f"data convert format={name} src=images dst=new", "?") for name in ("llvip", "m3fd", "flir-aligned", "kaist", "drone-vehicle", "vedai", "msrs", "voc", "coco", "yolo")),
        Fault("conversion of an unknown format", "data convert format=llvp src=images dst=new", "?"),
        Fault("conversion from nowhere", "data convert format=llvip src=nowhere dst=new", "?"),
        Fault("conversion from a file", "data convert format=llvip src=data.yaml dst=new", "?"),
        Fault("conversion into itself", "data convert format=llvip src=images dst=images/new", "?"),
        Fault("conversion with labels of neither camera", "data convert format=llvip src=images dst=new labels=both", "?"),
        Fault("registration by too few pairs", f"{REGISTER} pairs=3", "?"),
        Fault("registration by a matrix of two rows", f"{REGISTER} matrix=[[1,0,0],[0,1,0]]", "?"),
        Fault("registration by a matrix of zeros", f"{REGISTER} matrix=[[0,0,0],[0,0,0],[0,0,0]]", "?"),
        Fault("registration by a matrix of words", f"{REGISTER} matrix=[['a','b'],['c','d']]", "?"),
        Fault("registration by hand of each sequence", f"{REGISTER} matrix=[[1,0,0],[0,1,0],[0,0,1]] per=sequence", "?"),
        Fault("registration of a data set of the package", "data register data=llvip.yaml", "?"),
        Fault("registration of a YAML in braces", f"{REGISTER} matrix=[[1,0,0],[0,1,0],[0,0,1]]", "?", written("data.yaml", "{train: images/train, val: images/val, names: [a, b]}"), leaves=["runs/register-2/*.png"]),
        Fault("synthetic data of no pairs", "data synth dst=new train=0", "?"),
        Fault("synthetic data of 8 pixels", "data synth dst=new imgsz=8", "?"),
        Fault("synthetic data of a negative seed", "data synth dst=new seed=-1", "?"),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
