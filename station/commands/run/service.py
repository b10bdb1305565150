"""Puts together what `station run` needs, in the order in which it can be refused: files, rig, archive, ports."""

from __future__ import annotations

import faulthandler
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from station.commands.console.engine_adapter import EngineAdapter
from station.commands.inspect.ready_engine import check_files, opened_archive
from station.commands.say import progress
from station.engine.engine import Engine
from station.errors import StationFault
from station.rig.file import RigFile, load_rig
from station.rig.owner import owned_rig
from station.service.address import address_file, default_folder, made_folder
from station.service.log_lines import LogQueue, json_log
from station.service.metrics import Metrics
from station.service.pulse import Pulse
from station.service.running import home_at_start, run_until_signal
from station.service.server import Service, ServiceOptions
from station.service.systemd import SystemdNotifier

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was typed; see `station.commands.run.command`."""

    rig: Path
    recipe: Path
    archive: Path
    home: bool = False
    http_port: int | None = None
    run_dir: Path | None = None
    over_tcp: bool = False
    log_file: Path | None = None


def run_service(options: RunOptions) -> None:
    """Run until a signal comes and the engine is closed.

    Raises DocumentError, ModelRefused, RigInUse, ArchiveInUse, PortTaken and StationFault before anything is opened.
    """
    check_files(options.rig, options.recipe)
    rig = load_rig(options.rig)
    with ExitStack() as stack:
        stack.enter_context(owned_rig(options.rig, "station run"))
        faulthandler.enable()  # the watchdog sends SIGABRT to a service that hangs: then every stack is logged
        folder = made_folder(options.run_dir if options.run_dir is not None else default_folder())
        store = stack.enter_context(opened_archive(options.archive, "station run"))
        engine = Engine(options.rig, store)
        adapter = EngineAdapter(engine, options.recipe, options.rig)
        adapter.read_recipe()
        pulse, metrics = Pulse(lambda: engine.watch_silent_s), Metrics()
        service = Service(adapter, _service_options(options, rig, folder), pulse, metrics, SystemdNotifier())
        lines = stack.enter_context(_logging(options, service))
        metrics.watch("facet_log_lines_lost", "Lines that nobody read in time.", lambda: lines.lost)
        metrics.watch("facet_unstored", "1 while an inspection is not stored.", lambda: bool(engine.unstored_problem))
        stack.callback(service.close)

        def started() -> None:
            address = service.start()
            _announce(address_file(folder, rig.name), service, address)
            if options.home:
                home_at_start(adapter.reset, pulse)

        run_until_signal(service, engine, pulse, started)


def _service_options(options: RunOptions, rig: RigFile, folder: Path) -> ServiceOptions:
    about = {
        "rig": rig.name,
        "rig_file": str(options.rig.resolve()),
        "recipe": str(options.recipe.resolve()),
        "archive": str(options.archive.resolve()),
        "is_simulated": str(rig.simulated).lower(),
        "version": version("facet-station"),
    }
    sockets = made_folder(folder / rig.name)
    return ServiceOptions(sockets, address_file(folder, rig.name), options.http_port, about, options.over_tcp)


@contextmanager
def _logging(options: RunOptions, service: Service) -> Iterator[LogQueue]:
    level = logging.DEBUG if logging.getLogger().level == logging.DEBUG else logging.INFO
    with ExitStack() as stack:
        try:
            lines = stack.enter_context(json_log(lambda: service.context, options.log_file, level))
        except OSError as error:
            raise StationFault(f"--log {options.log_file}: {error.strerror or error}; name another file") from error
        yield lines


def _announce(file: Path, service: Service, address: str) -> None:
    log.info("listening over %s, address in %s", address.partition(":")[0], file)
    progress(f"# attach: station console --attach --address {file}")
    if service.http_port is not None:
        log.info("pages at http://127.0.0.1:%d/metrics", service.http_port)
