"""The part of the host's `Model` that learns: training and hyper-parameter search, on pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.engine.model import Model
from ultralytics.utils import RANK

from metafusion_yolo.data.description import check_description
from metafusion_yolo.engine._host import our_command, quiet_start
from metafusion_yolo.engine.arguments import check_arguments
from metafusion_yolo.engine.checkpoints import check_start, check_unfinished
from metafusion_yolo.engine.train.arguments import plain_arguments
from metafusion_yolo.engine.train.distributed import decide_once
from metafusion_yolo.engine.train.resumable import cut_off_run
from metafusion_yolo.engine.train.tuning import FusionTuner, tune_with_ray
from metafusion_yolo.engine.train.universal import UniversalFusionTrainer
from metafusion_yolo.engine.vocabulary import refuse_words
from metafusion_yolo.labelling.unlabelled import label_more
from metafusion_yolo.nn.start import build_fusion
from metafusion_yolo.options import Learning, Train, Tune
from metafusion_yolo.support.console import in_our_words
from metafusion_yolo.support.errors import UserTypeError, UserValueError


class LearningModel(Model):
    """A detector that learns on pairs."""

    def train(
        self,
        trainer: Any = None,
        fusion_only: bool = Train.fusion_only,
        fusion: dict[str, Any] | None = Learning.fusion,
        augmentations: list[Any] | None = Learning.augmentations,
        infrared_augmentations: list[Any] | None = Learning.infrared_augmentations,
        unlabelled: str | None = Train.unlabelled,
        **kwargs: Any,
    ) -> Any:
        """Train on a paired data set.

        Args:
            trainer: Another trainer class.
            fusion_only: Whether to train the front-end alone, without labels, on the pairs of a data set or on a folder
                of plain images (`data=`). Its checkpoint is a start for the joint training.
            fusion: Values over those of the model's `fusion:` section: `{"gains": {"gradient": 5}}`.
            augmentations: Albumentations transforms. What moves pixels moves both cameras and the boxes; what changes
                colours changes the visible image.
            infrared_augmentations: Transforms that change the infrared image, and move nothing.
            unlabelled: Checkpoint that labels the pairs of `unlabelled:` in the data set, to train on them too; "self"
                for this model. See :func:`~metafusion_yolo.labelling.unlabelled.label_more`.
            **kwargs: The host's training arguments, `data=` and `epochs=` first of all. `resume="auto"` goes on with
                the run of this `project` and `name` if it was cut off, and else begins it.

        Returns:
            The host's detection metrics; a dictionary of them by data set if `data` is a list.

        Raises:
            ValueError: If there is no data set, or nothing to resume; the host would train on COCO instead.
            PairError: If the data set does not pair up.
            FileNotFoundError: If `pretrained`, `resume` or `distill_model` names no file, and none can be downloaded.
            TypeError: If it names no checkpoint, as :class:`UnsafeCheckpointError` if it could run code.
            ModuleNotFoundError: If transforms are given and Albumentations is not installed.
        """
        if not fusion_only:
            refuse_words(self.model, "trained")
        kwargs = self._checked(kwargs, fusion, augmentations, infrared_augmentations)
        if unlabelled:
            if RANK != -1:
                raise UserValueError(
                    f"'unlabelled={unlabelled}' labels before the training, in one process; write the labels by "
                    f"metafusion data label first, or list the devices in device= instead of using a launcher"
                )
            kwargs["data"] = label_more(self, unlabelled, {**kwargs, "fusion_only": fusion_only})
        with in_our_words(), quiet_start(), our_command():
            return super().train(UniversalFusionTrainer if fusion_only else trainer, **kwargs)

    def reset_weights(self) -> LearningModel:
        """Reset the weights; the front-end starts with the shares of its configuration."""
        super().reset_weights()
        self.model.fusion.load_state_dict(build_fusion(self.model.config).state_dict())
        return self

    def _checked(self, kwargs: dict[str, Any], fusion: Any, visible: Any, infrared: Any) -> dict[str, Any]:
        """Check the arguments of a training and return them as the host takes them."""
        ours = {"augmentations": visible, "infrared_augmentations": infrared, "fusion": fusion}
        kwargs = {**kwargs, **{name: value for name, value in ours.items() if value}}
        resume = kwargs.get("resume")
        if resume == "auto":
            resume = decide_once(lambda: cut_off_run(kwargs)) or False
            kwargs |= {"resume": resume, "exist_ok": True}
        if resume:
            check_unfinished(*(self.model_name, self.ckpt) if resume is True else (resume, None))
        elif not (kwargs.get("data") or kwargs.get("cfg")):
            raise UserValueError("'data' is missing; give the YAML of a paired data set")
        kwargs = plain_arguments(kwargs)
        check_arguments("train", kwargs, task=self.task)
        if isinstance(start := kwargs.get("pretrained"), (str, Path)):
            kwargs["pretrained"] = check_start(start)
        return kwargs

    def tune(  # noqa: D417 - described with `train`
        self,
        use_ray: bool = Tune.use_ray,
        iterations: int = Tune.iterations,
        *args: Any,
        space: dict[str, Any] | None = Tune.space,
        search_alg: Any = Tune.search_alg,
        grace_period: int | None = Tune.grace_period,
        gpu_per_trial: float | None = Tune.gpu_per_trial,
        fusion: dict[str, Any] | None = Learning.fusion,
        augmentations: list[Any] | None = Learning.augmentations,
        infrared_augmentations: list[Any] | None = Learning.infrared_augmentations,
        **kwargs: Any,
    ) -> Any:
        """Search for hyper-parameters of the training, the front-end's among them.

        Every training of the search starts from this model. The default space is the host's, and gains and
        augmentation of the front-end: :data:`~metafusion_yolo.engine.train.tuning.OWN_SPACE`.

        Args:
            use_ray: Whether to search with Ray Tune, which runs trainings side by side.
            iterations: Number of trainings.
            *args: With `use_ray`, the further arguments of the host's `run_ray_tune`.
            space: What to search, (lowest, highest) by name, `"fusion.gains.gradient"` among the names; with
                `use_ray`, distributions of Ray Tune too.
            search_alg, grace_period, gpu_per_trial: With `use_ray`, of the host's `run_ray_tune`: the searcher, Optuna
                if left out, the least epochs of a training, and its GPUs.
            fusion, augmentations, infrared_augmentations: As for :meth:`train`.
            **kwargs: Arguments of the trainings, `data=` and `epochs=` first of all.

        Returns:
            The YAML with the best hyper-parameters, which `train(cfg=)` takes; with `use_ray`, the results of Ray Tune,
            and the YAML lies in the folder of the run.

        Raises:
            ValueError: If there is no data set, the space has an unknown key, or no training comes to its end.
            ModuleNotFoundError: If Ray Tune is requested and not installed.
        """
        self._check_is_pytorch_model()
        refuse_words(self.model, "tuned")
        of_ray = {"search_alg": search_alg, "grace_period": grace_period, "gpu_per_trial": gpu_per_trial}
        of_ray = {key: value for key, value in of_ray.items() if value is not None}
        Tune(iterations, use_ray, **of_ray)
        if of_ray and not use_ray:
            raise UserValueError("'{}={}' needs use_ray=True; leave it out".format(*next(iter(of_ray.items()))))
        if args and use_ray:
            space, *args = args  # type: ignore[assignment]
        kwargs = self._checked(kwargs, fusion, augmentations, infrared_augmentations)
        if isinstance(kwargs.get("data"), (str, Path)):
            kwargs["data"] = check_description(kwargs["data"])
        if "optimizer" not in (space or {}):
            kwargs.setdefault("optimizer", "AdamW")  # as in the host: rates suit one optimizer
        if use_ray:
            return tune_with_ray(self, space, iterations, *args, **of_ray, **kwargs)
        if args:
            raise UserTypeError(f"{args} need use_ray=True; give the other arguments by name")
        tuner = FusionTuner(
            {**self.overrides, "space": space, **kwargs, "mode": "train"}, self.callbacks, model=self.model
        )
        return tuner(iterations)
