"""What the modes of the command run: the model's methods and the jobs without a model, and what they say at the end.

What is slow to import is imported where it is used, so that the help needs no PyTorch.
"""

from __future__ import annotations

import inspect
import shlex
import sys
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from metafusion_yolo.options import Check, Compare, Demo, Init, Label, Metrics, Register
from metafusion_yolo.options.scale import Cluster, Scale
from metafusion_yolo.options.serve import App, Serve
from metafusion_yolo.support.errors import MissingPackageError, UserValueError


def say(text: str) -> int:
    """Write a line to stdout; return the exit code of an answer, 0."""
    sys.stdout.write(f"{text}\n")
    return 0


def training(data: Any, task: str = "detect") -> str:
    """Return the command that trains on a data set, by the model that a task has where none is said."""
    words = ["metafusion", *([task] if task != "detect" else []), "train", f"data={shlex.quote(str(data))}"]
    return " ".join(words)


def stream(method: Callable[..., Any], /, **args: Any) -> None:
    """Go through the results one by one."""
    deque(method(**{"save": True, **args, "stream": True}), maxlen=0)  # memory must not grow with the source


def at_scale(args: dict[str, Any]) -> bool:
    """Return whether the arguments ask for a prediction on a manifest, by `out=`; drop defaults of it where not.

    Raises:
        UserValueError: If others of it are given without.
    """
    if args.get("out") is not None:
        return True
    given = {key: args.pop(key) for key in ("out", "engine", "part") if key in args}  # the host knows `workers` too
    if told := [f"{key}={value}" for key, value in given.items() if value not in (None, Scale.engine)]:
        raise UserValueError(f"'{told[0]}' needs out=, a folder or address for results, and a manifest as source=")
    return False


def predict_at_scale(**args: Any) -> None:
    """Predict on a manifest, and say what was done.

    Raises:
        UserValueError: For an argument of the other kind of prediction.
    """
    from metafusion_yolo import scale

    if other := next((key for key in args if key not in inspect.signature(scale.predict).parameters), None):
        raise UserValueError(
            f"'{other}' cannot be used with out=, which writes Parquet files only; leave out one of them"
        )
    say(str(scale.predict(**args)))


def tune(method: Callable[..., Any], /, **args: Any) -> None:
    """Search, and say what to do with what was found."""
    found = method(**args)
    if not args.get("use_ray"):  # which logs it
        task = method.__self__.task  # type: ignore[attr-defined]
        say(f"\nUse it:  {training(args['data'], task)} cfg={shlex.quote(str(found))}")


def export(method: Callable[..., Any], /, **args: Any) -> None:
    """Export, and say how to use it."""
    path = method(**{"format": "onnx", **args})
    if args.get("triton"):
        say(f"\nServe it: tritonserver --model-repository={shlex.quote(args['triton'])}")
    say(f"\nUse it:  metafusion predict model={shlex.quote(str(path))} source=...")


def fuse(fuse_images: Callable[..., Any], /, **args: Any) -> None:
    """Write fused images, and say where they are."""
    files = Counter((path.parent, path.suffix) for path in fuse_images(**args))
    if not files:
        raise UserValueError(f"nothing to fuse in '{args['source']}'")
    kinds = {".png": "image", ".mp4": "video"}
    for (folder, suffix), count in files.items():
        say(f"{count} fused {kinds[suffix]}{'s' * (count > 1)} in {folder}")


def demo(**args: Any) -> None:
    """Run the demo."""
    from metafusion_yolo.cli.demo import run_demo

    run_demo(Demo(**args))


def app(**args: Any) -> None:
    """Open the page."""
    _serve(App(**args))


def serve(**args: Any) -> None:
    """Detect over HTTP."""
    _serve(Serve(**args))


def _serve(options: Serve) -> None:
    """Run the server.

    Raises:
        MissingPackageError: If a package that it needs is not installed.
    """
    try:
        from metafusion_yolo.serve.server import serve
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"the server needs {error.name}, which is not installed: pip install 'metafusion-yolo[app]'",
            name=error.name,
        ) from error
    serve(options, say)


def synth(dst: str, **args: Any) -> None:
    """Write synthetic pairs, and say how to train on them."""
    from metafusion_yolo.prepare.synthetic import write_dataset

    path = write_dataset(root=dst, **args)
    say(f"Data set:  {path}")
    say(f"Train:     {training(path, args.get('task', 'detect'))} imgsz={args.get('imgsz', 640)} epochs=50")


def convert(**args: Any) -> None:
    """Convert a data set, and say how to train on it."""
    from metafusion_yolo.prepare.convert import convert

    report = convert(**args)
    say(f"{report}\n\nData set:  {report.yaml}")
    task = {"oriented": "obb", "segments": "segment"}.get(args.get("boxes", ""), "detect")
    say(f"Train:     {training(report.yaml, task)} epochs=50")


def init(**args: Any) -> None:
    """Find the pairs of two folders, and say how to train on them."""
    from metafusion_yolo.prepare.init import init_dataset

    found, page = init_dataset(Init(**args))
    data = shlex.quote(str(found.yaml))
    say(f"Data set:  {found.yaml}\nReport:    {page}")
    if not found.labelled:
        say(f"Label:     metafusion data label data={data} model=yolov8n.pt")
    say(f"Train:     metafusion train data={data} pretrained=yolov8n.pt epochs=50")


def check_data(**args: Any) -> int:
    """Check a data set; return 1 if it must be repaired."""
    from metafusion_yolo.prepare.check import run_check

    report, path = run_check(Check.of(args), Cluster.of(args))
    say(f"{report.summary()}\nReport: {path}")
    return 1 if report.errors else 0


def compare(**args: Any) -> None:
    """Compare, and say what to use."""
    from metafusion_yolo.compare import run_compare

    verdict, page = run_compare(Compare(**args))
    say(f"\n{verdict.sentence}\n{verdict.rule}\nReport: {page}")


def register(**args: Any) -> None:
    """Register the cameras of a data set."""
    from metafusion_yolo.prepare.register import register_dataset

    register_dataset(Register(**args))


def label(**args: Any) -> None:
    """Label pairs; tell what came of it."""
    from metafusion_yolo.labelling.dataset import label_pairs

    say(str(label_pairs(Label.of(args), Cluster.of(args))))


def metrics(**args: Any) -> None:
    """Score fused images, and show the table."""
    from metafusion_yolo.evaluation.scoring import score_folders, table

    figures, file = score_folders(Metrics(**args))
    count = next(iter(figures.values())).images
    say(f"{table(figures)}\n\nMean ± standard deviation over {count} pairs; a row for each in {file}")
