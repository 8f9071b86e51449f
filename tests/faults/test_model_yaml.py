"""Model YAMLs and their `fusion:` section."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import folder, modelled, written

TRAIN = "train data=data.yaml model=mine.yaml"

AREA = Area(
    "Model YAMLs",
    "See [how it works](how-it-works.md).",
    [
        Fault(
            "file that does not exist",
            "train data=data.yaml model=metafusion-yolo8n.yaml",
            "no model YAML 'metafusion-yolo8n.yaml', did you mean 'metafusion-yolov8.yaml'?",
        ),
        Fault(
            "scale that does not exist",
            "train data=data.yaml model=metafusion-yolov8q.yaml",
            "no model YAML 'metafusion-yolov8q.yaml', did you mean 'metafusion-yolov8.yaml'?",
        ),
        Fault(
            "YAML of the stock detector",
            "train data=data.yaml model=yolov8n.yaml",
            "no model YAML 'yolov8n.yaml', did you mean 'metafusion-yolov8.yaml'?",
        ),
        Fault(
            "data-set YAML instead",
            "train data=data.yaml model=data.yaml",
            "model YAML 'data.yaml' has no 'detector:'; expected the name of an Ultralytics "
            "detection YAML, such as 'detector: yolov8.yaml'",
        ),
        Fault(
            "folder under the name of a YAML",
            TRAIN,
            "no model YAML 'mine.yaml', known: metafusion-cascade-yolov8.yaml, "
            "metafusion-separate-yolov8.yaml, metafusion-yolo11.yaml, metafusion-yolo26.yaml, "
            "metafusion-yolov8.yaml",
            folder("mine.yaml"),
        ),
        Fault(
            "empty file",
            TRAIN,
            "'mine.yaml' does not map keys to values; is it the right file?",
            written("mine.yaml"),
        ),
        Fault(
            "bracket that is not closed",
            TRAIN,
            "'mine.yaml' is not valid YAML (line 1: …); correct it",
            written("mine.yaml", "fusion: ["),
        ),
        Fault(
            "bytes that are not UTF-8",
            TRAIN,
            "'mine.yaml' is not UTF-8; save it as text in UTF-8",
            written("mine.yaml", b"\xff\xfe\x00"),
        ),
        Fault(
            "tag that would run a command",
            TRAIN,
            "'mine.yaml' is not valid YAML (line 1: …); correct it",
            written("mine.yaml", "fusion: !!python/object/apply:os.system ['touch run']\n"),
        ),
        Fault(
            "mapping that holds itself",
            TRAIN,
            "unknown key 'gains' in 'fusion: gains', did you mean 'gradient'?",
            written("mine.yaml", "detector: yolov8.yaml\nfusion: &a\n  gains: *a\n"),
        ),
        Fault(
            "unknown key",
            TRAIN,
            "unknown key 'bogus' in 'mine.yaml', known: activation, backbone, detector, end2end, "
            "fusion, head, nc, reg_max, scale, scales, yaml_file",
            modelled(bogus=1),
        ),
        Fault(
            "detector that does not exist",
            TRAIN,
            "'detector: nowhere.yaml' of 'mine.yaml' does not exist; give a detection YAML of "
            "Ultralytics, such as yolov8.yaml",
            modelled(detector="nowhere.yaml"),
        ),
        Fault(
            "detector that is no detector",
            TRAIN,
            "'detector: coco8.yaml' of 'mine.yaml' is no model; give one such as yolov8.yaml",
            modelled(detector="coco8.yaml"),
        ),
        Fault(
            "detector that is the file itself",
            TRAIN,
            "'detector: mine.yaml' of 'mine.yaml' is no model; give one such as yolov8.yaml",
            modelled(detector="mine.yaml"),
        ),
        Fault(
            "detector that is a number",
            TRAIN,
            "model YAML 'mine.yaml' has no 'detector:'; expected the name of an Ultralytics "
            "detection YAML, such as 'detector: yolov8.yaml'",
            modelled(detector=5),
        ),
        Fault(
            "scale that is unknown",
            TRAIN,
            "'scale: q' in 'mine.yaml' is unknown, known: l, m, n, s, x",
            modelled(scale="q"),
        ),
        Fault(
            "nc that is a word",
            TRAIN,
            "'nc: two' in 'mine.yaml' must be a number of classes, 1 or more",
            modelled(nc="two"),
        ),
        Fault("nc of zero", TRAIN, "'nc: 0' in 'mine.yaml' must be a number of classes, 1 or more", modelled(nc=0)),
        Fault(
            "backbone without layers",
            TRAIN,
            "'backbone:' in 'mine.yaml' is empty; give its layers, or leave it out",
            modelled(backbone=[]),
        ),
        Fault(
            "fusion that is a word", TRAIN, "'fusion' must be a mapping of keys to values, not 'fast'", modelled("fast")
        ),
        Fault(
            "fusion with a key mistyped",
            TRAIN,
            "unknown key 'chanels' in 'fusion', did you mean 'channels'?",
            modelled({"chanels": 32}),
        ),
        Fault(
            "fusion with channels in quotes",
            TRAIN,
            "'fusion: channels' must be of type int, not '32'",
            modelled({"channels": "32"}),
        ),
        Fault(
            "fusion with odd channels",
            TRAIN,
            "fusion: channels must be even (half of them at stride 4), not 31",
            modelled({"channels": 31}),
        ),
        Fault(
            "fusion with heads that do not fit",
            TRAIN,
            "fusion: channels (32) must be a multiple of heads (5)",
            modelled({"heads": 5}),
        ),
        Fault(
            "fusion with an unknown method",
            TRAIN,
            "fusion: method: 'avrage' is unknown, did you mean 'average'?",
            modelled({"method": "avrage"}),
        ),
        Fault(
            "cameras that meet at an unknown level",
            TRAIN,
            "fusion: meet: 'P6' is unknown, known: P2, P3, P4, P5, auto, image",
            modelled({"meet": "P6"}),
        ),
        Fault(
            "cameras that meet at a level without weights to join them by",
            TRAIN,
            "fusion: meet: P3 joins features by weights, which method 'maximum' does not give; set meet: image, or "
            "method: learned or average",
            modelled({"meet": "P3", "method": "maximum"}),
        ),
        Fault(
            "cameras that meet at a level that the backbone does not have",
            TRAIN,
            "fusion: meet: P5 is not a level of this detector's backbone, expected one of image, P2",
            modelled({"meet": "P5"}, backbone=[[-1, 1, "Conv", [16, 3, 4]]], head=[[[0], 1, "Detect", ["nc"]]]),
        ),
        Fault(
            "fusion with a start of 1.5",
            TRAIN,
            "fusion: initial_infrared_weight must lie in (0.02, 0.98), not 1.5",
            modelled({"initial_infrared_weight": 1.5}),
        ),
        Fault(
            "gain that is negative",
            TRAIN,
            "fusion: gains: ssim must be a finite number >= 0, not -1.0",
            modelled({"gains": {"ssim": -1}}),
        ),
        Fault(
            "gain that is NaN",
            TRAIN,
            "fusion: gains: ssim must be a finite number >= 0, not nan",
            modelled({"gains": {"ssim": float("nan")}}),
        ),
        Fault(
            "gain that is a word",
            TRAIN,
            "'fusion: gains: ssim' must be of type float, not 'big'",
            modelled({"gains": {"ssim": "big"}}),
        ),
        Fault(
            "gains that are a list",
            TRAIN,
            "'fusion: gains' must be a mapping of keys to values, not [1, 2]",
            modelled({"gains": [1, 2]}),
        ),
        Fault(
            "meta-features of an unknown level",
            TRAIN,
            "fusion: meta: levels: 8 is unknown, known: 16, 32",
            modelled({"meta": {"levels": [8]}}),
        ),
        Fault(
            "augmentation out of its range",
            TRAIN,
            "fusion: augment: modality_dropout must lie in [0, 1], not 2.0",
            modelled({"augment": {"modality_dropout": 2}}),
        ),
        Fault(
            "schedule that does not add up",
            TRAIN,
            "fusion: schedule: the fractions must add up to 1, they add up to 1.5",
            modelled({"schedule": {"warmup": {"fraction": 0.5}}}),
        ),
        Fault(
            "schedule with a phase twice as long as all",
            TRAIN,
            "fusion: schedule: joint: fraction must lie in [0, 1], not 2.0",
            modelled({"schedule": {"joint": {"fraction": 2}}}),
        ),
        Fault(
            "schedule in which nothing learns",
            TRAIN,
            "fusion: schedule: joint: nothing learns; give a part of 'lr' a rate above 0",
            modelled({"schedule": {"joint": {"lr": {"fusion": 0, "backbone": 0, "head": 0}}}}),
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
