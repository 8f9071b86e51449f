"""The phases of training: which epoch is in which, which part learns how fast, and what is refused."""

from itertools import groupby

import pytest

from metafusion_yolo.schedule import FINETUNE, JOINT, PARTS, WARMUP, Phase, Rates, Schedule

NAMES = ("warmup", "joint", "finetune")
EPOCHS = [1, 2, 3, 5, 10, 50, 300]


def schedule(*fractions: float) -> Schedule:
    return Schedule(*(Phase(name, f, Rates(), joint=True) for name, f in zip(NAMES, fractions, strict=True)))


def phase_lengths(schedule: Schedule, epochs: int) -> list[tuple[str, int]]:
    names = [schedule.phase(epoch, epochs).name for epoch in range(epochs)]
    return [(name, len(list(run))) for name, run in groupby(names)]


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
def test_known_phases(epochs, lengths) -> None:
    assert phase_lengths(schedule(0.2, 0.4, 0.4), epochs) == list(lengths.items())


@pytest.mark.parametrize("epochs", EPOCHS)
@pytest.mark.parametrize(
    "fractions", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.1, 0.2, 0.7), (0.7, 0.2, 0.1), (0.3, 0.7, 0), (0.5, 0, 0.5)]
)
def test_phases_keep_order_and_fractions(epochs, fractions) -> None:
    phases = schedule(*fractions)
    runs = phase_lengths(phases, epochs)
    names = [name for name, _ in runs]
    assert names == [name for name in NAMES if name in names]
    lengths = dict(runs)
    assert sum(lengths.values()) == epochs
    for phase in phases.phases:
        assert abs(lengths.get(phase.name, 0) - phase.fraction * epochs) <= 1
        assert phase.fraction > 0 or phase.name not in lengths


@pytest.mark.parametrize("epochs", EPOCHS)
def test_epochs_past_the_end_are_in_the_last_phase(epochs) -> None:
    assert schedule(0.2, 0.4, 0.4).phase(epochs, epochs).name == "finetune"


def test_default_is_made_of_the_named_phases() -> None:
    assert Schedule().phases == (WARMUP, JOINT, FINETUNE)
    assert tuple(phase.name for phase in Schedule().phases) == NAMES


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
    with pytest.raises(ValueError, match=f"fusion: schedule: {message}"):
        schedule(*fractions)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_rates_are_finite_and_not_negative(part, value) -> None:
    with pytest.raises(ValueError, match=f"fusion: schedule: lr: {part} must be a finite number >= 0, not {value}"):
        Rates(**{part: value})


@pytest.mark.parametrize(
    ("rates", "learning"),
    [
        (Rates(), ("fusion", "backbone", "head")),
        (Rates(backbone=0.0), ("fusion", "head")),
        (Rates(0.0, 0.1, 0.0), ("backbone",)),
        (Rates(0.0, 0.0, 0.0), ()),
    ],
)
def test_parts_without_a_rate_do_not_learn(rates, learning) -> None:
    assert rates.learning == learning


def test_a_phase_in_which_nothing_learns_must_be_empty() -> None:
    with pytest.raises(ValueError, match="fusion: schedule: joint: nothing learns; give a part of 'lr' a rate above 0"):
        Phase("joint", 0.1, Rates(0.0, 0.0, 0.0), joint=True)
    assert Phase("joint", 0.0, Rates(0.0, 0.0, 0.0), joint=True).fraction == 0


@pytest.mark.parametrize(("head", "trains"), [(0.0, False), (0.1, True)])
@pytest.mark.parametrize("joint", [True, False])
def test_a_phase_trains_the_detector_if_its_head_learns(head, joint, trains) -> None:
    assert Phase("warmup", 0.2, Rates(head=head), joint=joint).trains_detector is trains
