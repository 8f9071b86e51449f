"""Whoever does the work, a process, jobs of a queue or a cluster: what comes out is the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lively import lively
from metafusion_yolo.compare.runs import do_missing
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.engine.predict.fuser import fuse_images
from metafusion_yolo.labelling.dataset import label_pairs
from metafusion_yolo.options import Label
from metafusion_yolo.options.scale import Cluster
from metafusion_yolo.prepare.check import check_dataset
from metafusion_yolo.support.errors import UserError
from tests.compare.test_runs import SETTING, Run, work
from tests.conftest import TINY


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Ray cluster of two cores, whose workers find the package and the tests where this process does."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
        patch.setenv("RAY_worker_niceness", "0")  # else they starve beside the other tests
        ray.init(num_cpus=2, include_dashboard=False, logging_level="WARNING", log_to_driver=False)
        yield
        ray.shutdown()


def found(report) -> list[tuple]:
    return [(finding.kind.name, [(c.file, c.detail) for c in finding.cases]) for finding in report.findings]


def damaged(make_pair_folder):
    """Nine pairs: one that cannot be read, a copy, a wrong label."""
    pairs = make_pair_folder(9)
    pairs.infrared[3].write_bytes(b"no image")
    pairs.visible[5].write_bytes(pairs.visible[4].read_bytes())
    (pairs.root / "labels" / "train" / "7.txt").write_text("9 0.5 0.5 0.1 0.1\n")
    return pairs


@pytest.mark.slow
def test_a_cluster_does_what_this_process_does(cluster, make_pair_folder, tmp_path) -> None:
    by_ray = {"engine": "ray", "workers": 1}
    pairs = damaged(make_pair_folder)
    here, there = (check_dataset(pairs.yaml, None, one) for one in (None, Cluster("ray", 1)))
    assert found(here) == found(there) and len(found(here)) >= 3
    assert [one.files for one in here.measured] == [one.files for one in there.measured]

    fused = [
        sorted(
            fuse_images(
                str(pairs.images),
                method="average",
                project=str(tmp_path),
                name=name,
                on_error="skip",
                verbose=False,
                **given,
            )
        )
        for name, given in (("here", {}), ("there", by_ray))
    ]
    assert [f.read_bytes() for f in fused[0]] == [f.read_bytes() for f in fused[1]] and len(fused[1]) == 8
    with pytest.raises(PairError, match=r"3\.png"):
        [*fuse_images(str(pairs.images), method="average", project=str(tmp_path), verbose=False, **by_ray)]

    runs = [Run(row, fold, 0, str(tmp_path)) for row in ("visible", "broken") for fold in (0, 1)]
    said: list[str] = []
    assert {run.row for run in do_missing(SETTING, [runs], 1, work, said.append, "ray")} == {"broken"}
    assert sum("mAP50" in line for line in said) == 2 and any("failed: out of luck, see" in line for line in said)


@pytest.mark.slow
def test_a_cluster_labels_as_this_process_does(cluster, make_pair_folder, tmp_path) -> None:
    model = tmp_path / "lively.pt"
    lively(TINY, -4).save(model)  # few boxes, none at a limit that a worker might round to the other side of
    texts = []
    for name, given in (("here", Cluster()), ("there", Cluster("ray", 1)), ("shares", Cluster(part="1/2"))):
        pairs = make_pair_folder(5, name=name)
        report = label_pairs(
            Label(
                str(pairs.yaml),
                model=str(model),
                imgsz=64,
                tasks="coco",
                overwrite=True,
                device="cpu",
                project=str(tmp_path),
                name=f"run-{name}",
                conf=0.05,
            ),
            given,
        )
        labels = sorted((pairs.root / "labels" / "train").iterdir())
        texts.append([file.read_text() for file in labels])
        assert report.pairs == (2 if given.part else 5)
    assert texts[0] == texts[1] and any(texts[0])
    assert texts[2][:2] == texts[0][:2] and texts[2][2:] != texts[0][2:]


def test_shares_of_jobs_are_the_whole(make_pair_folder, tmp_path) -> None:
    pairs = make_pair_folder(5)
    given = {"method": "average", "project": str(tmp_path), "verbose": False}
    files = [*fuse_images(str(pairs.images), name="whole", **given)]
    shares = [[*fuse_images(str(pairs.images), name="shares", part=f"{i}/2", **given)] for i in (1, 2)]
    assert [len(share) for share in shares] == [2, 3]
    assert [f.read_bytes() for f in files] == [f.read_bytes() for share in shares for f in share]
    assert len(check_dataset(pairs.yaml, None, Cluster(part="1/2")).measured) == 2
    with pytest.raises(UserError, match="are for image files"):
        fuse_images([np.zeros((8, 8, 4), np.uint8)], part="1/2", **given)
    with pytest.raises(UserError, match="'part=3/2' is invalid"):
        [*fuse_images(str(pairs.images), name="none", part="3/2", **given)]
    with pytest.raises(UserError, match="'workers=2' needs engine=ray"):
        check_dataset(pairs.yaml, None, Cluster(workers=2))
