"""`python -m drivers.simulated FOLDER [CONFIG_JSON]`: run one simulated rig until it is asked to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from drivers.compile_notice import report_compiles
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.process import READY
from drivers.simulated.rig import SimulatedRig


def run(folder: Path, config: SimulatedRigConfig, announce: str = READY, *, leased: bool = False) -> None:
    """Offer the rig in `folder` until `stop` comes by the back door, SIGTERM or Ctrl-C.

    `leased` ends it also when standard input closes: with the process that started it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rig = SimulatedRig(config, folder)
    signal.signal(signal.SIGTERM, lambda *_: rig.stopped.set())
    rig.start()
    if leased:
        threading.Thread(target=_until_input_ends, args=(rig.stopped,), name="lease", daemon=True).start()
    try:
        print(announce, flush=True)
        rig.stopped.wait()
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("interrupted")
    finally:
        rig.close()


def _until_input_ends(stopped: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not through the buffer: its lock would outlive the main thread
        continue
    stopped.set()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    report_compiles(lambda text: print(text, flush=True))  # the process that started this one passes it on
    document = sys.argv[2] if len(sys.argv) > 2 else "{}"
    run(Path(sys.argv[1]), SimulatedRigConfig.model_validate_json(document), leased=True)
