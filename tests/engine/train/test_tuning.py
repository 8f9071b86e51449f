"""The search for hyper-parameters: fused detectors, keys of the front-end in it, and a YAML to train with."""

from __future__ import annotations

import shlex
import sys
from types import SimpleNamespace

import pytest
import yaml
from ultralytics.engine import trainer as host_trainer
from ultralytics.engine.tuner import Tuner

from metafusion_yolo import MetaFusionYOLO, cli
from metafusion_yolo.cli.modes import MODES
from metafusion_yolo.cli.parsing import check, parse
from metafusion_yolo.config import FusionConfig, dotted, section_of
from metafusion_yolo.engine.train.arguments import for_the_host
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.train.tuning import DEAD, LEARNED_SPACE, OWN_SPACE, FusionTuner, check_space, write_best
from metafusion_yolo.nn.tasks import FusionDetectionModel
from metafusion_yolo.support.errors import MissingPackageError, UserError, UserTypeError, UserValueError
from tests.engine.conftest import IMGSZ, TRAIN_ARGS
from tests.processes import run_code

SHORT = {"epochs": 1, "imgsz": IMGSZ, "batch": 4, "plots": False, "workers": 0}


@pytest.fixture
def model() -> MetaFusionYOLO:
    return MetaFusionYOLO("metafusion-yolov8n.yaml")


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """Remember the processes that the host starts, and let them do nothing."""
    started: list[list[str]] = []
    monkeypatch.setattr(host_trainer.subprocess, "run", lambda words, **_: started.append(words))
    return started


@pytest.mark.slow
def test_the_best_of_a_search_is_a_fused_detector_and_a_yaml_to_train_with(tiny_data, tmp_path, capsys):
    space = "space={'lr0': (1e-5, 1e-2), 'fusion.gains.gradient': (3, 4)}"
    short = [f"{key}={value}" for key, value in SHORT.items()]
    words = [f"data={tiny_data}", "iterations=1", space, f"project={tmp_path}", *short]
    assert cli.main(["tune", *words]) == 0
    best = tmp_path / "tune" / "best_hyperparameters.yaml"
    assert f"Use it:  metafusion train data={tiny_data} cfg={best}\n" in capsys.readouterr().out
    assert yaml.safe_load(best.read_text()) == {"lr0": 0.01, "fusion.gains.gradient": 4.0, "optimizer": "AdamW"}
    found = MetaFusionYOLO(tmp_path / "tune" / "weights" / "best.pt").model
    assert isinstance(found, FusionDetectionModel)
    assert found.config.gains.gradient == 4.0

    args = check(MODES["train"], parse(MODES["train"], [f"cfg={best}", f"data={tiny_data}"]))
    assert args == {"data": str(tiny_data), "lr0": 0.01, "fusion.gains.gradient": 4.0, "optimizer": "AdamW"}
    overrides = {**TRAIN_ARGS, **args, "model": "metafusion-yolov8n.yaml", "project": str(tmp_path)}
    trainer = FusionDetectionTrainer(overrides=overrides)
    assert trainer.get_model("metafusion-yolov8n.yaml", verbose=False).config.gains.gradient == 4.0


def test_trainings_of_a_search_run_our_command_with_words_that_it_takes(model, commands, tiny_data, tmp_path):
    with pytest.raises(UserValueError, match="no training of the search was completed"):  # as they did nothing
        model.tune(data=str(tiny_data), iterations=1, project=str(tmp_path), fusion={"gains": {"ssim": 2}}, **SHORT)
    [words] = commands
    assert words[:4] == [sys.executable, "-m", "metafusion_yolo", "train"]
    args = check(MODES["train"], parse(MODES["train"], words[4:]))
    assert args["data"] == str(tiny_data) and args["optimizer"] == "AdamW"
    assert {key for key in args if key.startswith("fusion.")} == {*OWN_SPACE, *LEARNED_SPACE}
    assert args["fusion.gains.ssim"] == 2
    assert args["fusion.gains.gradient"] == FusionConfig().gains.gradient


def test_several_data_sets_are_trained_on_by_our_command(model, commands, tiny_data, tmp_path):
    before = host_trainer._YOLO_CLI_COMMAND
    model.train(data=[str(tiny_data), str(tiny_data)], project=str(tmp_path), **SHORT)
    assert [words[:4] for words in commands] == [[sys.executable, "-m", "metafusion_yolo", "train"]] * 2
    for words in commands:
        check(MODES["train"], parse(MODES["train"], words[4:]))
    assert host_trainer._YOLO_CLI_COMMAND is before


