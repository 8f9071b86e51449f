"""The host's hyper-parameter search with our trainings, over `fusion:` keys too."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ultralytics.cfg import CFG_INT_KEYS, TASK2METRIC
from ultralytics.engine.tuner import Tuner
from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER, YAML

from metafusion_yolo.config import FusionConfig, dotted, section_of
from metafusion_yolo.engine._host import our_command
from metafusion_yolo.engine.train.arguments import is_own
from metafusion_yolo.support.errors import MissingPackageError, UserTypeError, UserValueError
from metafusion_yolo.support.logs import silent
from metafusion_yolo.support.words import nearest

BEST = "best_hyperparameters.yaml"
NONE_ENDED = "no training of the search was completed; the messages above say why"
OWN_SPACE = {
    "fusion.augment.infrared_gain": (0.0, 0.9),
    "fusion.augment.infrared_offset": (0.0, 0.5),
    "fusion.augment.infrared_noise": (0.0, 0.1),
    "fusion.augment.modality_dropout": (0.0, 0.5),
}
LEARNED_SPACE = {  # of a front-end that learns
    "fusion.gains.ssim": (0.1, 5.0),
    "fusion.gains.gradient": (1.0, 30.0),
    "fusion.gains.intensity": (0.1, 5.0),
}
DEAD = ("bgr",)  # it swaps the channels of images that have three


class FusionTuner(Tuner):
    """The host's tuner over `fusion.` keys as well as its own.

    Args:
        args: The arguments of the trainings, and `space`: bounds (lowest, highest) by name; None for the default.
        _callbacks: As for the host's tuner.
        model: The model whose weights every training starts from.

    Raises:
        ValueError: If the space has an unknown key, or invalid bounds.
    """

    space: dict[str, tuple[float, ...]]
    args: Any

    def __init__(self, args: dict[str, Any], _callbacks: Any = None, *, model: Any = None) -> None:
        own = {name: args.pop(name) for name in [*args] if is_own(name)}
        given = args.get("space") or None
        if given is not None:
            check_space(given)
        super().__init__(args, _callbacks, model=model)
        config = model.config
        if given is None:
            learned = LEARNED_SPACE if config.method == "learned" else {}
            self.space = {key: bounds for key, bounds in self.space.items() if key not in DEAD}
            self.space |= OWN_SPACE | learned
        start = dotted(config.to_dict())  # the first training takes these
        for name, value in ({name: start[name] for name in self.space if is_own(name)} | own).items():
            setattr(self.args, name, value)

    def __call__(self, iterations: int = 300, cleanup: bool = True) -> Path:
        """Search, and return the YAML with the best hyper-parameters, which `train(cfg=)` takes.

        Raises:
            ValueError: If no training was completed.
        """
        with our_command():
            super().__call__(iterations, cleanup)
        best: Path = self.tune_dir / BEST
        if not best.is_file():
            raise UserValueError(NONE_ENDED)
        if "optimizer" not in self.space:  # left to choose itself, it would pass over the rate that was found
            YAML.save(best, {**YAML.load(best), "optimizer": self.args.optimizer})
        return best


def check_space(space: Any) -> None:
    """Check the bounds of a search.

    Raises:
        TypeError: If they are not a mapping.
        ValueError: For a key that is no hyper-parameter of pairs, or bounds that are not two or three ordered numbers.
    """
    example = "such as {'lr0': (1e-5, 1e-2), 'fusion.gains.gradient': (1, 20)}"
    if not isinstance(space, Mapping):
        raise UserTypeError(f"'space' must be a mapping of names to (lowest, highest), {example}, not {space!r}")
    values = {**DEFAULT_CFG_DICT, **dotted(FusionConfig().to_dict())}
    known = [key for key, value in values.items() if key not in DEAD and _is_number(key, value)]
    for key, bounds in space.items():
        if key in DEAD:
            raise UserValueError(f"'{key}' in 'space' has no effect on pairs; leave it out")
        if key not in known:
            raise UserValueError(f"'{key}' in 'space' is not a hyper-parameter with a range, {nearest(key, known)}")
        numbers = isinstance(bounds, (tuple, list)) and all(isinstance(x, (int, float)) for x in bounds)
        if not (numbers and len(bounds) in (2, 3) and bounds[0] <= bounds[1]):
            raise UserValueError(f"'{key}' in 'space' must be (lowest, highest), {example}, not {bounds!r}")
        for bound in bounds[:2]:
            FusionConfig.from_dict(section_of({key: float(bound)}))  # of a key of ours, whose range it knows


def _is_number(key: str, value: Any) -> bool:
    return isinstance(value, float) or (key in CFG_INT_KEYS and type(value) is int)


def tune_with_ray(model: Any, space: Any, iterations: int, *args: Any, **kwargs: Any) -> Any:
    """Search with Ray Tune, and write the best hyper-parameters beside its results.

    Args:
        model: The model whose weights every training starts from.
        space: Bounds by name, or distributions of Ray Tune; None for the default.
        iterations: Number of trainings.
        *args: Further arguments of the host's `run_ray_tune`.
        **kwargs: Arguments of the trainings, and of the host's `run_ray_tune`: `search_alg`, `grace_period`,
            `gpu_per_trial`.

    Returns:
        The results of Ray Tune.

    Raises:
        ValueError: If no training was completed.
        ModuleNotFoundError: If Ray Tune is not installed.
    """
    sought = kwargs.get("search_alg", "optuna")  # as the host
    for package in ("ray", *(["optuna"] if sought == "optuna" else [])):
        if find_spec(package) is None:
            raise MissingPackageError(
                "use_ray=True needs the package 'ray[tune]', and optuna unless search_alg= names another; "
                f"{package} is not installed: pip install 'ray[tune]' optuna",
                name=package,
            )
    from ultralytics.utils.tuner import run_ray_tune

    if space is None:
        with silent():
            space = FusionTuner({**model.overrides, **kwargs}, model=model.model).space
    if isinstance(kwargs.get("data"), (str, Path)):  # a training has a working folder of its own
        kwargs["data"] = str(Path(kwargs["data"]).absolute()) if Path(kwargs["data"]).exists() else kwargs["data"]
    own = {name: kwargs.pop(name) for name in [*kwargs] if is_own(name)}  # the host takes them within the space
    optimizer = kwargs.get("optimizer")
    results = run_ray_tune(model, {**own, **ray_space(space)}, *args, iterations=iterations, **kwargs)
    LOGGER.info(f"Best hyper-parameters: {write_best(results, Path(results.experiment_path), optimizer, model.task)}")
    return results


def ray_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return bounds as distributions of Ray Tune; distributions stay as they are."""
    from ray import tune

    bounds = {key: value for key, value in space.items() if isinstance(value, (tuple, list))}
    check_space(bounds)
    ours = {
        key: tune.randint(int(low), int(high) + 1) if key in CFG_INT_KEYS else tune.uniform(low, high)
        for key, (low, high, *_) in bounds.items()
    }
    return {**space, **ours}


def write_best(results: Any, folder: Path, optimizer: str | None, task: str) -> Path:
    """Write the best hyper-parameters of a search by Ray Tune, as the host's tuner does of its own.

    Raises:
        ValueError: If no training was completed.
    """
    metric = TASK2METRIC[task]
    done = [result for result in results if (result.metrics or {}).get(metric) is not None]
    if not done:
        raise UserValueError(NONE_ENDED)
    best = max(done, key=lambda result: result.metrics[metric])
    found = {key: value for key, value in best.config.items() if key != "data"}
    YAML.save(folder / BEST, {**({"optimizer": optimizer} if optimizer else {}), **found})
    return folder / BEST
