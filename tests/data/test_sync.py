"""Matching frames by time, and the account of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metafusion_yolo.data.sync import CAMERAS, Frame, Matcher, SyncReport
from metafusion_yolo.options import Sync

IMAGE = np.zeros((2, 2, 3), np.uint8)


def match(visible, infrared, live: bool = False, **rules) -> tuple[list[tuple[float, float]], SyncReport]:
    """Return the matched times of two sequences of times, fed in the order of time as from live cameras, or at once."""
    report = SyncReport()
    matcher = Matcher(Sync(**rules), report)
    pairs = []
    events = sorted([(t, "visible") for t in visible] + [(t, "infrared") for t in infrared])
    for now, camera in events:
        matcher.add(camera, Frame(now, IMAGE))
        getattr(report, camera).received += 1
        while live and (pair := matcher.match(dict.fromkeys(CAMERAS, now))) is not None:
            report.use(pair)
            pairs.append((pair["visible"].time, pair["infrared"].time))
    while (pair := matcher.match(dict.fromkeys(CAMERAS, math.inf))) is not None:
        report.use(pair)
        pairs.append((pair["visible"].time, pair["infrared"].time))
    matcher.finish()
    for camera in (report.visible, report.infrared):
        assert camera.received == camera.matched + camera.unmatched + camera.left
    return pairs, report


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("rates", [(30, 9), (9, 30), (25, 10), (60, 7.3)])
def test_each_frame_of_the_slower_camera_gets_a_near_one_of_the_faster(rates, live):
    visible, infrared = (np.arange(0, 10, 1 / rate) for rate in rates)
    pairs, report = match(visible, infrared, live)
    slow, fast = (infrared, visible) if rates[0] > rates[1] else (visible, infrared)
    partners = [pair if slow is visible else pair[::-1] for pair in pairs]
    assert len(pairs) >= len(slow) - 1
    for time, partner in partners:
        nearest = np.abs(fast - time).min()
        assert abs(partner - time) <= 2 / 3 / max(rates) + 1e-9
        assert abs(partner - time) <= 2 * nearest + 1e-9
    assert report.largest <= 2e3 / 3 / max(rates) + 1e-6


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("phase", [0.0, 0.01, 0.02, 0.03, 0.039])
def test_equal_rates_lose_no_frame_whatever_the_phase(phase, live):
    times = np.arange(0, 10, 0.04)
    pairs, _ = match(times, times + phase, live)
    assert len(pairs) >= len(times) - 1  # one at either end
    assert len({round(ir - v, 6) for v, ir in pairs}) == 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("phase", "least"), [(0.0, 500), (0.01, 500), (0.02, 485)])
def test_jitter_costs_few_frames(seed, phase, least):
    rng = np.random.default_rng(seed)
    times = np.arange(0, 20, 0.04)
    visible, infrared = (times + shift + rng.uniform(0, 0.01, 500) for shift in (0, phase))
    pairs, report = match(visible, infrared, live=True)
    assert len(pairs) >= least
    assert report.largest <= 30
    assert pairs == sorted(pairs)


def test_nothing_beyond_the_tolerance_is_paired():
    times = np.arange(0, 4, 0.2)
    pairs, report = match(times, times + 0.06, tolerance=50)
    assert pairs == []
    assert report.visible.unmatched + report.visible.left == len(times)
    assert len(match(times, times + 0.06, tolerance=61)[0]) == len(times)


def test_offset_is_taken_off_the_infrared_camera():
    times = np.arange(0, 4, 0.2)
    pairs, report = match(times, times + 0.15, offset=150, live=True)
    assert len(pairs) == len(times)
    assert report.offset == pytest.approx(0, abs=1e-6)


def test_a_frame_waits_for_a_better_partner_no_longer_than_it_takes():
    matcher = Matcher(Sync(), SyncReport())
    matcher.add("visible", Frame(1.00, IMAGE))
    matcher.add("infrared", Frame(1.02, IMAGE))
    assert matcher.match(dict.fromkeys(CAMERAS, 1.025)) is None  # a visible frame of 1.025 would be much nearer
    assert matcher.match(dict.fromkeys(CAMERAS, 1.035)) is not None


def test_drift_is_the_slope_of_the_differences():
    times = np.arange(0, 60, 0.5)
    _, report = match(times, times * (1 + 20e-3 / 60))
    assert report.drift == pytest.approx(20, rel=1e-3)
    assert report.offset == pytest.approx(10, rel=0.02)
    assert match(times[:2], times[:2])[1].drift == 0


def test_report_says_in_a_line_what_happened():
    report = match([0, 0.1, 0.2], [0.01, 0.21])[1]
    report.infrared.lost = report.infrared.reconnects = 2
    assert str(report) == (
        "visible: 3 received, 2 matched, 1 unmatched; infrared: 2 received, 2 matched, 2 lost, 2 reconnects; "
        "difference +10 ms on average, 10 ms at most, drift +0.0 ms per minute"
    )
