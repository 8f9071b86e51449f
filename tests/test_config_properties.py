"""Any section of a YAML makes a configuration, or is refused by a ValueError or TypeError in one line."""

from __future__ import annotations

import math
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metafusion_yolo.config import DISTANCES, METHODS, Augment, FusionConfig, Gains, Meta
from metafusion_yolo.data.registration import Registration
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.schedule import PARTS, Schedule
from metafusion_yolo.support.words import nearest

SCALARS = st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.sampled_from([*METHODS, *DISTANCES, "on"])
ANYTHING = st.recursive(
    SCALARS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def section(kind: type, **inner: st.SearchStrategy) -> st.SearchStrategy:
    """Return mappings with some keys of a dataclass, of values that may be right, and now and then a wrong key."""
    keys = [f.name for f in fields(kind)]
    values = {key: inner.get(key, SCALARS | st.lists(st.sampled_from([16, 32, 8]), max_size=3)) for key in keys}
    return st.fixed_dictionaries({}, optional={**values, "chanels": SCALARS}) | ANYTHING


RATES = st.fixed_dictionaries({}, optional=dict.fromkeys([*PARTS, "neck"], SCALARS))
PHASE = st.fixed_dictionaries(
    {}, optional={"fraction": SCALARS | st.sampled_from([0.2, 0.4]), "lr": RATES, "name": SCALARS}
)
SECTION = section(
    FusionConfig,
    gains=section(Gains),
    meta=section(Meta),
    augment=section(Augment),
    schedule=section(Schedule, warmup=PHASE, joint=PHASE, finetune=PHASE),
)


def plain(config: object) -> dict:
    """Return the section that makes a configuration."""
    phases = {"warmup", "joint", "finetune"}
    content = asdict(config)
    content["schedule"] = {
        key: {k: v for k, v in phase.items() if k != "name"}
        for key, phase in content["schedule"].items()
        if key in phases
    }
    return content


@given(content=SECTION)
def test_any_fusion_section_is_read_or_refused_in_a_line(content):
    try:
        config = FusionConfig.from_dict(content)
    except (ValueError, TypeError) as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert FusionConfig.from_dict(plain(config)) == config
        assert all(math.isfinite(value) for value in asdict(config.gains).values())


GAINS = st.builds(Gains, **dict.fromkeys([f.name for f in fields(Gains)], st.floats(0, 1e6)))
AUGMENT = st.builds(Augment, **dict.fromkeys([f.name for f in fields(Augment)], st.floats(0, 1)))


@given(
    heads=st.integers(1, 4),
    half=st.integers(1, 8),
    initial_infrared_weight=st.floats(0.02, 0.98, exclude_min=True, exclude_max=True),
    gains=GAINS,
    augment=AUGMENT,
    levels=st.lists(st.sampled_from([16, 32]), max_size=2).map(tuple),
)
def test_what_is_right_survives_a_yaml(heads, half, initial_infrared_weight, gains, augment, levels):
    config = FusionConfig(
        channels=2 * heads * half,
        heads=heads,
        initial_infrared_weight=initial_infrared_weight,
        gains=gains,
        augment=augment,
        meta=Meta(levels=levels),
    )
    assert FusionConfig.from_dict(plain(config)) == config


@given(
    shares=st.tuples(st.integers(0, 10), st.integers(0, 10)).filter(lambda s: sum(s) <= 10), epochs=st.integers(1, 60)
)
def test_phases_follow_one_another_and_share_the_epochs(shares, epochs):
    first, second = (share / 10 for share in shares)
    names = ("warmup", "joint", "finetune")
    parts = zip(names, (first, second, 1 - first - second), strict=True)
    schedule = FusionConfig.from_dict({"schedule": {name: {"fraction": max(part, 0)} for name, part in parts}}).schedule
    order = [names.index(schedule.phase(epoch, epochs).name) for epoch in range(epochs)]
    assert order == sorted(order)
    for phase in schedule.phases:
        assert abs(order.count(names.index(phase.name)) - phase.fraction * epochs) <= 1


@given(word=st.text(max_size=8) | st.integers(), known=st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_the_hint_names_what_is_known(word, known):
    hint = nearest(word, known)
    assert any(name in hint for name in known)
    if word in known:
        assert hint == f"did you mean '{word}'?"


NUMBERS = st.integers(-5, 5) | st.floats(-1e3, 1e3)
MATRIX = st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=3, max_size=3) | ANYTHING
REGISTRATION = (
    st.fixed_dictionaries(
        {},
        optional={
            "matrix": MATRIX,
            "visible": st.lists(st.integers(-1, 900), min_size=2, max_size=2) | ANYTHING,
            "infrared": st.lists(st.integers(-1, 900), min_size=2, max_size=2) | ANYTHING,
            "sequences": st.dictionaries(st.text(max_size=4), MATRIX, max_size=2) | ANYTHING,
            "sequence": ANYTHING,
        },
    )
    | MATRIX
)


@given(content=REGISTRATION)
def test_any_registration_is_read_or_refused_in_a_line(content):
    try:
        registration = Registration.from_yaml(content, "pairs.yaml")
    except ValueError as error:
        assert "pairs.yaml" in str(error) and "\n" not in str(error)
    else:
        assert registration is None or Registration.from_yaml(registration.to_yaml()) == registration


@pytest.mark.parametrize("key", ["infrared", "thermal", "registration"])
@given(value=ANYTHING)
def test_any_camera_description_is_read_or_refused_in_a_line(key, value):
    try:
        rig = Rig.from_yaml({key: value, "names": ["person"]}, "pairs.yaml")
    except ValueError as error:
        assert "pairs.yaml" in str(error) and "\n" not in str(error)
    else:
        assert Rig.from_yaml(rig.to_yaml()) == rig
