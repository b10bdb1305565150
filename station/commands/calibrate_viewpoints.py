"""`station calibrate viewpoints`: measured, written down, and checked each shift; and `camera --rig`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from station.commands.exit_codes import ExitCode

if TYPE_CHECKING:
    from calibration.record import Calibration
    from calibration.viewpoints.record import ViewpointsRecord
    from station.calibrate.runs.opened_rig import Station
    from station.calibrate.bench.board_bench import LiveBoardBench

BoardOption = Annotated[
    str | None, typer.Option("--board", help="ChArUco board as COLSxROWSxSQUARE_MM; 24x20x3 without it.")
]
DiffuseOption = Annotated[
    int | None, typer.Option("--diffuse-channel", min=1, help="The light that shows the board; else the reference's.")
]
DrawingOption = Annotated[
    Path | None, typer.Option("--reference", help="Calibration with the lights as drawn, which says the diffuse one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def _say(document: Any, as_json: bool, text: str) -> None:
    print(json.dumps(document, indent=2, default=str) if as_json else text)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ask(words: str) -> None:
    typer.prompt(f"{words}. Then press Enter", default="", show_default=False, err=True)


@dataclass(frozen=True, slots=True)
class BoardChoice:
    """What a person says of the board and of the light that shows it."""

    board: str | None
    diffuse_channel: int | None
    reference: Path | None


def _bench(
    station_open: Station, choice: BoardChoice, record: Calibration | ViewpointsRecord | None = None
) -> LiveBoardBench:
    from station.calibrate.runs.opened_rig import diffuse_channel_for
    from station.calibrate.bench.board_bench import BOARD, LiveBoardBench, board_from_text, board_placer

    its = BOARD if choice.board is None else board_from_text(choice.board)
    channel = diffuse_channel_for(station_open.rig, choice.diffuse_channel, choice.reference, record)
    return LiveBoardBench(station_open.rig, board_placer(station_open.control, _ask), channel, its)


def camera_on_rig(rig: str, choice: BoardChoice, binning: int, out: Path | None, as_json: bool) -> None:
    """The board photographed all round by the rig's own camera; `out` as for a folder of pictures."""
    from station.calibrate.runs.opened_rig import opened
    from station.calibrate.camera.measured_camera import measure_camera

    with opened(rig, Path("out/calibration"), _ask) as station_open:
        found = measure_camera(_bench(station_open, choice), _progress, binning)
    if out is not None:
        from station.calibrate.camera.files import write_camera_files

        write_camera_files(found.report, out)
    _say(found.report.as_dict(), as_json, found.report.as_text())
    raise typer.Exit(ExitCode.FOUND if found.flags else ExitCode.DONE)


