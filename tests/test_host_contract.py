"""Every hook of the host that we override: still there, and called as before.

A change of the host fails here with one sentence, not somewhere in a training run.
"""

import importlib
import inspect
import pkgutil
import re
from functools import cached_property
from importlib.metadata import requires
from inspect import Parameter, Signature
from pathlib import Path

import pytest
import ultralytics
from packaging.requirements import Requirement

import metafusion_yolo
from metafusion_yolo.support import versions as host

ROOT = Path(__file__).parents[1]
HOST = f"ultralytics {ultralytics.__version__}"

# Hooks by class. A name that the host gives up would otherwise turn into a method that nobody calls.
HOOKS = {
    "BaselineTrainer": "get_model",
    "ConcurrentModel": "val",
    "DistributedTrainer": "__init__ _do_train _model_train _setup_ddp train",
    "EarlyFusionModel": "__init__ load",
    "EarlyFusionTrainer": "",
    "ExactOpenVINOBackend": "forward load_model",
    "FusedOutputModel": "__init__",
    "FusionDetectionExporter": (
        "__call__ __init__ _transform_fn export_coreml export_onnx export_openvino get_int8_calibration_dataloader "
        "run_callbacks"
    ),
    "FrontEndAhead": "info load loss predict",
    **{f"Fusion{head}Model": "" for head in ("Detection", "Segmentation", "Pose", "OBB", "World", "YOLOE", "YOLOESeg")},
    "FusionClassificationModel": "",
    "FusionClassificationPredictor": "postprocess pre_transform",
    "FusionClassificationTrainer": (
        "__init__ auto_batch build_dataset get_dataset get_model plot_training_labels plot_training_samples"
    ),
    "FusionClassificationValidator": "build_dataset preprocess",
    "FusionRTDETRModel": "end2end predict set_head_attr",
    "FusionTorchvisionModel": "",
    **{
        f"Fusion{task}{part}": ""
        for task in ("Segmentation", "Pose", "OBB")
        for part in ("Trainer", "Validator", "Predictor")
    },
    **{f"Fusion{task}Metrics": "" for task in ("Segment", "Pose", "OBB")},
    "FusionDetectionPredictor": (
        "construct_results inference postprocess pre_transform run_callbacks save_predicted_images setup_model "
        "setup_source stream_inference"
    ),
    "SurestViewPredictor": "postprocess",
    "EnsemblePredictor": "construct_results inference setup_model",
    "FusionDetectionTrainer": (
        "__init__ _model_train build_dataset build_optimizer get_dataset get_model get_validator plot_metrics "
        "plot_training_samples preprocess_batch progress_string validate"
    ),
    "FusionDetectionValidator": (
        "__call__ __init__ build_dataset finalize_metrics gather_stats get_stats init_metrics plot_predictions "
        "plot_val_samples postprocess print_results update_metrics"
    ),
    "FusionMetrics": "results_dict",
    "FusionResults": "__init__ __repr__ new plot save_crop summary",
    "LoadPairs": "__init__ __iter__ __len__ __next__ close",
    "LoadStreamPair": "__init__ __iter__ __next__ close",
    "LoadVideoPair": "__init__ __iter__ __next__ close",
    "FusionTuner": "__call__ __init__",
    "LearningModel": "reset_weights train tune",
    "LoadedModel": "_load _new load task_map",
    "MetaFusionYOLO": "__init__ _val_data benchmark export predict track val",
    "FormatInOrder": "_format_segments apply_instances",
    "PairedAlbumentations": "__call__ __init__",
    "TorchvisionModel": "__init__ _predict_once _remap_cls_by_names end2end init_criterion loss set_head_attr",
    "TwoInputModel": "",
    "PairONNXBackend": "forward",
    "PairOpenVINOBackend": "",
    "PairTorchScriptBackend": "forward",
    "PairTritonBackend": "forward",
    "PackedYOLODataset": "_load_or_scan_cache cache_labels set_rectangle update_labels verify_labels",
    "PairedYOLODataset": (
        "__init__ build_transforms cache_images cache_images_to_disk cache_labels get_cache_hash get_img_files "
        "get_label_files get_labels load_image result_to_label"
    ),
    "Recorder": "__init__ get_stats update_metrics",
    "ResumableTrainer": (
        "__init__ _build_train_pipeline _do_train _handle_nan_recovery _load_checkpoint_state _model_train "
        "build_optimizer final_eval optimizer_step resume_training run_callbacks train"
    ),
    "UniversalFusionTrainer": (
        "__init__ final_eval get_dataset get_model plot_training_labels preprocess_batch validate"
    ),
    "UnlabelledDataset": "__init__ cache_labels get_img_files get_label_files get_labels",
    "FusionDepthModel": "",
    "FusionDepthPredictor": "",
    "FusionDepthTrainer": "final_eval",
    "FusionDepthValidator": "postprocess",
    "FusionSemanticSegmentationModel": "",
    "FusionSemanticSegmentationPredictor": "",
    "FusionSemanticSegmentationTrainer": "",
    "FusionSemanticSegmentationValidator": "build_dataset init_metrics",
    "MapPredictor": "postprocess",
    "MapTrainer": "build_dataset plot_training_samples",
    "MapValidator": "build_dataset",
    "PairedDepthDataset": "__getitem__ get_label_files",
    "PairedMapDataset": "build_transforms",
    "PairedPolygonDataset": "load_image",
    "PairedSemanticDataset": "get_label_files load_image verify_labels",
    "PlainValidator": "__call__ __init__ init_metrics plot_predictions plot_val_samples",
}
OWN_CONSTRUCTORS = {  # which only we call, so they may differ from the host's
    "TorchvisionModel",
    "FusedOutputModel",
    "EarlyFusionModel",
    "FusionResults",
    "LoadPairs",
    "LoadStreamPair",
    "LoadVideoPair",
    "PairedAlbumentations",
    "PairedYOLODataset",
    "UnlabelledDataset",
}


