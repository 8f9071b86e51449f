"""From two folders of images to a data set to train with: `metafusion data init`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
from ultralytics.utils import LOGGER

from metafusion_yolo import __version__
from metafusion_yolo.data.cameras import CAMERAS, shots
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.options import Init, Register
from metafusion_yolo.prepare.check.files import PairFiles
from metafusion_yolo.prepare.check.images import inspect_pair
from metafusion_yolo.prepare.check.sequences import find_misregistration, split_sequences
from metafusion_yolo.prepare.check.thumbnails import overlay, shrink
from metafusion_yolo.prepare.draft import Draft, draft
from metafusion_yolo.prepare.init.unpack import unpack
from metafusion_yolo.prepare.register import register_dataset
from metafusion_yolo.prepare.register.estimate import MINIMUM, RegistrationError
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.pages import data_uri, write_html
from metafusion_yolo.support.sampling import evenly

SHOWN = 12  # pairs that are looked at and shown
TEMPLATE = Path(__file__).with_name("report.html.j2")

Pair = tuple[str, str]


def init_dataset(asked: Init) -> tuple[Draft, Path]:
    """Find the pairs of two folders, and describe them in a YAML to train with; the images stay where they are.

    Files of a camera that hold both images are taken apart, into `dst/images` and `dst/infrared`.

    ```
    dst/pairs.yaml               to train with
    dst/{train,val,test}.csv     the pairs, visible,infrared,labels
    dst/report.html              12 overlays, to judge the pairing by
    ```

    Cameras that do not line up are registered, as far as the images say how.

    Returns:
        What was written and how it was paired, and the path of the page.

    Raises:
        PairError: If the images do not pair up clearly; the message lists the candidates, and nothing is written.
        FileNotFoundError: If there are no images, or no labels where they should be.
        ValueError: If an argument is wrong, or `dst` holds such a YAML already.
    """
    dst = Path(asked.dst)
    if (dst / "pairs.yaml").exists() and not asked.exist_ok:
        raise UserValueError(f"'{dst / 'pairs.yaml'}' is there already; give another dst=, or exist_ok=True")
    if asked.camera and asked.infrared is None:
        maker, folder = CAMERAS[asked.camera].maker, str(asked.visible)
        visible, infrared = unpack(folder, maker, dst) if maker else shots(asked.camera, folder)
        asked = replace(asked, visible=visible, infrared=infrared)
    found = draft(dst, asked)
    LOGGER.info(found.summary())
    shown = evenly([*found.pairing.pairs.items()], SHOWN)
    rig = Rig.of_file(found.yaml)
    if not asked.layout and (why := _out_of_line(shown, PairReader(rig))):
        LOGGER.info(f"The cameras do not line up ({why}); registering them")
        try:
            register_dataset(Register(str(found.yaml), project=str(dst), name="register", exist_ok=True))
        except RegistrationError as error:
            LOGGER.warning(f"{error}; give a matrix by hand: metafusion data register data={found.yaml} matrix=...")
        except PairError as error:
            LOGGER.warning(f"not registered: {error}; then run: metafusion data register data={found.yaml}")
        rig = Rig.of_file(found.yaml)
    cases = [(Path(v).name, Path(i or v).name, _pictures(v, i, PairReader(rig))) for v, i in shown]
    if lost := [pictures[0][0] for _, _, pictures in cases if not pictures[0][1]]:
        LOGGER.warning(
            f"{len(lost)} of {len(cases)} pairs looked at cannot be used, for example: {lost[0]}; metafusion data "
            "check lists all"
        )
    page = write_html(
        TEMPLATE,
        dst / "report.html",
        draft=found,
        registered=rig.registration is not None,
        cases=cases,
        version=__version__,
    )
    return found, page


def _out_of_line(pairs: Sequence[Pair], reader: PairReader) -> str:
    """Return why some pairs do not line up as they are, empty if they do or there are too few to tell."""
    if len(pairs) < MINIMUM:
        return ""
    seen = [inspect_pair(PairFiles("", visible, infrared, ""), reader, 0) for visible, infrared in pairs]
    cases = [case for _, found in seen for case in found if case.kind == "shape-mismatch"]
    cases += find_misregistration(split_sequences([measured for measured, _ in seen if measured]))
    return cases[0].detail if cases else ""


def _pictures(visible: str, infrared: str, reader: PairReader) -> list[tuple[str, str]]:
    """Return title and data URI of both images and, where they fit, of the infrared edges over the visible image."""
    try:
        image, counts = reader.parts(visible, infrared)
        limits = reader.limits_of(infrared) if infrared else None
        heat = cv2.cvtColor(reader.rig.thermal.to_uint8(counts, limits, visible), cv2.COLOR_GRAY2RGB)
        pictures = [("visible", data_uri(shrink(image))), ("infrared", data_uri(shrink(heat)))]
    except PairError as error:
        return [(str(error), "")]
    try:
        return [*pictures, ("infrared edges over visible", overlay(reader.read(visible, infrared or None)))]
    except PairError:
        return [*pictures, ("shapes that do not fit", "")]
