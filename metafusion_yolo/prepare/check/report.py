"""The result of a check, as text for the terminal; `page.py` writes the HTML."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metafusion_yolo.prepare.check.files import PairFiles, Source
from metafusion_yolo.prepare.check.findings import SEVERITIES, Finding
from metafusion_yolo.prepare.check.images import Measurements
from metafusion_yolo.prepare.check.sequences import PairSequence

EXAMPLES = 2  # files named in the summary for each finding


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        source: The data set.
        pairs: All listed pairs.
        measured: Measurements of the pairs that could be read.
        sequences: The measured pairs by recording.
        findings: Faults by kind, errors first.
        seconds: Duration of the check.
    """

    source: Source
    pairs: Sequence[PairFiles]
    measured: Sequence[Measurements]
    sequences: Sequence[PairSequence]
    findings: Sequence[Finding]
    seconds: float

    @property
    def errors(self) -> int:
        """Number of faults that must be repaired before training."""
        return self.count("error")

    def count(self, severity: str) -> int:
        """Return the number of faults of a severity."""
        return sum(finding.count for finding in self.findings if finding.kind.severity == severity)

    def verdict(self) -> str:
        """Return the result in one line."""
        counts = ", ".join(f"{n} {severity}{'s' * (n != 1)}" for severity in SEVERITIES if (n := self.count(severity)))
        if self.errors:
            return f"{counts}: repair the errors before training"
        return f"{counts}: nothing that must be repaired" if counts else "nothing found"

    def splits(self) -> dict[str, int]:
        """Return the number of pairs by split."""
        return dict(Counter(pair.split for pair in self.pairs))

    def summary(self) -> str:
        """Return the findings, one per aligned line, with their first examples and what to do."""
        sizes = ", ".join(f"{split} {count}" for split, count in self.splits().items())
        boxes = sum(len(pair.classes) for pair in self.measured)
        lines = [f"{self.source.yaml}: {len(self.pairs)} pairs ({sizes}), {boxes} boxes, {self.seconds:.1f} s"]
        wide = max((len(finding.kind.name) for finding in self.findings), default=0)
        most = max((len(str(finding.count)) for finding in self.findings), default=0)
        for finding in self.findings:
            kind = finding.kind
            head = f"{kind.severity:7}  {kind.name:{wide}}  {finding.count:>{most}}"
            lines.append(f"{head}  {kind.title}: {self._examples(finding)}; {kind.remedy}")
        return "\n".join([*lines, self.verdict()])

    def short(self, file: str) -> str:
        """Return a path relative to the data set."""
        try:
            return Path(file).relative_to(self.source.path).as_posix()
        except ValueError:
            return file

    def short_text(self, text: str) -> str:
        """Return a text with its paths relative to the data set."""
        return text.replace(f"{self.source.path.as_posix()}/", "")

    def _examples(self, finding: Finding) -> str:
        """Return the first files of a finding, with the detail of the first."""
        first, *others = (self.short(case.file) for case in finding.cases[:EXAMPLES])
        detail = self.short_text(finding.cases[0].detail)
        named = [f"{first} ({detail})" if detail else first, *others]
        return ", ".join(named) + (", ..." if finding.count > EXAMPLES else "")
