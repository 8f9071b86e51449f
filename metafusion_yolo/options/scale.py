"""Arguments of work on millions of pairs: by whom it is done."""

from dataclasses import dataclass

from metafusion_yolo.options.fields import Checked, option
from metafusion_yolo.support.cluster import share_of
from metafusion_yolo.support.errors import UserValueError

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Cluster(Checked):
    """Work shared out."""

    engine: str = option("local", "local: this process; ray: its cluster (predict: with out=)", choices=ENGINES)
    workers: int | None = option(
        None,
        "with engine=ray: workers side by side; 0: one per GPU for a checkpoint, else one per core",
        shown="all",
        least=0,
    )
    part: str | None = option(None, "share of the pairs to do, such as 3/100 (predict: with out=)")

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserValueError: Also for workers without a cluster, and a share that there is not.
        """
        super().__post_init__()
        share_of(self.part)
        if self.engine != "ray" and self.workers:
            raise UserValueError(
                f"'workers={self.workers}' needs engine=ray; without a cluster, start jobs of part=1/8, 2/8 ..."
            )


@dataclass(frozen=True)
class Scale(Cluster):
    """Prediction on a manifest, into Parquet files."""

    out: str | None = option(None, "folder or address (s3://, gs://) for Parquet files; source= is then a manifest")
