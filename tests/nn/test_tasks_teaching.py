"""The detection model as a teacher: when it looks ahead, what that adds, and what it leaves alone."""

from __future__ import annotations

import io
import os
import socket
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from ultralytics.utils.torch_utils import ModelEMA

from metafusion_yolo.functional.losses import meta_loss
from metafusion_yolo.nn.criterion import joint_loss
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.nn.conftest import fused_model, labelled, random_pair

LOOKING_AHEAD = {"levels": [16, 32], "interval": 1, "inner_lr": 1.0}


def ahead(family: str = "yolov8", **meta) -> FusionDetectionModel:
    """Return a model in training that looks ahead in every batch."""
    return fused_model(family, nc=3, meta={**LOOKING_AHEAD, **meta}).train()


@pytest.fixture(scope="module")
def shared() -> FusionDetectionModel:
    """A model that no test changes."""
    return ahead()


@pytest.fixture
def model(shared) -> FusionDetectionModel:
    return deepcopy(shared)


def batch(size: int = 2, seed: int = 0) -> dict:
    """Return a batch of small pairs, with boxes in the first two and the last."""
    pairs = torch.rand(size, 4, 64, 64, generator=torch.Generator().manual_seed(seed))
    content = labelled(pairs)
    content["batch_idx"] = torch.tensor([0.0, min(1, size - 1), size - 1])
    return content


def backward(model: FusionDetectionModel, *batches: dict) -> dict[str, Tensor]:
    """Return the gradients of the losses of batches, summed up."""
    model.zero_grad()
    for content in batches:
        model(content)[0].sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def with_interval(model: FusionDetectionModel, interval: int) -> FusionDetectionModel:
    copy = deepcopy(model)
    copy.config = replace(model.config, meta=replace(model.config.meta, interval=interval))
    return copy


def is_taught(name: str) -> bool:
    return name.startswith(("fusion.meta.", "teacher."))


# Whether there is a teacher ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("section", "teaches"),
    [
        ({"gains": {"meta": 0.5}, "meta": {"interval": 0}}, True),
        ({"gains": {"meta": 0.0}, "meta": {"interval": 4}}, True),
        ({"gains": {"meta": 0.0, "look_ahead": 0.0}, "meta": {"interval": 4}}, False),
        ({"gains": {"meta": 0.0}, "meta": {"interval": 0}}, False),
        ({"gains": {"meta": 1.0}, "meta": {"levels": []}}, False),
        ({"attention": False, "meta": {"interval": 1}}, False),
        ({"method": "average", "meta": {"interval": 1}}, False),
    ],
)
def test_teacher_is_there_only_if_it_teaches(section, teaches) -> None:
    model = fused_model(nc=3, **section).train()
    assert (model.teacher is not None) is teaches
    assert any(name.startswith("teacher.") for name in model.state_dict()) is teaches
    preds = model(random_pair())
    assert set(preds["backbone"]) == ({16, 32} if teaches else set())
    total, items = model.loss(labelled(random_pair()), preds)
    assert ("meta_loss" in items) is teaches
    assert total.shape == ((5,) if teaches else (4,))


@pytest.mark.parametrize("levels", [[16], [32]])
def test_teacher_teaches_the_levels_asked_for(levels) -> None:
    model = fused_model(nc=3, meta={"levels": levels}).train()
    assert set(model(random_pair())["backbone"]) == set(levels)
    gradients = backward(model, labelled(random_pair()))
    assert {name for name in gradients if name.startswith("teacher.")} == {
        f"teacher.projection.{levels[0]}.{kind}" for kind in ("weight", "bias")
    }


def test_meta_term_compares_prediction_and_backbone(model) -> None:
    preds = model(random_pair())
    expected = meta_loss(model.teacher(preds["fusion"]), preds["backbone"], model.config.meta.distance)
    total, items = model.loss(labelled(random_pair()), preds)
    assert torch.equal(items["meta_loss"], expected.detach())
    torch.testing.assert_close(total[1], 2 * expected)


