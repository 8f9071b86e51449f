"""The `fusion:` section: what is read from it, and what is refused with which words."""

from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest
import yaml

from metafusion_yolo.config import DISTANCES, METHODS, Augment, FusionConfig, Gains, Meta
from metafusion_yolo.functional.losses import DISTANCES as FORMULAS
from metafusion_yolo.schedule import Phase, Rates, Schedule

ALL_YAMLS = sorted((Path(__file__).parents[1] / "cfg" / "models").glob("*.yaml"))
SWITCHES = [path for path in ALL_YAMLS if "-separate-" in path.stem or "-cascade-" in path.stem]
MODEL_YAMLS = [path for path in ALL_YAMLS if path not in SWITCHES]


@pytest.mark.parametrize(
    "section",
    [None, {}, {"gains": None}, {"meta": None}, {"schedule": {"warmup": None}}, {"schedule": {"joint": {"lr": {}}}}],
)
def test_empty_sections_are_the_defaults(section) -> None:
    assert FusionConfig.from_dict(section) == FusionConfig()


@pytest.mark.parametrize("value", [-1.0, 10.5, float("nan")])
def test_share_jitter_has_a_range(value) -> None:
    with pytest.raises(ValueError, match=rf"fusion: augment: share_jitter must lie in \[0, 10\], not {value}"):
        FusionConfig.from_dict({"augment": {"share_jitter": value}})


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
        ({"gains": {"lookahead": 1}}, "unknown key 'lookahead' in 'fusion: gains', did you mean 'look_ahead'?"),
        ({"meta": {"intervall": 4}}, "unknown key 'intervall' in 'fusion: meta', did you mean 'interval'?"),
        (
            {"schedule": {"joint": {"lr": {"bacbone": 1}}}},
            "unknown key 'bacbone' in 'fusion: schedule: joint: lr', did you mean 'backbone'?",
        ),
        (
            {"gains": {"zzz": 0}},
            "unknown key 'zzz' in 'fusion: gains', known: detection, gradient, intensity, look_ahead, meta, ssim",
        ),
        (
            {"meta": {"zzz": 0}},
            "unknown key 'zzz' in 'fusion: meta', known: distance, first_order, inner_lr, interval, levels",
        ),
        (
            {"schedule": {"warmup": {"name": "first"}}},
            "unknown key 'name' in 'fusion: schedule: warmup', known: fraction, joint, lr",
        ),
        (
            {"schedule": {"warmup": {"train": ["fusion"]}}},
            "unknown key 'train' in 'fusion: schedule: warmup', ",
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
        ({"initial_infrared_weight": "even"}, "'fusion: initial_infrared_weight' must be of type float, not 'even'"),
        ({"gains": {"ssim": True}}, "'fusion: gains: ssim' must be of type float, not True"),
        ({"gains": {"ssim": "1e-3"}}, "'fusion: gains: ssim' must be of type float, not '1e-3'"),
        ({"gains": {"ssim": None}}, "'fusion: gains: ssim' must be of type float, not None"),
        ({"schedule": {"joint": {"joint": 1}}}, "'fusion: schedule: joint: joint' must be of type bool, not 1"),
        ({"schedule": {"joint": {"lr": 0.1}}}, "'fusion: schedule: joint: lr' must be a mapping"),
        (
            {"schedule": {"joint": {"lr": {"head": False}}}},
            "'fusion: schedule: joint: lr: head' must be of type float, not False",
        ),
        ({"method": None}, "'fusion: method' must be of type str, not None"),
        ({"attention": 1}, "'fusion: attention' must be of type bool, not 1"),
        ({"meta": [16, 32]}, "'fusion: meta' must be a mapping"),
        ({"meta": {"levels": 16}}, "'fusion: meta: levels' must be a list of whole numbers, not 16"),
        ({"meta": {"levels": [16, 32.0]}}, r"'fusion: meta: levels' must be a list of whole numbers, not \[16, 32.0\]"),
        ({"meta": {"levels": [True]}}, r"'fusion: meta: levels' must be a list of whole numbers, not \[True\]"),
        ({"meta": {"distance": 1}}, "'fusion: meta: distance' must be of type str, not 1"),
        ({"meta": {"interval": 4.0}}, "'fusion: meta: interval' must be of type int, not 4.0"),
        ({"meta": {"interval": True}}, "'fusion: meta: interval' must be of type int, not True"),
        ({"meta": {"inner_lr": "1e-2"}}, "'fusion: meta: inner_lr' must be of type float, not '1e-2'"),
        ({"meta": {"first_order": 0}}, "'fusion: meta: first_order' must be of type bool, not 0"),
    ],
)
def test_wrong_types_are_refused(section, message) -> None:
    with pytest.raises(TypeError, match=message):
        FusionConfig.from_dict(section)


