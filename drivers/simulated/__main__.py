"""`python -m drivers.simulated FOLDER [CONFIG_JSON]`: run one simulated rig until told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.rig import SimulatedRig

READY = "rig ready"


def run(folder: Path, config: SimulatedRigConfig, announce: str = READY) -> None:
    """Offer the rig in `folder` until `stop` comes by the back door, SIGTERM or Ctrl-C."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = SimulatedRig(config, folder)
    signal.signal(signal.SIGTERM, lambda *_: rig.stopped.set())
    rig.start()
    try:
        print(announce, flush=True)
        rig.stopped.wait()
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("interrupted")
    finally:
        rig.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    document = sys.argv[2] if len(sys.argv) > 2 else "{}"
    run(Path(sys.argv[1]), SimulatedRigConfig.model_validate_json(document))
