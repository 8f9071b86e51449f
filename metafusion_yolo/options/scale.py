"""Arguments of a prediction of millions of pairs."""

from dataclasses import dataclass

from metafusion_yolo.options.fields import Checked, option

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Scale(Checked):
    """Prediction on a manifest, into Parquet files."""

    out: str | None = option(
        None, "folder or address (s3://, gs://) for Parquet files, a row a pair; source= is a manifest then"
    )
    engine: str = option("local", "with out=: local, in this process, or ray, on its cluster", choices=ENGINES)
    workers: int | None = option(
        None,
        "with engine=ray: detectors at work; left out or 0: one a GPU for a checkpoint, else one a core",
        shown="all",
        least=0,
    )
    part: str | None = option(None, "with out=: the share of the manifest to do, such as 3/100, for jobs of a queue")
