"""Training of the front-end alone, without labels: `metafusion train fusion_only=True`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from metafusion_yolo.config import Augment
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.unlabelled import UNNAMED, UnlabelledDataset, describe_unlabelled
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.nn.universal import one_of_each, two_views
from metafusion_yolo.schedule import WARMUP, Phase
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.resources import find_data_yaml

ALONE = replace(WARMUP, name="universal", fraction=1.0)


class UniversalFusionTrainer(FusionDetectionTrainer):
    """Train the front-end to restore an image from two corrupted views of it; the detector is frozen.

    `data` is the YAML of a paired data set, whose labels are not read, or a folder of plain images. The checkpoint is
    one of a fused detector, from which a detection-guided training can start.
    """

    dataset_class = UnlabelledDataset

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.args.task = "detect"  # whatever the head is: it learns nothing, and there are no labels of its task
        self.args.mosaic = self.args.mixup = self.args.cutmix = 0.0  # the front-end should not learn seams

    def get_dataset(self) -> dict[str, Any]:
        """Read a folder, or a data set that may lack labels, names and validation images."""
        self.args.data = find_data_yaml(self.args.data)
        with TemporaryDirectory() as folder:  # every rank has its own
            data = describe(describe_unlabelled(self.args.data, Path(folder) / "unlabelled.yaml"))
        data["channels"] = NUM_CHANNELS
        self._rig = Rig.from_yaml(data, self.args.data)
        return data

    def get_model(self, cfg: Any = None, weights: nn.Module | None = None, verbose: bool = True) -> FrontEndAhead:
        """Build the fused detector, with the class names of the data or else of the weights.

        Raises:
            ValueError: If the model fuses by a fixed rule.
        """
        if self.data["names"] == UNNAMED:
            self.data["names"] = dict(getattr(weights, "names", None) or self.data["names"])
            self.data["nc"] = len(self.data["names"])
        model = super().get_model(cfg, weights, verbose)
        if model.config.method != "learned":
            raise UserValueError(
                f"fusion: method: '{model.config.method}' has nothing to learn; fusion_only needs 'learned'"
            )
        model.fusion.decoder.jitter = 0.0  # type: ignore[union-attr]
        return model

    @property
    def augmentation(self) -> Augment:
        """Augmentation without cameras that fail: the two views are spoilt anyway, and no blank one can be restored."""
        return replace(super().augmentation, modality_dropout=0.0, degradation=0.0)

    def phase(self, epoch: int) -> Phase:
        """Return the one phase of this training: the front-end learns, the detector is frozen."""
        return ALONE

    def preprocess_batch(self, batch: dict[str, Any], generator: torch.Generator | None = None) -> dict[str, Any]:
        """Replace each pair by two corrupted views of one image, and add `clean`, the target of their fusion."""
        batch = super().preprocess_batch(batch)
        image = one_of_each(batch["img"], generator)
        batch["img"], batch["clean"] = two_views(image, generator)
        return batch

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], float]:
        """Return the losses on the validation images, of the same views every time, and minus their sum as fitness."""
        model = self.ema.ema.eval()
        generator = torch.Generator(self.device).manual_seed(0)
        total, sums, count = 0.0, dict.fromkeys(self.loss_names, 0.0), 0
        for batch in self.test_loader:
            batch = self.preprocess_batch(batch, generator)
            loss, items = model.loss(batch)
            size = len(batch["img"])
            total, count = total + float(loss.sum()), count + size
            sums = {name: value + size * float(items[name]) for name, value in sums.items()}
        if self.world_size > 1:  # each rank has seen its share
            figures = torch.tensor([total, count, *sums.values()], dtype=torch.float64, device=self.device)
            dist.all_reduce(figures)
            total, count, *shares = figures.tolist()
            sums = dict(zip(sums, shares, strict=True))
        fitness = -total / count
        self.best_fitness = fitness if self.best_fitness is None else max(fitness, self.best_fitness)
        return {f"val/{name}": value / count for name, value in sums.items()}, fitness

    def final_eval(self) -> None:
        """Strip the optimizer's state from the checkpoints; there is no detection to measure."""
        for file in (self.best, self.last):  # last.pt at the end: until then the run can be resumed
            self._finish(file)

    def plot_training_labels(self) -> None:
        """Plot nothing, as there are no labels."""
