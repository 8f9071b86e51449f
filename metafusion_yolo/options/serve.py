"""Arguments of the server, with its page and without."""

from dataclasses import dataclass

from metafusion_yolo.options.fields import Checked, option


@dataclass(frozen=True)
class Serve(Checked):
    """Detection over HTTP."""

    model: str = option("yolov8n.pt", "checkpoint, fused or stock (.pt), or export; ONNX runs without PyTorch")
    data: str | None = option(None, "data-set YAML of these cameras, if not those of the training")
    host: str = option("127.0.0.1", "address to listen on; any but this machine's own needs a token")
    port: int = option(8000, "port to listen on; 0: any free one", least=0, most=65535)
    token: str | None = option(
        None, "token of 16 letters or more that each request must send", shown="METAFUSION_TOKEN"
    )
    imgsz: int | None = option(
        None, "image size in pixels, for checkpoints and dynamic exports", shown="model's", least=32
    )
    device: str | int | None = option(None, "device to run on: 0, cpu, mps")
    iou: float = option(0.7, "largest IoU of two boxes of one class", least=0, most=1)
    batch: int = option(8, "largest number of requests answered together", least=1)
    waiting: int = option(32, "requests that may wait; more are rejected", least=1)
    max_mb: float = option(64, "largest request, megabytes", least=0.001)
    max_pixels: float = option(50, "largest image, millions of pixels", least=0.001)
    timeout: float = option(30, "seconds for a request to arrive, and to wait", least=0.1)
    config: str | None = option(None, "YAML of camera pairs, rules and events; may hold other arguments")


@dataclass(frozen=True)
class App(Serve):
    """The page, and the same server behind it."""

    runs: str = option("runs", "folder of the reports that the page compares")
    visible: str | int | None = option(None, "visible camera to watch: rtsp://, http:// or its number")
    infrared: str | int | None = option(None, "infrared camera beside it")
    open: bool = option(True, "open the page in the browser")
