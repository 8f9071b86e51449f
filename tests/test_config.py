"""The `fusion:` section: what is refused, with which words, and which epoch is in which phase."""

from dataclasses import FrozenInstanceError, asdict
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from metafusion_yolo.config import Augment, FusionConfig, Gains
from metafusion_yolo.schedule import Phase, Rates, Schedule

MODEL_YAMLS = sorted((Path(__file__).parents[1] / "cfg" / "models").glob("*.yaml"))


@pytest.mark.parametrize("section", [None, {}, {"gains": None}, {"schedule": {"warmup": None}}])
def test_empty_sections_are_the_defaults(section) -> None:
    assert FusionConfig.from_dict(section) == FusionConfig()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"chanels": 32}, "unknown key 'chanels' in 'fusion', did you mean 'channels'?"),
        ({"gains": {"detecton": 1}}, "unknown key 'detecton' in 'fusion: gains', did you mean 'detection'?"),
        ({"schedule": {"warm_up": {}}}, "unknown key 'warm_up' in 'fusion: schedule', did you mean 'warmup'?"),
        (
            {"schedule": {"joint": {"fractoin": 1}}},
            "unknown key 'fractoin' in 'fusion: schedule: joint', did you mean 'fraction'?",
        ),
        (
            {"augment": {"infrared_nose": 0}},
            "unknown key 'infrared_nose' in 'fusion: augment', did you mean 'infrared_noise'?",
        ),
        (
            {"gains": {"zzz": 0}},
            "unknown key 'zzz' in 'fusion: gains', known: detection, gradient, intensity, ssim",
        ),
        (
            {"schedule": {"warmup": {"name": "first"}}},
            "unknown key 'name' in 'fusion: schedule: warmup', known: fraction, joint, train",
        ),
        ({1: 2}, "unknown key '1' in 'fusion', known: "),
    ],
)
def test_unknown_keys_are_refused_with_the_closest_name(section, message) -> None:
    with pytest.raises(ValueError) as error:
        FusionConfig.from_dict(section)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ([], r"'fusion' must be a mapping of keys to values, not \[\]"),
        (False, "'fusion' must be a mapping"),
        ("even", "'fusion' must be a mapping"),
        ({"gains": 1.0}, "'fusion: gains' must be a mapping"),
        ({"schedule": {"joint": True}}, "'fusion: schedule: joint' must be a mapping"),
        ({"channels": 32.0}, "'fusion: channels' must be of type int, not 32.0"),
        ({"channels": True}, "'fusion: channels' must be of type int, not True"),
        ({"channels": "32"}, "'fusion: channels' must be of type int, not '32'"),
        ({"start": 1}, "'fusion: start' must be of type str, not 1"),
        ({"gains": {"ssim": True}}, "'fusion: gains: ssim' must be of type float, not True"),
        ({"gains": {"ssim": "1e-3"}}, "'fusion: gains: ssim' must be of type float, not '1e-3'"),
        ({"gains": {"ssim": None}}, "'fusion: gains: ssim' must be of type float, not None"),
        ({"schedule": {"joint": {"joint": 1}}}, "'fusion: schedule: joint: joint' must be of type bool, not 1"),
        (
            {"schedule": {"joint": {"train": "fusion"}}},
            "'fusion: schedule: joint: train' must be a list of names, not 'fusion'",
        ),
        (
            {"schedule": {"joint": {"train": ["fusion", 1]}}},
            r"'fusion: schedule: joint: train' must be a list of names, not \['fusion', 1\]",
        ),
    ],
)
def test_wrong_types_are_refused(section, message) -> None:
    with pytest.raises(TypeError, match=message):
        FusionConfig.from_dict(section)


@pytest.mark.parametrize("name", ["ssim", "gradient", "intensity", "detection"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_gains_are_finite_and_not_negative(name, value) -> None:
    with pytest.raises(ValueError, match=f"fusion: gains: {name} must be a finite number >= 0, not {value}"):
        FusionConfig.from_dict({"gains": {name: value}})
    assert getattr(FusionConfig.from_dict({"gains": {name: 0}}).gains, name) == 0.0


@pytest.mark.parametrize("name", ["infrared_gain", "infrared_offset", "infrared_noise", "modality_dropout"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_augmentation_is_a_share(name, value) -> None:
    with pytest.raises(ValueError, match=rf"fusion: augment: {name} must lie in \[0, 1\], not {value}"):
        FusionConfig.from_dict({"augment": {name: value}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"channels": 0}, "fusion: channels must be a whole number >= 1, not 0"),
        ({"meta_channels": -1}, "fusion: meta_channels must be a whole number >= 1, not -1"),
        ({"heads": 0}, "fusion: heads must be a whole number >= 1, not 0"),
        ({"detail_channels": 0}, "fusion: detail_channels must be a whole number >= 1, not 0"),
        ({"heads": 3}, r"fusion: channels \(32\) must be a multiple of heads \(3\)"),
        ({"channels": 33, "heads": 3}, r"fusion: channels must be even \(half of them at stride 4\), not 33"),
        ({"start": "infared"}, r"fusion: start: 'infared' is unknown, did you mean 'infrared'\?"),
    ],
)
def test_architectures_that_cannot_be_built_are_refused(section, message) -> None:
    with pytest.raises(ValueError, match=message):
        FusionConfig.from_dict(section)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.2, 0.4, 0.3), "the fractions must add up to 1, they add up to 0.9"),
        ((0.5, 0.5, 0.5), "the fractions must add up to 1, they add up to 1.5"),
        ((-0.2, 0.6, 0.6), r"warmup: fraction must lie in \[0, 1\], not -0.2"),
        ((0.0, 0.0, float("nan")), r"finetune: fraction must lie in \[0, 1\], not nan"),
    ],
)
def test_fractions_must_divide_all_epochs(fractions, message) -> None:
    with pytest.raises(ValueError, match=message):
        FusionConfig.from_dict({"schedule": schedule_section(fractions)})


