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
    "Exceptions are `ValueError` (`PairError` where two images do not make a pair), `TypeError` (`UnsafeCheckpointError` "
    "where a checkpoint could run code), `FileNotFoundError` and other kinds of `OSError`.",
    [
        predict("None", "?", ValueError, "no source"),
        predict("5.5", "?", TypeError, "source that is a number"),
        predict("[]", "?", FileNotFoundError, "source that is an empty list"),
        predict("'images/train'", "?", PairError, "infrared image missing", plant=removed("infrared/train/1.png")),
        predict(GREY, "?", PairError, "grey array alone"),
        predict(COLOUR, "?", PairError, "colour array alone"),
        predict(f"[{COLOUR}], infrared=[]", "?", PairError, "lists of different length"),
        predict("np.zeros((8, 8, 5), np.uint8)", "?", TypeError, "array of five channels"),
        predict("np.zeros((0, 8, 4), np.uint8)", "?", TypeError, "array without pixels"),
        predict("np.zeros((8, 8, 4), np.float32)", "?", TypeError, "stack of fractions"),
        predict(f"({COLOUR}, np.zeros((9, 4), np.uint16))", "?", PairError, "arrays of different shape"),
        predict("torch.zeros(1, 3, 64, 64)", "?", PairError, "tensor of three channels"),
        predict("torch.full((1, 4, 64, 64), 255.0)", "?", PairError, "tensor of 0 to 255"),
        predict("torch.full((1, 4, 64, 64), float('nan'))", "?", PairError, "tensor of NaN"),
        predict("torch.zeros(1, 4, 63, 64)", "?", PairError, "tensor whose sides are no multiples of 32"),
        predict("'images/train', view='x'", "?", ValueError, "view that does not exist"),
        predict("'images/train', bogus=1", "?", SyntaxError, "argument that does not exist"),
        predict("'images/train', classes=['person']", "?", TypeError, "classes by their names"),
        predict("'images/train', device='7'", "?", ValueError, "GPU that is not there"),
        Fault("checkpoint that is None", "MetaFusionYOLO(None)", "?", raises=FileNotFoundError),
        Fault("stock checkpoint", "MetaFusionYOLO('stock.pt')", "?", raises=TypeError),
        Fault("weights that do not exist", f"{BEST}.load('nowhere.pt')", "?", raises=FileNotFoundError),
        Fault("weights that are a YAML", f"{BEST}.load('data.yaml')", "?", raises=TypeError),
        Fault("training without data", "MetaFusionYOLO().train()", "?", raises=ValueError),
        Fault("training on a number", "MetaFusionYOLO().train(data=5)", "?", raises=FileNotFoundError),
        Fault("tracking without a source", f"{BEST}.track()", "?", raises=ValueError),
        Fault("validation of an unknown camera", f"{BEST}.val(data='data.yaml', modalities='x')", "?", raises=ValueError),
        Fault("export with three inputs", f"{BEST}.export(format='onnx', inputs='three')", "?", raises=ValueError),
        Fault("export format that does not exist", f"{BEST}.export(format='pickle')", "?", raises=ValueError),
        Fault("fusion method that does not exist", f"list({BEST}.fuse_images('images/train', method='x'))", "?", raises=ValueError),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