# When it looks ahead -------------------------------------------------------------------------------------------------
def test_looks_ahead_every_interval_in_training(model) -> None:
    model = with_interval(model, 2)
    terms = [len(model.loss(batch())[0]) for _ in range(4)]
    assert terms == [5, 6, 5, 6]
    with torch.no_grad():
        model.eval()
        assert [len(model.loss(batch())[0]) for _ in range(2)] == [5, 5]
    model.train()
    assert [len(model.loss(batch())[0]) for _ in range(2)] == [5, 6]  # validation did not count


def test_never_looks_ahead_without_an_interval(model) -> None:
    model = with_interval(model, 0)
    assert [len(model.loss(batch())[0]) for _ in range(2)] == [5, 5]


def test_never_looks_ahead_for_a_gain_of_0(model) -> None:
    model = with_interval(model, 1)
    model.config = replace(model.config, gains=replace(model.config.gains, look_ahead=0.0))
    assert [len(model.loss(batch())[0]) for _ in range(2)] == [5, 5]


def test_one_pair_has_no_second_half(model) -> None:
    assert [len(model.loss(batch(size))[0]) for size in (1, 2, 3)] == [5, 6, 6]


def test_frozen_front_end_does_not_look_ahead(model) -> None:
    for part in (model.fusion, model.teacher):
        part.requires_grad_(False)  # as the trainer does in a phase whose `lr: fusion` is 0
    total, _ = model.loss(batch())
    assert total.shape == (5,)
    total.sum().backward()
    assert all(p.grad is None for part in (model.fusion, model.teacher) for p in part.parameters())


def test_frozen_detector_is_no_reason_not_to_look_ahead(model) -> None:
    for parameter in model.model.parameters():
        parameter.requires_grad = False
    model.joint = False  # a warm-up
    total, _ = model.loss(batch())
    assert total.shape == (6,)
    total.sum().backward()
    assert all(p.grad is None for p in model.model.parameters())
    assert all(p.grad.any() for p in (*model.fusion.meta.parameters(), *model.teacher.parameters()))


def test_batch_without_boxes(model) -> None:
    empty = {"cls": torch.zeros(0, 1), "bboxes": torch.zeros(0, 4), "batch_idx": torch.zeros(0)}
    gradients = backward(model, {**batch(), **empty})
    assert all(gradient.isfinite().all() for gradient in gradients.values())


# What it adds --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", ["yolov8", "yolo26"])
def test_term_is_the_loss_of_the_second_half_after_a_step_on_the_first(family) -> None:
    model = fused_model(family, nc=3, gains={"meta": 1.0, "look_ahead": 3.0}, meta=LOOKING_AHEAD).train()
    content = batch(3)  # one pair for the step, two for the loss
    content["batch_idx"] = torch.tensor([0.0, 1.0, 1.0])
    copy = deepcopy(model)
    total, _ = model.loss(content)

    features = {stride: f[:1] for stride, f in copy(content["img"])["backbone"].items()}
    students = [p for name, p in copy.fusion.named_parameters() if not name.startswith("meta.")]
    inner = meta_loss(copy.teacher(copy.fusion(content["img"][:1])), features, copy.config.meta.distance)
    slopes = torch.autograd.grad(inner, students, allow_unused=True)
    with torch.no_grad():
        for parameter, slope in zip(students, slopes, strict=True):
            if slope is not None:
                parameter -= LOOKING_AHEAD["inner_lr"] * slope
    test = {**content, "img": content["img"][1:], "batch_idx": torch.tensor([0.0, 0.0])}
    test["cls"], test["bboxes"] = content["cls"][1:], content["bboxes"][1:]
    output = copy.fusion(test["img"])
    detection = copy.loss({**test, "img": output.fused})
    outer, _ = joint_loss(detection, test, output, copy.config.gains, 2)  # without the meta term
    expected = 3 * outer.sum() * 3 / 2  # as if it were of all three pairs
    torch.testing.assert_close(total[-1], expected, rtol=3e-5, atol=0)


def test_only_what_makes_and_teaches_the_meta_features_learns_from_it(model) -> None:
    plain = backward(with_interval(model, 0), batch())
    gradients = backward(model, batch())
    assert gradients.keys() == plain.keys()
    for name, gradient in gradients.items():
        assert torch.equal(gradient, plain[name]) is not is_taught(name), name


