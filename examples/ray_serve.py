"""The detector of `metafusion serve` under Ray Serve, which puts requests that come together into one batch.

    pip install 'metafusion-yolo[scale,app]' 'ray[serve]'
    python examples/ray_serve.py best.onnx --replicas 4
    curl -F visible=@day.jpg -F infrared=@heat.png http://127.0.0.1:8000/detect

Export with `dynamic=True`, or `batch=8`: an export of one pair at a time gains nothing from batches. The answer is that
of `metafusion serve`, without images. There are no limits on uploads, tokens or pages here: keep it behind a gateway.
"""

from __future__ import annotations

import argparse

from fastapi import FastAPI, File, HTTPException
from ray import serve

from metafusion_yolo.options.serve import Serve
from metafusion_yolo.serve.answers import Answer, answer_of
from metafusion_yolo.serve.engines import Found, found_each, load_engine
from metafusion_yolo.serve.uploads import Pair, read_pair
from metafusion_yolo.support.errors import UserError

BATCH, WAIT = 8, 0.01  # most pairs of a batch; seconds that the first of them waits for others
app = FastAPI(title="metafusion")


@serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=4 * BATCH)
@serve.ingress(app)
class Detect:
    """A replica: one detector, one core."""

    def __init__(self, model: str) -> None:
        self.engine = load_engine(Serve(model, batch=BATCH), threads=1)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT)
    async def found(self, pairs: list[Pair]) -> list[Found | Exception]:
        """Detect on the pairs that came together; those of one size go through the network together."""
        return found_each(self.engine, pairs)

    @app.post("/detect")
    async def detect(self, visible: bytes = File(), infrared: bytes = File(), conf: float = 0.25) -> Answer:
        """Detect on a pair."""
        try:
            found = await self.found(read_pair(visible, infrared, 50e6))
        except UserError as error:
            found = error
        if isinstance(found, Exception):
            raise HTTPException(422, str(found))
        return answer_of(found, self.engine.names, conf, (), "png")


def main() -> None:
    """Read the arguments, and serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--replicas", type=int, default=1)
    args = parser.parse_args()
    serve.run(Detect.options(num_replicas=args.replicas).bind(args.model), blocking=True)


if __name__ == "__main__":
    main()