def viewpoints(
    rig: Annotated[str, typer.Option("--rig", help="Rig file; the word `simulated` starts a rig never calibrated.")],
    check: Annotated[
        Path | None, typer.Option("--check", help="Drift check against this record, of `viewpoints` or `all`.")
    ] = None,
    views: Annotated[
        Path | None, typer.Option("--views", help="File of `station calibrate teach`; the demo's five without it.")
    ] = None,
    returns: Annotated[int, typer.Option(min=2, help="Visits to each viewpoint.")] = 4,
    board: BoardOption = None,
    diffuse_channel: DiffuseOption = None,
    reference: DrawingOption = None,
    binning: Annotated[int, typer.Option(help="Of the pictures: 4, or 8 for speed.")] = 4,
    out: Annotated[Path, typer.Option("--out", help="The record: written by calibration, never over another.")] = Path(
        "out/viewpoints.yaml"
    ),
    as_json: JsonOption = False,
) -> None:
    """Camera, its mount and every viewpoint from a board; ends with 1 if anything is flagged or has moved."""
    choice = BoardChoice(board, diffuse_channel, reference)
    if check is not None:
        _check(rig, check, choice, binning, as_json)
    from station.calibrate.runs.opened_rig import opened
    from station.calibrate.camera.measured_camera import measure_camera
    from station.calibrate.viewpoints.drift_check import viewpoints_record
    from station.calibrate.viewpoints.measured_viewpoints import STATION_VIEWS, measure_viewpoints, truth_text
    from station.calibrate.viewpoints.teach import taught_poses
    from station.documents.document import save_document

    _refuse_existing(out)
    poses = STATION_VIEWS if views is None else taught_poses(views)
    with opened(rig, Path("out/calibration"), _ask) as station_open:
        bench = _bench(station_open, choice)
        camera = measure_camera(bench, _progress, binning)
        found = measure_viewpoints(bench, camera, _progress, poses, returns)
        record = viewpoints_record(
            found, station_open.identity(), is_simulated=station_open.rig.is_simulated,
            diffuse_channel=bench.diffuse_channel,
        )  # fmt: skip
        record = record.model_copy(update={"flags": (*camera.flags, *found.flags)})
        against = "" if station_open.control is None else truth_text(found, station_open.control)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_document(out, record, header="Written by `station calibrate viewpoints`.")
    flags = (*camera.flags, *found.flags)
    parts = (found.as_text(), *(f"! camera: {flag}" for flag in camera.flags), against, f"written: {out}")
    text = "\n".join(part for part in parts if part)
    _say(
        {**found.as_dict(), "flags": list(flags), "record": str(out), "against_truth": against.splitlines()},
        as_json,
        text,
    )
    raise typer.Exit(ExitCode.FOUND if flags else ExitCode.DONE)


def _refuse_existing(out: Path) -> None:
    from station.calibrate.viewpoints.drift_check import DriftRefused

    if out.exists():
        raise DriftRefused(f"{out} is there already; a record is never overwritten: choose another name with --out")


def _check(rig: str, file: Path, choice: BoardChoice, binning: int, as_json: bool) -> None:
    from calibration.record import Calibration
    from calibration.viewpoints.record import ViewpointsRecord
    from station.calibrate.runs.opened_rig import opened
    from station.calibrate.camera.measured_camera import FLAT
    from station.calibrate.viewpoints.drift_check import check_same_camera, drift_reference, measure_drift
    from station.documents.document import load_document, read_document

    whole = "calibration_id" in read_document(file).data
    record = load_document(file, Calibration) if whole else load_document(file, ViewpointsRecord)
    reference = drift_reference(record)
    with opened(rig, Path("out/calibration"), _ask) as station_open:
        check_same_camera(record, station_open.identity())
        bench = _bench(station_open, choice, record)
        if station_open.control is not None:
            bench.place_board(FLAT)  # a simulated board goes back exactly where calibration had it
        report = measure_drift(bench, reference, _progress, binning=binning)
    _say({**asdict(report), "accepted": report.accepted}, as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.accepted else ExitCode.FOUND)


def teach_by_jogging(
    rig: Annotated[str, typer.Option("--rig", help="Rig file.")],
    out: Annotated[Path, typer.Option("--out", help="File of taught viewpoints; added to if it is there.")] = Path(
        "out/taught.yaml"
    ),
) -> None:
    """Move the arm step by step and keep viewpoints: a line per step on standard input, `quit` at the end."""
    from drivers.errors import OutOfTravel
    from station.calibrate.viewpoints.teach import HELP, TeachError, load_taught, obey, save_taught
    from station.rig.devices import open_rig

    views = load_taught(out)
    with open_rig(Path(rig)) as station_rig:
        if not station_rig.arm.position_trusted:
            station_rig.arm.home()
        _progress(HELP)
        for line in iter(sys.stdin.readline, ""):
            if line.split() == ["quit"]:
                break
            if not line.strip():
                continue
            try:
                answer, taught = obey(station_rig.arm, line, views)
            except (TeachError, OutOfTravel) as error:
                print(f"! {error}", flush=True)
                continue
            print(answer, flush=True)
            if taught is not views:
                views = taught
                save_taught(out, views)
    print(f"{len(views.viewpoints)} viewpoints in {out}")


def add_viewpoint_commands(app: typer.Typer) -> None:
    app.command("teach")(teach_by_jogging)
    app.command("viewpoints")(viewpoints)
