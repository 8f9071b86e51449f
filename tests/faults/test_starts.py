"""Where training starts or goes on from, and exports in the place of checkpoints."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import archive, folder, written

TRAIN = "train data=data.yaml"


def onnx_of_three_channels(root: Path) -> None:
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in ("images", "output0")]
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["output0"])], "stock", sides[:1], sides[1:])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), root / "stock.onnx")


AREA = Area(
    "Starts of a training, and exports",
    "`pretrained=` and `distill_model=` take checkpoints, `predict` and `val` exports too.",
    [
        Fault(
            "start that does not exist",
            f"{TRAIN} pretrained=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt, or leave it out",
        ),
        Fault(
            "start that cannot be downloaded",
            f"{TRAIN} pretrained=yolov8n.pt",
            "no checkpoint 'yolov8n.pt' here, and it cannot be downloaded; put the file here, or give the path of one",
        ),
        Fault(
            "start that cannot be downloaded, comparison",
            "compare data=data.yaml pretrained=yolov8n.pt",
            "no checkpoint 'yolov8n.pt' here, and it cannot be downloaded; put the file here, or give the path of one",
        ),
        Fault(
            "start that cannot be downloaded, demo",
            "demo pretrained=yolov8n.pt",
            "no checkpoint 'yolov8n.pt' here, and it cannot be downloaded; put the file here, or give the path of one",
        ),
        Fault(
            "start at an address that does not answer",
            f"{TRAIN} pretrained=https://nowhere.invalid/a.pt",
            "no checkpoint 'https://nowhere.invalid/a.pt' here, and it cannot be downloaded; put the "
            "file here, or give the path of one",
        ),
        Fault(
            "start that is a YAML",
            f"{TRAIN} pretrained=data.yaml",
            "'data.yaml' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
        ),
        Fault(
            "start that is an archive",
            f"{TRAIN} pretrained=other.pt",
            "'other.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            archive,
        ),
        Fault(
            "teacher that does not exist",
            f"{TRAIN} distill_model=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt, or leave it out",
        ),
        Fault(
            "teacher that reads three channels",
            f"{TRAIN} distill_model=stock.pt",
            "distill_model: 'stock.pt' reads images of 3 channels, not pairs; give the checkpoint of "
            "a detector on pairs, such as one trained with model=metafusion-yolov8m.yaml",
        ),
        Fault(
            "run to resume that is finished",
            "train resume=best.pt",
            "'best.pt' does not belong to an interrupted run; give the last.pt of one",
        ),
        Fault(
            "run to resume that does not exist",
            "train resume=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "run to resume that is a YAML",
            "train resume=True model=metafusion-yolov8n.yaml",
            "'metafusion-yolov8n.yaml' does not belong to an interrupted run; give the last.pt of one",
        ),
        Fault(
            "export that does not exist",
            "predict source=images/train model=nowhere.onnx",
            "no model 'nowhere.onnx'; give a checkpoint (.pt), an export (.onnx, ...) or a model YAML",
        ),
        Fault(
            "export that is text",
            "predict source=images/train model=other.onnx",
            "'other.onnx' cannot be loaded (…); export it again",
            written("other.onnx", "no model"),
        ),
        Fault(
            "export that reads three channels",
            "predict source=images/train model=stock.onnx",
            "this model reads 3-channel images, not pairs of R,G,B,IR; give a model trained or "
            "exported by metafusion_yolo",
            onnx_of_three_channels,
        ),
        Fault(
            "export that is text, TorchScript",
            "predict source=images/train model=other.torchscript",
            "'other.torchscript' cannot be loaded (PytorchStreamReader failed reading zip archive: not a ZIP archive); "
            "export it again",
            written("other.torchscript", "no model"),
        ),
        Fault(
            "folder of an export that is empty",
            "predict source=images/train model=other_openvino_model",
            "no .xml file in 'other_openvino_model'; export the model again",
            folder("other_openvino_model"),
        ),
        Fault(
            "export whose package is not installed",
            "predict source=images/train model=other.engine",
            "this format needs the package 'tensorrt', which is not installed: pip install tensorrt, "
            "or set YOLO_AUTOINSTALL=1 to let Ultralytics install what it needs",
            written("other.engine", "x"),
        ),
        Fault(
            "training of an export",
            f"{TRAIN} model=stock.onnx",
            "model='stock.onnx'…",
            onnx_of_three_channels,
        ),
        Fault(
            "fusion by an export",
            "fuse source=images/train model=stock.onnx",
            "'stock.onnx' is an export; use the .pt checkpoint, or predict with save_fused=True",
            onnx_of_three_channels,
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
