"""The table: for each public name and argument of the host's classes the test that shows pairs, or the no.

A row of several names says the same of each. `shown` is `file::test` below `tests/`; `refused` the line that is said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from metafusion_yolo.engine.arguments import OTHER_TASKS

DOORS = "contract/test_doors.py::"


class Row(NamedTuple):
    """What is said of some names."""

    names: str
    shown: str = ""
    refused: str = ""
    note: str = ""

    def each(self) -> list[str]:
        return self.names.split()


MODEL = [
    Row("__call__ predict", DOORS + "test_the_infrared_image_counts"),
    Row("embed", DOORS + "test_the_infrared_image_counts", note="features of the fused image"),
    Row("track", "engine/predict/test_sequences.py::test_a_folder_is_a_sequence_in_name_order"),
    Row("train", "engine/test_pipeline.py::test_a_checkpoint_is_a_start_for_more_training"),
    Row("tune", "engine/train/test_tuning.py::test_the_best_of_a_search_is_a_fused_detector_and_a_yaml_to_train_with"),
    Row("val", "engine/test_pipeline.py::test_validation_with_a_camera_off"),
    Row("export", "engine/test_pipeline.py::test_onnx_gives_the_same_boxes"),
    Row("benchmark", "engine/export/test_benchmark.py::test_run_over_formats"),
    Row("load save fuse eval reset_weights", DOORS + "test_the_infrared_image_counts_after"),
    Row("reset_weights", DOORS + "test_reset_weights_are_those_of_a_new_model"),
    Row("info names device transforms task_map", DOORS + "test_what_a_model_says_of_itself"),
    Row("add_callback clear_callback reset_callbacks", DOORS + "test_callbacks_see_pairs"),
    Row("is_triton_model", "engine/export/test_exports.py::test_triton_repository_says_what_the_export_is"),
    Row("calibrate", refused="calibrate() is only supported for depth models"),
]
TRAINER = [
    Row(
        "train get_dataset build_dataset get_dataloader get_model setup_model set_model_attributes "
        "set_model_names_for_load build_optimizer optimizer_step preprocess_batch get_validator validate final_eval "
        "label_loss_items progress_string save_model save_metrics read_results_csv on_plot plot_metrics "
        "plot_training_labels plot_training_samples run_callbacks",
        "engine/test_pipeline.py::test_a_checkpoint_is_a_start_for_more_training",
    ),
    Row("add_callback set_callback", DOORS + "test_callbacks_see_pairs"),
    Row(
        "check_resume resume_training",
        "engine/train/test_accidents.py::test_a_run_that_was_cut_off_ends_like_an_undisturbed_one",
    ),
    Row("auto_batch", DOORS + "test_a_batch_by_itself_is_of_pairs"),
    Row("compute_class_weights get_class_counts set_class_weights", DOORS + "test_a_training_with_every_argument"),
]
VALIDATOR = [
    Row(
        "__call__ build_dataset get_dataloader preprocess postprocess init_metrics update_metrics get_stats "
        "gather_stats finalize_metrics print_results get_desc metric_keys match_predictions plot_predictions "
        "plot_val_samples on_plot run_callbacks",
        "engine/validate/test_validator.py::test_the_figures_of_detection_are_those_of_the_host",
    ),
    Row("get_model", "engine/test_pipeline.py::test_validation_with_a_camera_off", note="of a checkpoint or an export"),
    Row("add_callback", DOORS + "test_callbacks_see_pairs"),
    Row(
        "save_one_txt pred_to_json scale_preds eval_json coco_evaluate", DOORS + "test_a_validation_with_every_argument"
    ),
]
PREDICTOR = [
    Row(
        "__call__ setup_model setup_source pre_transform preprocess inference postprocess construct_results "
        "construct_result stream_inference run_callbacks",
        "engine/test_pipeline.py::test_every_form_of_a_pair_gives_the_same_boxes",
    ),
    Row("write_results save_predicted_images show", DOORS + "test_a_prediction_with_every_argument"),
    Row("predict_cli", DOORS + "test_the_hosts_way_through_a_predictor_reads_pairs"),
    Row("add_callback", DOORS + "test_callbacks_see_pairs"),
    Row("get_obj_feats scale_fill", "engine/predict/test_tracking.py::test_identities_persist"),
]
EXPORTER = [
    Row(
        "__call__ run_callbacks export_onnx export_torchscript export_openvino",
        "engine/export/test_exports.py::test_export_predicts_validates_and_tracks_like_the_checkpoint",
    ),
    Row("add_callback", DOORS + "test_callbacks_see_pairs"),
    Row(
        "get_int8_calibration_dataloader",
        "engine/export/test_exports.py::test_int8_is_calibrated_on_pairs_and_named_by_the_host",
    ),
    Row(
        "export_mnn export_ncnn export_executorch export_litert export_paddle",
        "engine/export/test_exports.py::test_formats_of_other_packages_where_they_are_installed",
        note="where its package is installed; else a line names the package",
    ),
    Row("export_coreml", "engine/export/test_exports.py::test_core_ml_takes_the_pair_as_a_tensor"),
    Row(
        "export_engine export_saved_model export_pb export_edgetpu export_rknn export_axelera export_ascend "
        " export_xilinx export_qnn export_deepx export_coreai",
        DOORS + "test_other_formats_get_a_model_of_pairs",
        note="Ultralytics gets a model of four channels; [which were tried](export.md#formats)",
    ),
    Row("export_imx", refused="format=imx is for stock detectors only, layer by layer; export onnx"),
    Row("export_hailo", refused="format=hailo is for stock detectors only, layer by layer; export onnx"),
]
RESULTS = [
    Row("cpu cuda numpy to new update __getitem__", DOORS + "test_results_keep_the_pair"),
    Row("__len__ __str__ verbose to_df to_csv to_json summary", DOORS + "test_results_in_words_and_tables"),
    Row("plot save show save_crop save_txt", DOORS + "test_results_as_files_show_both_cameras"),
]
ALL_TRAIN = DOORS + "test_a_training_with_every_argument"
ALL_VAL = DOORS + "test_a_validation_with_every_argument"
ALL_PREDICT = DOORS + "test_a_prediction_with_every_argument"
ALL_EXPORT = DOORS + "test_an_export_with_every_argument"
ARGUMENTS = [
    Row(
        "model data epochs patience batch imgsz save save_period cache device workers project name exist_ok pretrained "
        "cls_remap optimizer verbose seed deterministic single_cls cos_lr close_mosaic amp fraction freeze multi_scale "
        "channels_last val split plots lr0 lrf momentum weight_decay warmup_epochs warmup_momentum warmup_bias_lr box "
        "cls cls_pw dfl nbs profile time",
        ALL_TRAIN,
    ),
    Row(
        "hsv_h hsv_s hsv_v degrees translate scale shear perspective flipud fliplr mosaic mixup cutmix copy_paste "
        "copy_paste_mode",
        "data/test_dataset.py::test_training_option_keeps_the_pair_registered",
        note="both cameras move alike; `hsv_*` changes the visible one",
    ),
    Row("rect", "data/test_dataset.py::test_rectangular_batches_keep_the_pair_registered"),
    Row("distill_model dis", "engine/train/test_trainer.py::test_one_fused_detector_can_be_distilled_into_another"),
    Row("resume", "engine/train/test_accidents.py::test_a_run_that_was_cut_off_ends_like_an_undisturbed_one"),
    Row("compile", DOORS + "test_a_compiled_model_reads_pairs"),
    Row(
        "task",
        "engine/test_tasks.py::test_a_task_trains_validates_predicts_and_tracks",
        note="detect, segment, pose, obb, classify, semantic, depth",
    ),
    Row("mode", "cli/test_cli.py::test_a_mistake_costs_one_line"),
    Row("cfg", "engine/train/test_tuning.py::test_the_best_of_a_search_is_a_fused_detector_and_a_yaml_to_train_with"),
    Row("conf iou max_det agnostic_nms classes augment save_json save_txt save_conf visualize", ALL_VAL),
    Row(
        "source vid_stride stream_buffer embed show save_frames save_crop show_labels show_conf show_boxes line_width",
        ALL_PREDICT,
    ),
    Row("tracker", "engine/predict/test_tracking.py::test_identities_persist"),
    Row("dnn", "engine/export/test_exports.py::test_export_predicts_validates_and_tracks_like_the_checkpoint"),
    Row("format dynamic simplify opset nms optimize workspace", ALL_EXPORT),
    Row("quantize", "engine/export/test_exports.py::test_int8_is_calibrated_on_pairs_and_named_by_the_host"),
    Row("bgr auto_augment", refused="'NAME=VALUE' changes single images, not pairs; leave it out"),
    *(
        Row(
            " ".join(name for name, other in OTHER_TASKS.items() if other == task),
            refused=f"'NAME=VALUE' is for the task '{task}' and has no effect here; leave it out",
            note="of a model of another task",
        )
        for task in dict.fromkeys(OTHER_TASKS.values())
    ),
]
TABLES: dict[str, tuple[str, list[Row]]] = {
    "Model": ("methods and properties of `MetaFusionYOLO`", MODEL),
    "Trainer": ("of `FusionDetectionTrainer`", TRAINER),
    "Validator": ("of `FusionDetectionValidator`", VALIDATOR),
    "Predictor": ("of `FusionDetectionPredictor`", PREDICTOR),
    "Exporter": ("of `FusionDetectionExporter`", EXPORTER),
    "Results": ("of `FusionResults`", RESULTS),
    "Arguments": ("of every mode; an argument of several modes stands where it is tried hardest", ARGUMENTS),
}


def names_of_host() -> dict[str, set[str]]:
    """Return the public names of each class of the host that ours derive from, and its arguments."""
    from ultralytics.engine.exporter import Exporter
    from ultralytics.engine.model import Model
    from ultralytics.engine.results import Results
    from ultralytics.models.yolo.detect import DetectionPredictor, DetectionTrainer, DetectionValidator
    from ultralytics.utils import DEFAULT_CFG_DICT

    spoken = ("__call__", "__getitem__", "__len__", "__str__")

    def public(cls: type) -> set[str]:
        hosts: list[Any] = [base for base in cls.__mro__ if base.__module__.startswith("ultralytics")]
        return {name for base in hosts for name in vars(base) if not name.startswith("_") or name in spoken}

    classes = (Model, DetectionTrainer, DetectionValidator, DetectionPredictor, Exporter, Results)
    found = {title: public(cls) for title, cls in zip(TABLES, classes, strict=False)}
    return {**found, "Arguments": set(DEFAULT_CFG_DICT)}