def own_classes() -> list[type]:
    """Return our classes that have a base in the host."""
    classes = {}
    for module in pkgutil.walk_packages(metafusion_yolo.__path__, "metafusion_yolo."):
        if module.name.endswith("__main__"):
            continue
        for item in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(item) and item.__module__ == module.name and host_bases(item):
                classes[item.__name__] = item
    return [classes[name] for name in sorted(classes)]


def host_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] == "ultralytics"]


def overrides(cls: type) -> dict[str, type]:
    """Return the names that a class of ours overrides, each with the host class whose version it replaces."""
    found = {}
    for name, item in vars(cls).items():
        if not isinstance(item, (property, cached_property, staticmethod, classmethod)) and not inspect.isfunction(
            item
        ):
            continue
        for base in host_bases(cls):
            if name in vars(base):
                found[name] = base
                break
    return found


def complaint(ours: Signature, host: Signature) -> str:
    """Tell why our signature does not accept every call that the host's allows; empty if it does."""
    rest = {p.kind for p in ours.parameters.values()}
    mine = {p.name: p for p in ours.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    positional = [p.name for p in mine.values() if p.kind is not p.KEYWORD_ONLY]
    for i, (name, wanted) in enumerate(host.parameters.items()):
        if wanted.kind in (wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
            if wanted.kind not in rest:
                return f"'{'*' if wanted.kind is wanted.VAR_POSITIONAL else '**'}{name}' is not accepted"
            continue
        own = mine.pop(name, None)
        if wanted.kind is not wanted.KEYWORD_ONLY:
            at_its_place = positional[i : i + 1] == [name]
            if not at_its_place and not (len(positional) <= i and Parameter.VAR_POSITIONAL in rest):
                return f"'{name}' is not accepted as positional argument {i}"
        if own is None and Parameter.VAR_KEYWORD not in rest:
            return f"'{name}' is not accepted by name"
        if own is not None and wanted.default is not wanted.empty and own.default is own.empty:
            return f"'{name}' has no default"
    for name, extra in mine.items():
        if extra.default is extra.empty and name != "self":  # which a decorated hook of the host hides
            return f"'{name}' of ours has no default"
    return ""


def function(item: object) -> object:
    """Return the function behind an attribute of a class."""
    if isinstance(item, property):
        return item.fget
    if isinstance(item, cached_property):
        return item.func
    return getattr(item, "__func__", item)


CLASSES = own_classes()
OVERRIDES = [(cls, name, base) for cls in CLASSES for name, base in overrides(cls).items()]


def test_every_class_over_the_host_has_its_hooks_listed() -> None:
    assert {cls.__name__ for cls in CLASSES} == set(HOOKS)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_hooks_are_still_there(cls) -> None:
    listed, found = set(HOOKS.get(cls.__name__, "").split()), set(overrides(cls))
    gone, new = sorted(listed - found), sorted(found - listed)
    assert not gone, f"{HOST}: no base of {cls.__name__} has {', '.join(gone)} any more, or we ceased to override it"
    assert not new, f"{cls.__name__} overrides {', '.join(new)}: list it in HOOKS"


@pytest.mark.parametrize(
    ("cls", "name", "base"), OVERRIDES, ids=[f"{cls.__name__}.{name}" for cls, name, _ in OVERRIDES]
)
def test_hooks_accept_what_the_host_passes(cls, name, base) -> None:
    ours, host = vars(cls)[name], vars(base)[name]
    kinds = type(ours), type(host)
    assert kinds[0] is kinds[1], (
        f"{HOST} changed {base.__name__}.{name} from {kinds[0].__name__} to {kinds[1].__name__}"
    )
    if name == "__init__" and cls.__name__ in OWN_CONSTRUCTORS:
        return
    signatures = [inspect.signature(function(item)) for item in (ours, host)]
    reason = complaint(*signatures)
    assert not reason, (
        f"{HOST} changed {base.__name__}.{name}{signatures[1]}: in {cls.__name__}.{name}{signatures[0]} {reason}"
    )


@pytest.mark.parametrize(
    ("ours", "host", "reason"),
    [
        ("self, a, b=1", "self, a, b=1", ""),
        ("self, a, b=1, *, ours=0", "self, a, b=1", ""),
        ("self, a, b=1, ours=0", "self, a, b=1", ""),
        ("self, a, b=1, ours=0, **kwargs", "self, a, b=1, **kwargs", ""),
        ("self, *args, ours=0, **kwargs", "self, a, b=1", ""),
        ("self, *args, ours=0, **kwargs", "self, args=None", ""),
        ("self, a, *args, **kwargs", "self, a, b=1, *, c", ""),
        ("self, a, b=2", "self, a, b=1", ""),
        ("self, a", "self, a, b=1", "'b' is not accepted as positional argument 2"),
        ("self, b, a", "self, a, b", "'a' is not accepted as positional argument 1"),
        ("self, x, b=1", "self, a, b=1", "'a' is not accepted as positional argument 1"),
        ("self, a, ours=0, b=1", "self, a, b=1", "'b' is not accepted as positional argument 2"),
        ("self, a, *, b=1", "self, a, b=1", "'b' is not accepted as positional argument 2"),
        ("self, a, *args", "self, a, b=1", "'b' is not accepted by name"),
        ("self, a", "self, a, *, b", "'b' is not accepted by name"),
        ("self, a, b", "self, a, b=1", "'b' has no default"),
        ("self, a, ours", "self, a", "'ours' of ours has no default"),
        ("self, a, *, ours", "self, a", "'ours' of ours has no default"),
        ("self, a", "self, a, **kwargs", "'**kwargs' is not accepted"),
        ("self, a", "self, a, *args", "'*args' is not accepted"),
    ],
)
def test_the_rule_itself(ours, host, reason) -> None:
    signatures = [inspect.signature(eval(f"lambda {parameters}: None")) for parameters in (ours, host)]
    assert complaint(*signatures) == reason


def test_installed_host_is_in_the_tested_range() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [declared] = [Requirement(found) for found in re.findall(r'"(ultralytics[<>=~!][^"]*)"', text)]
    assert {specifier.operator for specifier in declared.specifier} == {">=", "<"}  # a range with both ends
    assert declared.specifier.contains(ultralytics.__version__), f"{HOST} is not in '{declared}' of pyproject.toml"
    assert declared in map(Requirement, requires("metafusion-yolo"))
    assert {str(part) for part in declared.specifier} == {f">={host.LEAST}", f"<{host.BELOW}"}  # what is refused
