"""What is wrong with a data set of pairs, before an epoch is spent on it: `metafusion data check`."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from multiprocessing.pool import ThreadPool
from pathlib import Path

from ultralytics.utils import TQDM
from ultralytics.utils.files import increment_path

from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.options import Check, Init
from metafusion_yolo.options.scale import Cluster
from metafusion_yolo.prepare.check import sequences
from metafusion_yolo.prepare.check.duplicates import find_copies, find_near_duplicates
from metafusion_yolo.prepare.check.files import PairFiles, Source, list_pairs, read_source
from metafusion_yolo.prepare.check.findings import Case, Cases, group_cases
from metafusion_yolo.prepare.check.images import Measurements, inspect_pair
from metafusion_yolo.prepare.check.measured import Measured
from metafusion_yolo.prepare.check.page import write_page
from metafusion_yolo.prepare.check.report import CheckReport
from metafusion_yolo.prepare.draft import Draft, draft, one_way
from metafusion_yolo.support.cluster import each, in_blocks, in_order, share, share_of
from metafusion_yolo.support.errors import UserValueError

__all__ = ["CheckReport", "check_dataset", "run_check", "write_page"]


def run_check(asked: Check, cluster: Cluster | None = None) -> tuple[CheckReport, Path]:
    """Check a data set and write the report: `metafusion data check`.

    Args:
        asked: What to check, and where to write.
        cluster: Who does it; copies and sequences are looked for within its `part`.

    Returns:
        The report and the path of its HTML.

    Raises:
        FileNotFoundError: As :func:`check_dataset`.
        ValueError: As :func:`check_dataset`, or if `report` is a folder.
    """
    data, report = asked.data, asked.report
    if report and Path(report).is_dir():
        raise UserValueError(f"report={report} is a folder; name a file in it, such as {Path(report) / 'report.html'}")
    cluster = cluster or Cluster()
    one_way(data, asked.visible, asked.infrared)
    share_of(cluster.part)
    source = None if data is None else read_source(data)  # a wrong YAML leaves no folder behind
    folder = increment_path(Path(asked.project).absolute() / asked.name, exist_ok=asked.exist_ok)
    drafted = draft(folder, Init(str(asked.visible), asked.infrared)) if source is None else None
    file = Path(report or folder / "report.html")
    file.parent.mkdir(parents=True, exist_ok=True)  # if this fails, it fails before the work
    result = check_dataset(source or str(drafted and drafted.yaml), drafted, cluster)
    return result, write_page(result, file)


def check_dataset(
    data: str | Path | Source, drafted: Draft | None = None, cluster: Cluster | None = None
) -> CheckReport:
    """Read all pairs and labels of a data set once.

    Args:
        data: The data-set YAML, the name of one that ships with the package, or what one says.
        drafted: How the YAML was drafted from two folders, which need no labels.
        cluster: Who does it.

    Returns:
        What was found and measured; `report.errors` is the number of faults that must be repaired.

    Raises:
        FileNotFoundError: If the YAML or a folder of it does not exist, or holds no image.
        ValueError: If the YAML is incomplete or wrong.
    """
    started = time.monotonic()
    source = data if isinstance(data, Source) else read_source(data)
    pairs, cases = list_pairs(source)
    if drafted:
        cases = Cases(case for case in cases if case.kind != "no-labels")
        cases.extend(Case("missing-partner", file, pair=(file, "")) for file in drafted.pairing.alone[0])
        cases.extend(Case("extra-partner", file, pair=("", file)) for file in drafted.pairing.alone[1])
    cluster = cluster or Cluster()
    pairs = share(pairs, cluster.part)
    measured = _inspect(pairs, source, cluster, cases)
    recordings = sequences.split_sequences(measured)
    cases.extend(
        chain(
            find_copies(measured),
            find_near_duplicates(measured),
            sequences.find_misregistration(recordings),
            sequences.find_polarity_flips(recordings),
            sequences.find_black_hot(recordings, source.names),
            _mixed_depth(measured),
            _unused_classes(measured, source),
            _mixed_labels(measured),
        )
    )
    return CheckReport(source, pairs, measured, recordings, group_cases(cases), time.monotonic() - started)


def _inspect(pairs: Sequence[PairFiles], source: Source, cluster: Cluster, cases: Cases) -> Measured:
    """Decode and measure all pairs, and append the faults that they show to the cases."""
    make = partial(_Inspector, source.rig, len(source.names), source.kpt_shape)
    work = in_order(each(make, in_blocks(pairs), cluster.engine, cluster.workers))

    def readable() -> Iterator[Measurements]:
        shown = TQDM(None, desc="Checking pairs", total=len(pairs))
        for results in work:
            for one, found in results:
                cases.extend(found)
                if one:
                    yield one
            shown.update(len(results))
        shown.close()

    return Measured(readable())


class _Inspector:
    """Inspects pairs, in threads where it has all cores: decoding releases the interpreter lock."""

    def __init__(self, rig: Rig, class_count: int, kpt_shape: list[int] | None, device: str | int | None) -> None:
        reader = PairReader(rig)
        self._inspect = partial(inspect_pair, reader=reader, class_count=class_count, kpt_shape=kpt_shape)
        self._threads = (os.cpu_count() or 1) if device is None else 1

    def __call__(self, pairs: Sequence[PairFiles]) -> list[tuple[Measurements | None, list[Case]]]:
        with ThreadPool(self._threads) as pool:
            return pool.map(self._inspect, pairs)


def _mixed_depth(measured: Sequence[Measurements]) -> Iterator[Case]:
    """Yield a case for each infrared image whose depth differs from that of most."""
    depths = Counter(pair.infrared.depth for pair in measured)
    usual = depths.most_common(1)[0][0] if depths else ""
    for pair in measured if len(depths) > 1 else ():
        if pair.infrared.depth != usual:
            detail = f"{pair.infrared.depth}, most are {usual}"
            yield Case("mixed-depth", pair.files.infrared, detail, pair.files.both)


def _mixed_labels(measured: Sequence[Measurements]) -> Iterator[Case]:
    """Yield a case for each pair with boxes where most have polygons, or the other way round."""
    kinds = Counter(pair.outlined for pair in measured if len(pair.classes))
    usual = kinds.most_common(1)[0][0] if kinds else False
    for pair in measured if len(kinds) > 1 else ():
        if len(pair.classes) and pair.outlined != usual:
            yield Case("label-mixed", pair.files.label, "polygons" if pair.outlined else "boxes", pair.files.both)


def _unused_classes(measured: Sequence[Measurements], source: Source) -> Iterator[Case]:
    """Yield a case for each class without a box, if the data set has boxes at all."""
    used = {cls for pair in measured for cls in pair.classes.tolist()}
    yield from (
        Case("unused-class", f"{cls}: {name}") for cls, name in source.names.items() if used and cls not in used
    )
