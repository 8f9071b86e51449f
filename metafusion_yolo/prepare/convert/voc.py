"""Pascal VOC XML: LLVIP, M3FD, aligned FLIR, DroneVehicle, and your own pairs in the same format."""

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.prepare.convert import formats
from metafusion_yolo.prepare.convert.folders import pairs_of, parts, read_classes
from metafusion_yolo.prepare.convert.formats import Box, Corners, Format, Listing, Pair

LLVIP_LAYOUT = "visible/{train,test}, infrared/{train,test} and Annotations, as LLVIP is published,"
M3FD_LAYOUT = "Vis, Ir and Annotation, as M3FD is published,"
FLIR_LAYOUT = "JPEGImages, Annotations, align_train.txt and align_validation.txt, as aligned FLIR is published,"
DRONE_LAYOUT = "train/{trainimg,trainimgr,trainlabel,trainlabelr}, likewise val and test, as DroneVehicle is published,"


def read_xml(file: Path) -> list[Box]:
    """Read the objects of an XML file: `bndbox`, or a `polygon` of four corners.

    A `bndbox` is xmin, ymin, xmax, ymax, or x, y, w, h as in KAIST. Coordinates are not shifted: VOC counts pixels
    from 1, most data sets in its format from 0.

    Raises:
        LabelError: If the file is missing or not XML.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except FileNotFoundError as error:
        raise LabelError("label file is missing") from error
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise LabelError("XML that cannot be read") from error
    return [_object(item) for item in root.iter("object")]


def _object(item: ElementTree.Element) -> Box:
    """Return an object, without a box if there is none, or it is not made of numbers."""
    name, polygon = (item.findtext("name") or "").strip(), item.find("polygon")
    if polygon is None:
        return Box(name, _corners(item.find("bndbox")))
    try:
        xs, ys = ([float(polygon.findtext(f"{axis}{i}") or "") for i in (1, 2, 3, 4)] for axis in "xy")
    except ValueError:
        return Box(name, None)
    return Box(name, (min(xs), min(ys), max(xs), max(ys)), outline=[*zip(xs, ys, strict=True)])


def _corners(box: ElementTree.Element | None) -> Corners | None:
    """Return the corners of a `bndbox`; None if there is none, or it is not made of numbers."""
    try:
        if box is None:
            return None
        keys = ("x", "y", "w", "h") if box.find("w") is not None else ("xmin", "ymin", "xmax", "ymax")
        left, top, right, bottom = (float(box.findtext(key) or "") for key in keys)
    except ValueError:
        return None
    return (left, top, left + right, top + bottom) if keys[2] == "w" else (left, top, right, bottom)


def shared(file: Path) -> dict[str, formats.Reader]:
    """Return the reader of an XML file that holds the labels of both cameras."""
    return {formats.SHARED: partial(read_xml, file)}


def read_llvip(src: Path) -> Listing:
    """List LLVIP: folders by camera and split, one class."""
    annotations = formats.require_folder(src, "Annotations", layout=LLVIP_LAYOUT)
    cameras = [formats.require_folder(src, camera, layout=LLVIP_LAYOUT) for camera in formats.CAMERAS]
    pairs = []
    for split in ("train", "test"):
        folders = [formats.require_folder(camera, split, layout=LLVIP_LAYOUT) for camera in cameras]
        for name, visible, infrared in formats.side_by_side(*folders):
            pairs.append(Pair(split, name, visible, infrared, shared(annotations / f"{name}.xml")))
    return Listing(pairs, ("person",), ["split: as published; the test split validates"])


def read_m3fd(src: Path) -> Listing:
    """List M3FD, which publishes no split."""
    visible, infrared = (formats.require_folder(src, name, layout=M3FD_LAYOUT) for name in ("Vis", "Ir"))
    annotations = formats.require_folder(src, "Annotation", "Annotations", layout=M3FD_LAYOUT)
    found = formats.side_by_side(visible, infrared)
    pairs = [Pair("", name, vis, ir, shared(annotations / f"{name}.xml")) for name, vis, ir in found]
    return Listing(pairs, ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck"))


def read_flir(src: Path) -> Listing:
    """List aligned FLIR: both cameras in one folder, the split in two lists."""
    images = formats.require_folder(src, "JPEGImages", layout=FLIR_LAYOUT)
    annotations = formats.require_folder(src, "Annotations", layout=FLIR_LAYOUT)
    pairs = []
    for split, name in (("train", "align_train.txt"), ("val", "align_validation.txt")):
        for line in formats.read_list(formats.require_file(name, src, src / "ImageSets" / "Main", layout=FLIR_LAYOUT)):
            stem = line.removesuffix("_PreviewData")
            files = images / f"{stem}_RGB.jpg", images / f"{stem}_PreviewData.jpeg"
            pairs.append(Pair(split, stem, *files, shared(annotations / f"{stem}_PreviewData.xml")))
    return Listing(pairs, ("person", "bicycle", "car", "dog"), ["split: as published"])


def read_drone_vehicle(src: Path) -> Listing:
    """List the splits that exist, with labels of both cameras."""
    pairs = []
    for split in ("train", "val", "test"):
        if split != "train" and formats.find_folder(src, split) is None:
            continue
        folder = formats.require_folder(src, split, layout=DRONE_LAYOUT)
        images, infrared, labels, infrared_labels = (
            formats.require_folder(folder, f"{split}{kind}", layout=DRONE_LAYOUT)
            for kind in ("img", "imgr", "label", "labelr")
        )
        for name, vis, ir in formats.side_by_side(images, infrared):
            files = {"visible": labels / f"{name}.xml", "infrared": infrared_labels / f"{name}.xml"}
            readers = {camera: partial(read_xml, file) for camera, file in files.items()}
            pairs.append(Pair(split, name, vis, ir, readers))
    classes = ("car", "truck", "bus", "van", "freight car")
    return Listing(pairs, classes, ["split: as published"])


def read_voc(src: Path) -> Listing:
    """List your own pairs, with the classes of a classes.txt, or all that occur, in alphabetical order."""
    pairs = []
    for part in parts(src):
        for split, name, visible, infrared in pairs_of(src, part):
            labels = {camera: partial(read_xml, file) for camera, file in part.label_files(name, ".xml").items()}
            pairs.append(Pair(split, name, visible, infrared, labels))
    return Listing(pairs, tuple(read_classes(src) or sorted(_names(pairs))))


def _names(pairs: list[Pair]) -> set[str]:
    """Return all class names in the labels."""
    names: set[str] = set()
    for read in (reader for pair in pairs for reader in pair.labels.values()):
        try:
            names |= {box.name for box in read() if box.name}
        except LabelError:  # reported when the pair is converted
            continue
    return names


LLVIP = Format("llvip", "LLVIP (Jia et al., 2021), bupt-ai-cz.github.io/LLVIP", read_llvip)
M3FD = Format("m3fd", "M3FD (Liu et al., CVPR 2022), github.com/JinyuanLiu-CV/TarDAL", read_m3fd)
FLIR_ALIGNED = Format("flir-aligned", "FLIR ADAS, aligned by Zhang et al. (ICIP 2020)", read_flir)
DRONE_VEHICLE = Format(
    "drone-vehicle",
    "DroneVehicle (Sun et al., 2022), github.com/VisDrone/DroneVehicle",
    read_drone_vehicle,
    aliases={"feright car": "freight car", "feright": "freight car", "truvk": "truck"},  # typing errors in the labels
    labels="infrared",
    outlines="oriented",
    border=(840, 712, 100),
)
VOC = Format("voc", "Pairs with Pascal VOC labels", read_voc, outlines="oriented")
