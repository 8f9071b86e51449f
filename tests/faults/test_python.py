"""The same from Python: each mistake is one exception of a plain kind."""

from __future__ import annotations

from metafusion_yolo import PairError
from tests.faults.catalogue import Area, Fault
from tests.faults.plants import removed

BEST = "MetaFusionYOLO('best.pt')"
GREY, COLOUR = "np.zeros((8, 8), np.uint8)", "np.zeros((8, 8, 3), np.uint8)"


def predict(arguments: str, says: str, raises: type[Exception] = PairError, title: str = "", **more) -> Fault:
    return Fault(title, f"{BEST}.predict({arguments})", says, raises=raises, **more)


AREA = Area(
    "Python",
    "Exceptions are `ValueError` (`PairError` where two images do not make a pair), `TypeError` "
    "(`UnsafeCheckpointError` where a checkpoint could run code), `FileNotFoundError` and other kinds of `OSError`.",
    [
        predict(
            "None",
            "'source' is missing; give an image, a folder, a video, an array or a list of pairs",
            ValueError,
            "no source",
        ),
        predict(
            "5.5",
            "a visible image must be a path, PIL image or (H, W, 3) uint8 array, not float",
            TypeError,
            "source that is a number",
        ),
        predict(
            "[]",
            "the list of visible images is empty; give at least one",
            FileNotFoundError,
            "source that is an empty list",
        ),
        predict(
            "[('https://example.org/a.jpg', 'b.png')]",
            "'https://example.org/a.jpg' is on the web; download it first",
            FileNotFoundError,
            "list with an image on the web",
        ),
        predict(
            "torch.zeros(0, 4, 32, 32)",
            "a tensor source must be (B, 4, H, W), R, G, B, IR in [0, 1], not (0, 4, 32, 32)",
            PairError,
            "tensor without pairs",
        ),
        predict(
            "'images/train'",
            "1 problem in source='images/train':\n  no infrared image for 'images/train/1.png': "
            "looked for 'infrared/train/1.*'; add the file, or set 'infrared:' in the data-set YAML "
            "(at predict: infrared=)",
            PairError,
            "infrared image missing",
            plant=removed("infrared/train/1.png"),
        ),
        predict(
            GREY,
            "no infrared image for an image in memory; give it as infrared=, or infrared=None for none",
            PairError,
            "grey array alone",
        ),
        predict(
            COLOUR,
            "no infrared image for an image in memory; give it as infrared=, or infrared=None for none",
            PairError,
            "colour array alone",
        ),
        predict(
            f"[{COLOUR}], infrared=[]",
            "1 visible and 0 infrared images; give lists with as many of each",
            PairError,
            "lists of different length",
        ),
        predict(
            "np.zeros((8, 8, 5), np.uint8)",
            "a visible image must be a path, PIL image or (H, W, 3) uint8 array, not an array (8, 8, 5) uint8",
            TypeError,
            "array of five channels",
        ),
        predict(
            "np.zeros((0, 8, 4), np.uint8)",
            "a stacked pair must be an (H, W, 4) uint8 array, R, G, B, IR, not an array (0, 8, 4) uint8",
            TypeError,
            "array without pixels",
        ),
        predict(
            "np.zeros((8, 8, 4), np.float32)",
            "a stacked pair must be an (H, W, 4) uint8 array, R, G, B, IR, not an array (8, 8, 4) float32",
            TypeError,
            "stack of fractions",
        ),
        predict(
            f"({COLOUR}, np.zeros((9, 4), np.uint16))",
            "the two images have different sizes (8x8 and 4x9) and shapes; register them (metafusion "
            "data register), or crop them to the same view",
            PairError,
            "arrays of different shape",
        ),
        predict(
            "torch.zeros(1, 3, 64, 64)",
            "a tensor source must be (B, 4, H, W), R, G, B, IR in [0, 1], not (1, 3, 64, 64)",
            PairError,
            "tensor of three channels",
        ),
        Fault(
            "tensor of 0 to 255",
            f"{BEST}.predict(torch.full((1, 4, 64, 64), 255.0))",
            "WARNING …255.0…",
            code=0,
            python=True,
        ),
        predict(
            "torch.full((1, 4, 64, 64), float('nan'))",
            "a tensor source holds values that are not finite; give R, G, B, IR in [0, 1]",
            PairError,
            "tensor of NaN",
        ),
        predict(
            "torch.zeros(1, 4, 63, 64)",
            "…(1, 4, 63, 64)…",
            ValueError,
            "tensor whose sides are no multiples of 32",
        ),
        predict(
            "'images/train', view='x'",
            "'view=x' is invalid, known: fused, infrared, panel, visible, weights",
            ValueError,
            "view that does not exist",
        ),
        predict(
            "'images/train', bogus=1",
            "'bogus'…",
            SyntaxError,
            "argument that does not exist",
        ),
        predict(
            "'images/train', classes=['person']",
            "'classes=['person']' must be class numbers, such as 0 or [0, 2]",
            TypeError,
            "classes by their names",
        ),
        predict(
            "'images/train', device='7'",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
            ValueError,
            "GPU that is not there",
        ),
        Fault(
            "checkpoint that is None",
            "MetaFusionYOLO(None)",
            "no model 'None'; give a checkpoint (.pt), an export (.onnx, ...) or a model YAML",
            raises=FileNotFoundError,
        ),
        Fault(
            "weights that do not exist",
            f"{BEST}.load('nowhere.pt')",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt, or leave it out",
            raises=FileNotFoundError,
        ),
        Fault(
            "weights that are a YAML",
            f"{BEST}.load('data.yaml')",
            "'data.yaml' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            raises=TypeError,
        ),
        Fault(
            "training without data",
            "MetaFusionYOLO().train()",
            "'data' is missing; give the YAML of a paired data set",
            raises=ValueError,
        ),
        Fault(
            "training on a number",
            "MetaFusionYOLO().train(data=5)",
            "data=5 must be the path of a data-set YAML",
            raises=TypeError,
            leaves=["runs/detect/train/args.yaml"],
        ),
        Fault(
            "tracking without a source",
            f"{BEST}.track()",
            "'source' is missing; give an image, a folder, a video, an array or a list of pairs",
            raises=ValueError,
        ),
        Fault(
            "trackers of two sequences in one thread",
            f"[m.track('images/val', persist=True) for m in [{BEST}] for _ in m.track('images/train', stream=True)]",
            "persist=True continues trackers that an unfinished stream of this thread is using; end the stream first, "
            "or track the other sequence in a thread of its own",
            raises=ValueError,
        ),
        Fault(
            "validation of an unknown camera",
            f"{BEST}.val(data='data.yaml', modalities='x')",
            "'modalities=x' is invalid, known: both, infrared, visible",
            raises=ValueError,
        ),
        Fault(
            "export with three inputs",
            f"{BEST}.export(format='onnx', inputs='three')",
            "'inputs=three' is invalid, known: one, two",
            raises=ValueError,
        ),
        Fault(
            "export format that does not exist",
            f"{BEST}.export(format='pickle')",
            "…format='pickle'…",
            raises=ValueError,
        ),
        Fault(
            "fusion method that does not exist",
            f"list({BEST}.fuse_images('images/train', method='x'))",
            "'method=x' is invalid, known: average, laplacian, learned, max, maximum",
            raises=ValueError,
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