@pytest.mark.parametrize("method", ["learned", "average"])
def test_the_default_space_is_the_hosts_and_ours(method, tiny_data, tmp_path):
    model = FusionDetectionModel({**MetaFusionYOLO().model.yaml, "fusion": {"method": method}}, verbose=False)
    args = {"data": str(tiny_data), "project": str(tmp_path), "model": "metafusion-yolov8n.yaml"}
    space = FusionTuner(dict(args), model=model).space
    host = Tuner(dict(args), model=model).space
    ours = OWN_SPACE | (LEARNED_SPACE if method == "learned" else {})
    assert space == {key: bounds for key, bounds in host.items() if key not in DEAD} | ours
    assert set(DEAD) <= set(host)
    check_space(space)
    start = dotted(FusionConfig().to_dict())
    assert all(low <= start[key] <= high for key, (low, high) in ours.items())


@pytest.mark.parametrize(
    ("space", "error", "text"),
    [
        ({"bgr": (0, 1)}, UserValueError, "'bgr' in 'space' has no effect on pairs; leave it out"),
        ({"lr": (0, 1)}, UserValueError, "'lr' in 'space' is not a hyper-parameter with a range, did you mean 'lr"),
        ({"fusion.gains.grad": (0, 1)}, UserValueError, "did you mean 'fusion.gains.gradient'?"),
        ({"optimizer": (0, 1)}, UserValueError, "'optimizer' in 'space' is not a hyper-parameter"),
        ({"lr0": (1, 0)}, UserValueError, r"'lr0' in 'space' must be (lowest, highest)"),
        ({"lr0": 0.1}, UserValueError, r"'lr0' in 'space' must be (lowest, highest)"),
        ({"fusion.augment.modality_dropout": (0, 2)}, UserValueError, "modality_dropout must lie in [0, 1], not 2.0"),
        ([("lr0", 0, 1)], UserTypeError, "'space' must be a mapping of names to (lowest, highest)"),
    ],
)
def test_a_wrong_space_costs_one_line(model, tiny_data, space, error, text):
    with pytest.raises(error) as caught:
        model.tune(data=str(tiny_data), space=space)
    assert text in str(caught.value)