@pytest.mark.parametrize("joint", [True, False])
def test_detection_speaks_through_it_in_joint_phases_only(joint) -> None:
    gains = {"ssim": 0.0, "gradient": 0.0, "intensity": 0.0, "detection": 1.0, "meta": 1.0}
    model = fused_model(nc=3, gains=gains, meta=LOOKING_AHEAD).train()
    model.joint = joint
    plain, gradients = backward(with_interval(model, 0), batch()), backward(model, batch())
    for name in filter(is_taught, plain):
        assert torch.equal(gradients[name], plain[name]) is not joint, name


def test_batch_norms_see_a_batch_once(model) -> None:
    plain = with_interval(model, 0)
    for net in (plain, model):
        net(batch())
    state = plain.state_dict()
    assert state["model.0.bn.num_batches_tracked"] == 1
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_term_is_not_logged(model) -> None:
    _, plain = with_interval(model, 0).loss(batch())
    _, items = model.loss(batch())
    assert items == plain


def test_first_order_leaves_the_teacher_out(model) -> None:
    plain = backward(with_interval(model, 0), batch())
    second = backward(model, batch())
    model.config = replace(model.config, meta=replace(model.config.meta, first_order=True))
    first = backward(model, batch())
    for name in filter(is_taught, plain):
        assert torch.equal(first[name], plain[name]) is name.startswith("teacher."), name
        assert not torch.equal(first[name], second[name]), name


def test_gradients_accumulate_over_batches(model) -> None:
    batches = batch(seed=1), batch(seed=2)
    singles = [backward(deepcopy(model), content) for content in batches]
    together = backward(model, *batches)
    assert together.keys() == singles[0].keys()
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, singles[0][name] + singles[1][name], msg=name)


def test_predictions_at_hand_make_no_difference(model) -> None:
    copy = deepcopy(model)
    own = model.loss(batch())
    given = copy.loss(batch(), copy(batch()["img"]))  # the host's way when it compiles the model
    assert torch.equal(own[0], given[0])
    assert own[1] == given[1]


# What the host does to models ----------------------------------------------------------------------------------------
def saved(model: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    return buffer.getvalue()


def test_nothing_of_a_batch_stays_behind(model) -> None:
    model.criterion = model.init_criterion()
    before = len(saved(model))
    backward(model, batch(8))
    model.zero_grad()
    assert abs(len(saved(model)) - before) < 1000
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    "copy",
    [deepcopy, lambda model: torch.load(io.BytesIO(saved(model)), weights_only=False)],
    ids=["deepcopy", "torch.save"],
)
def test_copies_of_a_model_in_training_go_on_like_it(copy, model) -> None:
    model(batch(seed=1))[0].sum().backward()
    again = copy(model)
    assert again.batches == model.batches == 1
    gradients, expected = backward(again, batch()), backward(model, batch())
    assert all(torch.equal(gradient, expected[name]) for name, gradient in gradients.items())


def test_averaged_weights_include_the_teacher(model) -> None:
    ema = ModelEMA(model, decay=0.5, tau=1e-9)
    model(batch())[0].sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    before = deepcopy(ema.ema.state_dict())
    ema.update(model)
    for name, value in ema.ema.named_parameters():
        if is_taught(name):
            torch.testing.assert_close(value, before[name] + 0.5)


def gradients_of_a_rank(rank: int, port: int, folder) -> None:
    """Train one step on the pairs of a rank, and save the gradients."""
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(ahead(), find_unused_parameters=True, broadcast_buffers=False)
    model(batch(seed=rank))[0].sum().backward()
    torch.save({name: p.grad for name, p in model.module.named_parameters()}, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_processes_share_the_gradients(tmp_path, shared) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    mp.spawn(gradients_of_a_rank, (port, tmp_path), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    singles = [backward(deepcopy(shared), batch(seed=rank)) for rank in range(2)]
    for name in filter(is_taught, first):
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], (singles[0][name] + singles[1][name]) / 2, msg=name)
