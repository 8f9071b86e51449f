"""What a data-set YAML says of the two cameras: pairing, thermal counts, registration."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import described

TRAIN = "train data=data.yaml"
CHECK = "data check data=data.yaml"
NAN = float("nan")

AREA = Area(
    "Cameras in data-set YAMLs",
    "See [data](data.md) and [registration](registration.md).",
    [
        Fault(
            "pairing rule that is a number",
            TRAIN,
            "'infrared: 5' in data.yaml is not a pairing rule; expected a folder name that replaces the "
            "last 'images' of a path, or 'visible part -> infrared part', with as many * in both",
            described(infrared=5),
        ),
        Fault(
            "pairing rule with a key mistyped",
            TRAIN,
            "unknown key 'form' under 'infrared:' in data.yaml, did you mean 'from'?",
            described(infrared={"form": "a", "to": "b"}),
        ),
        Fault(
            "pairing rule of half",
            CHECK,
            "'infrared: {'from': 'a'}' in data.yaml is not a pairing rule; expected a folder name that "
            "replaces the last 'images' of a path, or 'visible part -> infrared part', with as many * in "
            "both",
            described(infrared={"from": "a"}),
        ),
        Fault(
            "pairing rule with a * too many",
            TRAIN,
            "'infrared: {'from': 'vis/*', 'to': 'th/*_*'}' in data.yaml is not a pairing rule; expected a folder name "
            "that replaces the last 'images' of a path, or 'visible part -> infrared part', with as many * in both",
            described(infrared="vis/* -> th/*_*"),
        ),
        Fault(
            "layout that does not exist",
            TRAIN,
            "unknown layout 'horizontl', did you mean 'horizontal'?",
            described(layout="horizontl"),
        ),
        Fault(
            "infrared folder that does not exist",
            TRAIN,
            "1 problem in images/train:\n  no partner for 4 of 4 images, for example 'images/train/0.png': "
            "looked for 'nowhere/train/0.*'; add the files, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=); a CSV of pairs works too",
            described(infrared="nowhere"),
        ),
        Fault(
            "thermal that is a word",
            TRAIN,
            "'thermal: 'hot'' in data.yaml must be a mapping; keys: normalize, range, invert, scope, "
            "unit, scale, offset, emissivity, reflected, distance, humidity",
            described(thermal="hot"),
        ),
        Fault(
            "thermal with a key mistyped",
            TRAIN,
            "unknown key 'normalise' under 'thermal:' in data.yaml, did you mean 'normalize'?",
            described(thermal={"normalise": "clahe"}),
        ),
        Fault(
            "thermal with an unknown rule",
            TRAIN,
            "thermal: normalize: 'loud' is unknown, known: clahe, fixed, minmax, percentile (in data.yaml)",
            described(thermal={"normalize": "loud"}),
        ),
        Fault(
            "thermal fixed without a range",
            TRAIN,
            "thermal: range: [low, high] goes with normalize: fixed, and with nothing else (in data.yaml)",
            described(thermal={"normalize": "fixed"}),
        ),
        Fault(
            "thermal range upside down",
            TRAIN,
            "thermal: range must be [low, high] with low < high, not [9000.0, 7000.0] (in data.yaml)",
            described(thermal={"normalize": "fixed", "range": [9000, 7000]}),
        ),
        Fault(
            "thermal range of NaN",
            TRAIN,
            "thermal: range must be [low, high], two numbers, not [nan, 1.0] (in data.yaml)",
            described(thermal={"normalize": "fixed", "range": [NAN, 1.0]}),
        ),
        Fault(
            "thermal range of counts, images of 8 bits",
            TRAIN,
            "4 problems in images/train:\n  'images/train/0.png' and 'infrared/train/0.png': the "
            "infrared image has 8 bits, but 'thermal: range: [7000, 9000]' is of counts; give the "
            "image in its full depth, or another range\n  'images/train/1.png' and "
            "'infrared/train/1.png': the infrared image has 8 bits, but 'thermal: range: [7000, "
            "9000]' is of counts; give the image in its full depth, or another range\n  "
            "'images/train/2.png' and 'infrared/train/2.png': the infrared image has 8 bits, but "
            "'thermal: range: [7000, 9000]' is of counts; give the image in its full depth, or "
            "another range\n  'images/train/3.png' and 'infrared/train/3.png': the infrared image has "
            "8 bits, but 'thermal: range: [7000, 9000]' is of counts; give the image in its full "
            "depth, or another range",
            described(thermal={"normalize": "fixed", "range": [7000, 9000]}),
        ),
        Fault(
            "camera that is not known",
            TRAIN,
            "camera: 'dji-m3' in data.yaml is unknown, did you mean 'dji-m3t'?",
            described(camera="dji-m3"),
        ),
        Fault(
            "temperatures in an unknown unit",
            TRAIN,
            "thermal: unit: 'celcius' is unknown, did you mean 'celsius'? (in data.yaml)",
            described(thermal={"unit": "celcius"}),
        ),
        Fault(
            "temperatures without a unit",
            TRAIN,
            "thermal: scale needs the unit of the temperatures too: unit: celsius or kelvin (in data.yaml)",
            described(thermal={"scale": 0.01}),
        ),
        Fault(
            "emissivity in percent",
            CHECK,
            "thermal: emissivity must be a number above 0 and at most 1, not 95 (in data.yaml)",
            described(thermal={"unit": "celsius", "emissivity": 95}),
        ),
        Fault(
            "thermal range of celsius in kelvin",
            TRAIN,
            "thermal: range: [-20, 60] goes below absolute zero, 0 kelvin; give it in the unit of 'unit:' (in "
            "data.yaml)",
            described(thermal={"normalize": "fixed", "range": [-20, 60], "unit": "kelvin", "scale": 0.01}),
        ),
        Fault(
            "temperatures in images of 8 bits",
            "predict model=best.pt data=data.yaml source=images/train/0.png infrared=infrared/train/0.png",
            "'images/train/0.png' and 'infrared/train/0.png': the infrared image has 8 bits, which cannot be "
            "temperatures; give the image in its full depth, or 'scale:' and 'offset:' beside 'thermal: unit: celsius'",
            described(thermal={"unit": "celsius"}),
        ),
        Fault(
            "temperatures in the colours of a palette",
            "predict model=best.pt data=data.yaml source=images/train/0.png infrared=images/train/0.png",
            "'images/train/0.png' is in colours, which are no temperatures; save what was measured as TIFF, PNG of "
            "16 bits or .npy",
            described(thermal={"unit": "celsius", "scale": 0.5}),
        ),
        Fault(
            "reflected temperature of celsius in kelvin",
            TRAIN,
            "thermal: reflected: -5 goes below absolute zero, 0 kelvin; give it in the unit of 'unit:' (in data.yaml)",
            described(thermal={"unit": "kelvin", "scale": 0.01, "reflected": -5}),
        ),
        Fault(
            "temperatures asked of counts without a unit",
            "predict model=best.pt data=data.yaml source=images/train/0.png infrared=infrared/train/0.png "
            "temperatures=True",
            "temperatures=True needs to know what counts mean; write 'thermal: {unit: celsius}', with scale: and "
            "offset:, into a data-set YAML, and give it as data=",
        ),
        Fault(
            "registration of two rows",
            TRAIN,
            "registration: matrix in data.yaml must be a 3 x 3 matrix of numbers, not [[1, 0, 0], [0, 1, 0]]",
            described(registration={"matrix": [[1, 0, 0], [0, 1, 0]]}),
        ),
        Fault(
            "registration of zeros",
            TRAIN,
            "registration: matrix in data.yaml cannot be inverted; it maps infrared to visible pixels, as OpenCV's do",
            described(registration={"matrix": [[0] * 3] * 3}),
        ),
        Fault(
            "registration that shows nothing of the infrared image",
            TRAIN,
            "registration: the infrared image would lie beside the visible one of 64x48, at x 900 to 964, y 0 to 48; "
            "correct the matrix, from infrared to visible pixels, or let metafusion data register find it",
            described(registration={"matrix": [[1, 0, 900], [0, 1, 0], [0, 0, 1]]}),
        ),
        Fault(
            "registration of NaN",
            TRAIN,
            "registration: matrix in data.yaml must be a 3 x 3 matrix of numbers, not [[nan, nan, "
            "nan], [nan, nan, nan], [nan, nan, nan]]",
            described(registration={"matrix": [[NAN] * 3] * 3}),
        ),
        Fault(
            "registration with a key mistyped",
            TRAIN,
            "unknown key 'homografy' under 'registration:' in data.yaml, known: at, distance, infrared, matrix, "
            "parallax, sequences, visible",
            described(registration={"homografy": 1}),
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