def test_unknown_and_missing_parts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"warmup: unknown part 'backbne' in 'train', did you mean 'backbone'\?"):
        FusionConfig.from_dict({"schedule": {"warmup": {"train": ["fusion", "backbne"]}}})
    with pytest.raises(ValueError, match="warmup: 'train' is empty; name parts, known: backbone, fusion, head"):
        FusionConfig.from_dict({"schedule": {"warmup": {"train": []}}})


@pytest.mark.parametrize(
    ("epochs", "lengths"),
    [
        (1, {"joint": 1}),
        (2, {"joint": 1, "finetune": 1}),
        (3, {"warmup": 1, "joint": 1, "finetune": 1}),
        (5, {"warmup": 1, "joint": 2, "finetune": 2}),
        (10, {"warmup": 2, "joint": 4, "finetune": 4}),
        (50, {"warmup": 10, "joint": 20, "finetune": 20}),
        (300, {"warmup": 60, "joint": 120, "finetune": 120}),
    ],
)
def test_default_phases(epochs, lengths) -> None:
    assert phase_lengths(Schedule(), epochs) == list(lengths.items())


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 10, 50, 300])
@pytest.mark.parametrize(
    "fractions", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.1, 0.2, 0.7), (0.7, 0.2, 0.1), (0.3, 0.7, 0), (0.5, 0, 0.5)]
)
def test_phases_keep_order_and_fractions(epochs, fractions) -> None:
    schedule = FusionConfig.from_dict({"schedule": schedule_section(fractions)}).schedule
    runs = phase_lengths(schedule, epochs)
    names = [name for name, _ in runs]
    assert names == [name for name in ("warmup", "joint", "finetune") if name in names]
    lengths = dict(runs)
    assert sum(lengths.values()) == epochs
    for phase in schedule.phases:
        assert abs(lengths.get(phase.name, 0) - phase.fraction * epochs) <= 1
        assert phase.fraction > 0 or phase.name not in lengths


def test_values_are_read_and_the_rest_stays() -> None:
    config = FusionConfig.from_dict(
        {
            "channels": 16,
            "start": "visible",
            "gains": {"ssim": 2},
            "schedule": {"warmup": {"train": ["fusion", "head"], "joint": True}},
            "augment": {"infrared_gain": 0},
        }
    )
    assert (config.channels, config.start) == (16, "visible")
    assert config.gains == Gains(ssim=2.0)
    assert isinstance(config.gains.ssim, float)
    assert config.schedule.warmup == Phase("warmup", 0.2, ("fusion", "head"), joint=True)
    assert config.schedule.joint == Schedule().joint
    assert config.augment == Augment(infrared_gain=0.0)
    assert FusionConfig() == FusionConfig.from_dict({})  # the defaults did not move


def test_configuration_is_frozen() -> None:
    config = FusionConfig()
    for section, name in ((config, "channels"), (config.gains, "ssim"), (config.schedule.warmup, "fraction")):
        with pytest.raises(FrozenInstanceError):
            setattr(section, name, 1)


def test_models_are_shipped() -> None:
    assert [path.stem for path in MODEL_YAMLS] == ["metafusion-yolo11", "metafusion-yolo26", "metafusion-yolov8"]


@pytest.mark.parametrize("path", MODEL_YAMLS, ids=lambda path: path.stem)
def test_shipped_sections_write_out_every_default(path) -> None:
    section = yaml.safe_load(path.read_text(encoding="utf-8"))["fusion"]
    assert section == as_section(FusionConfig())
    assert FusionConfig.from_dict(section) == FusionConfig()


@pytest.mark.parametrize("path", MODEL_YAMLS, ids=lambda path: path.stem)
def test_shipped_sections_explain_every_number(path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = [line for line in lines if ": " in line and "#" not in line and "{" not in line]
    assert bare == []


def schedule_section(fractions) -> dict:
    return {
        name: {"fraction": f} for name, f in zip(("warmup", "joint", "finetune"), map(float, fractions), strict=True)
    }


def phase_lengths(schedule: Schedule, epochs: int) -> list[tuple[str, int]]:
    names = [schedule.phase(epoch, epochs).name for epoch in range(epochs)]
    return [(name, len(list(run))) for name, run in groupby(names)]


def as_section(config: FusionConfig) -> dict:
    """Return a configuration as it stands in a YAML: lists for tuples, and no names, which are the keys."""
    section = asdict(config)
    for phase in section["schedule"].values():
        del phase["name"]
        phase["train"] = list(phase["train"])
    return section