@pytest.mark.parametrize("name", ["ssim", "gradient", "intensity", "detection", "meta", "look_ahead", "trust"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_gains_are_finite_and_not_negative(name, value) -> None:
    with pytest.raises(ValueError, match=f"fusion: gains: {name} must be a finite number >= 0, not {value}"):
        FusionConfig.from_dict({"gains": {name: value}})
    assert getattr(FusionConfig.from_dict({"gains": {name: 0}}).gains, name) == 0.0


@pytest.mark.parametrize(
    "name", ["infrared_gain", "infrared_offset", "infrared_noise", "infrared_shift", "modality_dropout", "degradation"]
)
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
        ({"channels": 32, "heads": 3}, r"fusion: channels \(32\) must be a multiple of heads \(3\)"),
        ({"channels": 33, "heads": 3}, r"fusion: channels must be even \(half of them at stride 4\), not 33"),
        ({"initial_infrared_weight": 0}, r"fusion: initial_infrared_weight must lie in \(0.02, 0.98\), not 0.0"),
        ({"initial_infrared_weight": 1}, r"fusion: initial_infrared_weight must lie in \(0.02, 0.98\), not 1.0"),
        (
            {"initial_infrared_weight": float("nan")},
            r"fusion: initial_infrared_weight must lie in \(0.02, 0.98\), not nan",
        ),
        ({"method": "maximun"}, r"fusion: method: 'maximun' is unknown, did you mean 'maximum'\?"),
    ],
)
def test_architectures_that_cannot_be_built_are_refused(section, message) -> None:
    with pytest.raises(ValueError, match=message):
        FusionConfig.from_dict(section)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"levels": [8, 16]}, "levels: 8 is unknown, known: 16, 32"),
        ({"distance": "cosin"}, r"distance: 'cosin' is unknown, did you mean 'cosine'\?"),
        ({"interval": -1}, "interval must be a whole number >= 0, not -1"),
        ({"inner_lr": 0}, "inner_lr must be a finite number > 0, not 0.0"),
        ({"inner_lr": float("nan")}, "inner_lr must be a finite number > 0, not nan"),
        ({"inner_lr": float("inf")}, "inner_lr must be a finite number > 0, not inf"),
    ],
)
def test_teaching_that_cannot_be_done_is_refused(section, message) -> None:
    with pytest.raises(ValueError, match=f"fusion: meta: {message}"):
        FusionConfig.from_dict({"meta": section})


def test_every_distance_has_a_formula() -> None:
    assert set(DISTANCES) == set(FORMULAS)


@pytest.mark.parametrize(
    ("levels", "gain", "interval", "teaches"),
    [([16], 0.5, 0, True), ([32], 0, 4, True), ([16, 32], 0, 0, False), ([], 1, 4, False)],
)
def test_the_detector_teaches_if_there_is_a_level_and_a_term(levels, gain, interval, teaches) -> None:
    section = {"gains": {"meta": gain}, "meta": {"levels": levels, "interval": interval}}
    assert FusionConfig.from_dict(section).teaches is teaches


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"warmup": {"fraction": 0.9}}, "the fractions must add up to 1"),
        ({"warmup": {"fraction": 2}}, r"warmup: fraction must lie in \[0, 1\], not 2.0"),
        ({"joint": {"lr": {"head": -1}}}, "lr: head must be a finite number >= 0, not -1.0"),
        (
            {"warmup": {"fraction": 0.2, "lr": {"fusion": 0, "backbone": 0, "head": 0}}},
            "warmup: nothing learns; give a part of 'lr' a rate above 0",
        ),
    ],
)
def test_schedules_that_cannot_be_kept_are_refused(section, message) -> None:
    with pytest.raises(ValueError, match=f"fusion: schedule: {message}"):
        FusionConfig.from_dict({"schedule": section})


@pytest.mark.parametrize("method", METHODS)
def test_known_methods_are_read(method) -> None:
    assert FusionConfig.from_dict({"method": method}).method == method


def test_values_are_read_and_the_rest_stays() -> None:
    config = FusionConfig.from_dict(
        {
            "channels": 16,
            "initial_infrared_weight": 0.9,
            "attention": False,
            "gains": {"ssim": 2},
            "meta": {"levels": [32], "inner_lr": 1},
            "schedule": {"warmup": {"lr": {"fusion": 2, "backbone": 0, "head": 0.5}, "joint": True}},
            "augment": {"infrared_gain": 0},
        }
    )
    assert (config.channels, config.initial_infrared_weight, config.attention) == (16, 0.9, False)
    assert config.gains == Gains(ssim=2.0)
    assert isinstance(config.gains.ssim, float)
    assert config.meta == Meta(levels=(32,), inner_lr=1.0)
    assert config.schedule.warmup == Phase("warmup", Schedule().warmup.fraction, Rates(2.0, 0.0, 0.5), joint=True)
    assert config.schedule.joint == Schedule().joint
    assert config.augment == Augment(infrared_gain=0.0)
    assert FusionConfig() == FusionConfig.from_dict({})  # the defaults did not move


def test_configuration_is_frozen() -> None:
    config = FusionConfig()
    phase = config.schedule.warmup
    for section, name in (
        (config, "channels"),
        (config.gains, "ssim"),
        (config.meta, "interval"),
        (phase, "fraction"),
        (phase.lr, "head"),
    ):
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


def as_section(config: FusionConfig) -> dict:
    """Return a configuration as it stands in a YAML: lists for tuples, and no names of phases, which are the keys."""
    section = asdict(config)
    section["meta"]["levels"] = list(section["meta"]["levels"])
    for phase in section["schedule"].values():
        del phase["name"]
    return section