def test_what_a_search_lacks_is_named(model, tiny_data, monkeypatch):
    with pytest.raises(UserValueError, match="'data' is missing"):
        model.tune(iterations=1)
    with pytest.raises(FileNotFoundError, match=r"nowhere.yaml"):
        model.tune(data="nowhere.yaml")
    with pytest.raises(UserTypeError, match="need use_ray=True"):
        model.tune(False, 1, {"lr0": (0, 1)}, data=str(tiny_data))
    with pytest.raises(UserError, match="'iterations=0' is invalid"):
        model.tune(data=str(tiny_data), iterations=0)
    monkeypatch.setattr("metafusion_yolo.engine.train.tuning.find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"needs the package 'ray\[tune\]'"):
        model.tune(use_ray=True, data=str(tiny_data))


def test_the_best_of_a_search_is_that_of_its_task(tmp_path):
    found = [({"metrics/accuracy_top1": share, "metrics/mAP50-95(B)": 0}, share) for share in (0.5, 0.9, 0.7)]
    results = [SimpleNamespace(metrics=metrics, config={"lr0": rate, "data": "a"}) for metrics, rate in found]
    assert yaml.safe_load(write_best(results, tmp_path, "SGD", "classify").read_text()) == {
        "optimizer": "SGD",
        "lr0": 0.9,
    }
    with pytest.raises(UserValueError, match="no training of the search was completed"):
        write_best(results, tmp_path, None, "semantic")


def test_the_command_takes_what_ray_does_and_says_who_needs_it(tiny_data, capsys):
    words = ["iterations=1", "search_alg=random", "grace_period=2", "gpu_per_trial=0.5"]
    assert check(MODES["tune"], parse(MODES["tune"], [f"data={tiny_data}", "use_ray=True", *words]))
    assert cli.main(["tune", f"data={tiny_data}", *words]) == 2
    assert "'search_alg=random' needs use_ray=True" in capsys.readouterr().err


@pytest.mark.slow
def test_ray_searches_too(tiny_data, tmp_path):
    pytest.importorskip("ray")
    code = f"""
from metafusion_yolo import MetaFusionYOLO
if __name__ == "__main__":
    space = {{"lr0": (1e-5, 1e-2), "fusion.gains.gradient": (3, 4)}}
    results = MetaFusionYOLO("metafusion-yolov8n.yaml").tune(
        use_ray=True, iterations=2, space=space, data={str(tiny_data)!r}, project={str(tmp_path)!r},
        fusion={{"gains": {{"ssim": 2}}}}, search_alg="optuna", grace_period=1, **{SHORT!r})
"""
    done = run_code(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    best = yaml.safe_load((tmp_path / "tune" / "best_hyperparameters.yaml").read_text())
    assert 3 <= best["fusion.gains.gradient"] <= 4 and best["fusion.gains.ssim"] == 2 and best["optimizer"] == "AdamW"
    files = [*tmp_path.rglob("best.pt")]
    gains = [MetaFusionYOLO(file).model.config.gains.gradient for file in files]
    assert len({*gains}) == 2 and any(gain == pytest.approx(best["fusion.gains.gradient"]) for gain in gains)
    assert "OptunaSearch" in "".join(map(str, tmp_path.rglob("*"))) or [*tmp_path.rglob("search_gen_state-*.json")]


# Values of the front-end for one training -----------------------------------------------------------------------------
def test_values_of_a_training_go_over_those_of_the_model(tiny_data, tmp_path):
    overrides = {**TRAIN_ARGS, "data": str(tiny_data), "project": str(tmp_path), "model": "metafusion-yolov8n.yaml"}
    trainer = FusionDetectionTrainer(
        overrides={**overrides, "fusion": {"gains": {"gradient": 5}}, "fusion.augment.infrared_noise": 0.5}
    )
    config = trainer.get_model("metafusion-yolov8n.yaml", verbose=False).config
    assert (config.gains.gradient, config.augment.infrared_noise) == (5.0, 0.5)
    assert config.gains.ssim == FusionConfig().gains.ssim
    written = yaml.safe_load((trainer.save_dir / "args.yaml").read_text())
    assert written["fusion.gains.gradient"] == 5  # and so in a checkpoint, and in processes of several GPUs
    assert "fusion.gains.gradient" not in for_the_host(trainer.args)


def test_values_that_shape_a_front_end_do_not_fit_a_checkpoint(run, tiny_data, tmp_path):
    arguments = {**TRAIN_ARGS, "data": str(tiny_data), "project": str(tmp_path), "epochs": 1}
    with pytest.raises(
        UserValueError, match=r"'fusion.channels=16' changes the shape of the model, which a checkpoint"
    ):
        MetaFusionYOLO(run.best).train(fusion={"channels": 16}, **arguments)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"fusion": {"gain": {}, "gains": {"gradient": 1}}}, "unknown key 'gain'"),
        ({"fusion": {"gains": {"gradnt": 1}}}, "unknown key 'gradnt' in 'fusion: gains', did you mean 'gradient'?"),
        ({"fusion.gains.gradient": "much"}, "'fusion: gains: gradient' must be of type float"),
        ({"fusion": 5}, "'fusion=5' must be a mapping"),
    ],
)
def test_wrong_values_cost_one_line(model, given, text):
    with pytest.raises(UserError) as caught:
        model.train(data="a.yaml", **given)
    assert text in str(caught.value)


def test_dots_and_sections_say_the_same() -> None:
    section = FusionConfig().to_dict()
    assert section_of(dotted(section)) == section
    assert section_of({"lr0": 1, "fusion": 2, "fusion.gains.ssim": 3}) == {"gains": {"ssim": 3}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fusion.gains.ssim=3 data=a", {"fusion.gains.ssim": 3, "data": "a"}),
        ("data=a \"fusion={'gains': {'ssim': 3}}\"", {"fusion.gains.ssim": 3, "data": "a"}),
    ],
)
def test_the_command_takes_a_word_for_each(line, expected) -> None:
    assert check(MODES["train"], parse(MODES["train"], shlex.split(line))) == expected


@pytest.mark.parametrize("line", ["train data=a fusion.gains.sim=3", "tune data=a fusion.gains.sim=3"])
def test_the_command_names_a_wrong_word(line, capsys) -> None:
    assert cli.main(shlex.split(line)) == 2
    assert "unknown key 'sim' in 'fusion: gains', did you mean 'ssim'?" in capsys.readouterr().err


def test_other_modes_have_no_such_word(capsys) -> None:
    assert cli.main(["val", "model=a", "fusion.gains.ssim=3"]) == 2
    assert "unknown argument 'fusion.gains.ssim' for 'val'" in capsys.readouterr().err
