"""A bug looks like a bug: a traceback, exit code 1, and where to report it. A mistake is one line and exit code 2."""

from __future__ import annotations

import numpy as np
import pytest
from ultralytics.cfg import check_dict_alignment
from ultralytics.utils.ops import xyxy2xywh

from metafusion_yolo import cli
from metafusion_yolo.cli.errors import explain, refused_by_host
from metafusion_yolo.support.errors import UserError, UserValueError
from tests.conftest import TINY
from tests.processes import run_code

PREDICTOR = "metafusion_yolo.engine.predict.predictor.FusionDetectionPredictor"
PLACES = {
    f"predict model={TINY} source={{images}} imgsz=64 device=cpu": f"{PREDICTOR}.postprocess",
    f"train model={TINY} data={{data}} epochs=1 imgsz=64 batch=2 device=cpu pretrained=False": (
        "metafusion_yolo.engine.train.trainer.FusionDetectionTrainer.build_dataset"
    ),
    f"val model={TINY} data={{data}} imgsz=64 device=cpu": (
        "metafusion_yolo.engine.validate.validator.FusionDetectionValidator.update_metrics"
    ),
    "data check data={data}": "metafusion_yolo.prepare.check.check_dataset",
}


def broken(error: type[Exception]):
    def fail(*_, **__):
        raise error("planted")

    return fail


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError, AssertionError])
@pytest.mark.parametrize(
    ("command", "place"), PLACES.items(), ids=[place.rpartition(".")[2] for place in PLACES.values()]
)
def test_a_bug_keeps_its_traceback(pair_folder, tmp_path, monkeypatch, capsys, command, place, error) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, broken(error))
    assert cli.main(command.format(images=pair_folder.images, data=pair_folder.yaml).split()) == 1
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said and f"{error.__name__}: " in said and "in fail" in said
    last = said.splitlines()[-1]
    assert last.startswith("metafusion: this is a bug of metafusion_yolo 0.") and "ultralytics 8." in last
    assert "torch 2." in last and "please report it" in last


def test_a_bug_ends_the_process_with_1(pair_folder, tmp_path) -> None:
    code = (
        f"import {PREDICTOR.rpartition('.')[0]} as module, sys\n"
        "def fail(*args, **kwargs): return None + 1\n"
        "module.FusionDetectionPredictor.postprocess = fail\n"
        "from metafusion_yolo.cli import main; sys.exit(main())"
    )
    words = ["predict", f"model={TINY}", f"source={pair_folder.images}", "imgsz=64", "device=cpu"]
    done = run_code(code, *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "TypeError: unsupported operand" in done.stderr and "this is a bug" in done.stderr.splitlines()[-1]


def test_what_the_host_refuses_is_no_bug() -> None:
    with pytest.raises(SyntaxError) as refused:
        check_dict_alignment({"epochs": 1}, {"epoch": 2})
    assert refused_by_host(refused.value)
    with pytest.raises(AssertionError) as refused:
        xyxy2xywh(np.zeros(3))
    assert refused_by_host(refused.value)
    with pytest.raises(AttributeError) as failed:  # in the very line of the assertion
        xyxy2xywh(None)
    assert not refused_by_host(failed.value)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserValueError("a\nb"), 2, "metafusion: error: a b"),
        (PermissionError(13, "Permission denied", "x"), 2, "change its rights, or name another place"),
        (MemoryError(), 2, "out of memory; make batch= or imgsz= smaller"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), 2, "(tried to allocate 2.00 GiB)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (cli.Terminated(), 143, "terminated"),
    ],
)
def test_what_is_no_bug_is_one_line(error, code, text) -> None:
    found, said = explain(error)
    assert found == code and text in said and "\n" not in said


def test_every_error_class_of_ours_is_a_mistake_of_the_user() -> None:
    from metafusion_yolo.data.labels import LabelError
    from metafusion_yolo.data.pairs import PairError
    from metafusion_yolo.engine.checkpoints import UnsafeCheckpointError

    assert all(issubclass(kind, UserError) for kind in (PairError, UnsafeCheckpointError, LabelError))
