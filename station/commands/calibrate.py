"""`station calibrate`: its commands and their arguments; what they do lives beside this file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from station.calibrate.errors import RigChoiceError
from station.calibrate.lights.sphere_folder import SphereKind
from station.commands.calibrate_camera import add_camera_commands
from station.commands.calibrate_viewpoints import BoardOption
from station.commands.exit_codes import ExitCode

if TYPE_CHECKING:
    from station.calibrate.runs.lights import LiveLightsReport
    from station.calibrate.lights.sphere_folder import LightsReport

calibrate_app = typer.Typer(
    help="Camera, lights, sensor, viewpoints: measured, with their uncertainties.", no_args_is_help=True
)

VERIFY_BINNING = 8

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def say(document: Any, as_json: bool, text: str) -> None:
    print(json.dumps(document, indent=2, default=str) if as_json else text)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


RigOption = Annotated[str, typer.Option("--rig", help="Rig file; the word `simulated` starts a rig never calibrated.")]
ReferenceOption = Annotated[
    Path | None, typer.Option("--reference", help="Calibration with the camera, and the lights as drawn.")
]
RecordsOption = Annotated[Path, typer.Option("--out", help="Folder that keeps calibration records; made if absent.")]
MirrorExposureOption = Annotated[
    float | None,
    typer.Option("--mirror-us", min=1, help="Exposure of the mirror sphere's highlights; found for each light."),
]
PlaneExposureOption = Annotated[
    float | None, typer.Option("--plane-us", min=1, help="Exposure of the white plane; found for each light without.")
]
BinningOption = Annotated[int, typer.Option(help="Of the pictures: 1, 2, 4 or 8.")]
SphereOption = Annotated[float, typer.Option("--sphere-mm", help="Diameter of the calibration spheres.")]


def _ask(words: str) -> None:
    typer.prompt(f"{words}. Then press Enter", default="", show_default=False, err=True)


@calibrate_app.command()
def lights(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder with filenames.txt, mask.png (the sphere), one picture per light; or give --rig."),
    ] = None,
    sphere: Annotated[SphereKind, typer.Option(help="What the sphere of the folder is.")] = "mirror",
    second: Annotated[
        Path | None, typer.Option(help="The other kind of sphere under the same lights, for an independent estimate.")
    ] = None,
    rig: Annotated[
        str | None, typer.Option("--rig", help="Rig file, or `simulated`: spheres and plane on the live rig.")
    ] = None,
    reference: ReferenceOption = None,
    sphere_mm: SphereOption = 16.0,
    binning: BinningOption = 4,
    mirror_us: MirrorExposureOption = None,
    plane_us: PlaneExposureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Directions of the lights from a sphere, in a folder or on the rig; ends with 1 if anything is flagged."""
    if (folder is None) == (rig is None):
        raise RigChoiceError("give either a folder of pictures or --rig, not both and not neither")
    report: LightsReport | LiveLightsReport
    if folder is not None:
        report = _lights_of_folder(folder, sphere, second)
    else:
        report = _lights_of_rig(rig, reference, (sphere_mm, binning, mirror_us, plane_us))
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.is_clean else ExitCode.FOUND)


def _lights_of_folder(folder: Path, sphere: SphereKind, second: Path | None) -> LightsReport:
    from station.calibrate.lights.sphere_folder import calibrate_lights_folder

    return calibrate_lights_folder(folder, sphere, second)


def _lights_of_rig(
    rig: str | None, reference: Path | None, how: tuple[float, int, float | None, float | None]
) -> LiveLightsReport:
    from station.calibrate.runs.opened_rig import SIMULATED, load_reference, opened
    from station.calibrate.runs.lights import calibrate_lights_live
    from station.calibrate.lights.measured_lights import LightSettings

    sphere_mm, binning, mirror_us, plane_us = how
    settings = LightSettings(binning, sphere_mm / 2, mirror_exposure_us=mirror_us, plane_exposure_us=plane_us)
    with opened(rig or SIMULATED, Path("out/calibration"), _ask) as station_open:
        known = load_reference(reference, station_open.rig)
        return calibrate_lights_live(station_open, known, progress, settings)


@calibrate_app.command("all")
def calibrate_everything(
    rig: RigOption = "simulated",
    out: RecordsOption = Path("out/calibration"),
    reference: ReferenceOption = None,
    release_by: Annotated[str, typer.Option(help="Who releases the record if nothing is flagged.")] = "unattended",
    lens: Annotated[str, typer.Option(help="Serial number of the lens, for the record.")] = "unknown",
    sphere_mm: SphereOption = 16.0,
    views: Annotated[
        Path | None, typer.Option("--views", help="File of `station calibrate teach`; the demo's five without it.")
    ] = None,
    board: BoardOption = None,
    seed: Annotated[int, typer.Option(help="Which simulated rig, where one is started.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Camera, viewpoints, lights, field and sensor to a released record with its report; ends with 1 if flagged."""
    from station.calibrate.runs.opened_rig import load_reference, opened
    from station.calibrate.bench.board_bench import BOARD, board_from_text
    from station.calibrate.lights.measured_lights import LightSettings
    from station.calibrate.runs.all import calibrate_all
    from station.calibrate.viewpoints.measured_viewpoints import STATION_VIEWS
    from station.calibrate.viewpoints.teach import taught_poses

    poses = STATION_VIEWS if views is None else taught_poses(views)
    its = BOARD if board is None else board_from_text(board)
    with opened(rig, out, _ask, seed) as station_open:
        known = load_reference(reference, station_open.rig)
        settings = LightSettings(sphere_radius_mm=sphere_mm / 2)
        station_open.board_bench.board = its
        report = calibrate_all(station_open, known, out, release_by, progress, settings, lens=lens, views=poses)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.ok else ExitCode.FOUND)


@calibrate_app.command("verify")
def verify_record(
    record: Annotated[Path, typer.Argument(help="Calibration record.")],
    rig: Annotated[str, typer.Option("--rig", help="Rig file.")],
    target: Annotated[Literal["sphere", "plane"], typer.Option(help="Matte sphere, or white plane.")] = "sphere",
    sphere_mm: SphereOption = 16.0,
    as_json: JsonOption = False,
) -> None:
    """Once per shift: does the rig still agree with the record? Ends with 0 accepted, 1 refused."""
    from calibration.record import Calibration
    from station.calibrate.runs.opened_rig import opened
    from station.calibrate.lights.measured_lights import LightSettings
    from station.calibrate.runs.verify import verify, verify_on_plane
    from station.documents.document import load_document
    from station.recipe.flat_field_file import load_field

    known = load_document(record, Calibration)
    maps = load_field(known, record)
    settings = LightSettings(binning=VERIFY_BINNING, sphere_radius_mm=sphere_mm / 2).for_lights_of(known)
    with opened(rig, Path("out/calibration"), _ask) as station_open:
        bench, identity = station_open.bench, station_open.identity()
        if target == "sphere":
            report = verify(bench, known, identity, settings, progress)
        else:
            report = verify_on_plane(bench, known, maps, identity, settings, progress)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.accepted else ExitCode.FOUND)


@calibrate_app.command("field")
def field_maps(
    record: Annotated[Path, typer.Argument(help="Calibration record with the lights.")],
    rig: Annotated[str, typer.Option("--rig", help="Rig file.")],
    out: RecordsOption = Path("out/calibration"),
    release_by: Annotated[str, typer.Option(help="Who releases the record if nothing is flagged.")] = "unattended",
    binning: BinningOption = 4,
    plane_us: PlaneExposureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Flat-field maps per light from the white plane, in a new record; ends with 1 if anything is flagged."""
    from calibration.record import Calibration
    from station.calibrate.runs.opened_rig import opened
    from station.calibrate.runs.field import calibrate_field
    from station.calibrate.lights.measured_lights import LightSettings
    from station.documents.document import load_document

    with opened(rig, out, _ask) as station_open:
        known = load_document(record, Calibration)
        settings = LightSettings(binning=binning, plane_exposure_us=plane_us)
        report = calibrate_field(station_open, known, out, release_by, progress, settings)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.released else ExitCode.FOUND)


@calibrate_app.command("bind")
def bind(
    record: Annotated[Path, typer.Argument(help="Released calibration record.")],
    recipe: Annotated[Path, typer.Argument(help="Recipe that is to use this record and no other.")],
    as_json: JsonOption = False,
) -> None:
    """Write a record's place and SHA-256 into a recipe; refuses records not released or expired."""
    from station.calibrate.records.bind import bind_recipe

    report = bind_recipe(record, recipe)
    say(report.as_dict(), as_json, report.as_text())


@calibrate_app.command("white")
def white_balance(
    recipe: Annotated[Path, typer.Argument(help="Recipe with colour pictures; its display.white_balance is written.")],
    rig: Annotated[str, typer.Option("--rig", help="Rig file.")],
    as_json: JsonOption = False,
) -> None:
    """White balance of what is drawn on screen, from the white plane under the diffuse light; no pixel is changed."""
    from station.calibrate.runs.opened_rig import opened
    from station.calibrate.field.white_balance import calibrate_white

    with opened(rig, Path("out/calibration"), _ask) as station_open:
        report = calibrate_white(station_open.rig, station_open.bench.place, recipe)
    say(report.as_dict(), as_json, report.as_text())


@calibrate_app.command()
def sensor(
    rig: RigOption = "simulated",
    out: RecordsOption = Path("out/calibration"),
    reference: ReferenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """EMVA 1288 photon transfer on the white plane: gain K, read noise, saturation, linearity."""
    from dataclasses import asdict

    from station.calibrate.runs.opened_rig import load_reference, opened
    from station.calibrate.lights.measured_lights import LightSettings, measure_sensor

    with opened(rig, out, _ask) as station_open:
        known = load_reference(reference, station_open.rig)
        found = measure_sensor(station_open.bench, known, LightSettings().for_lights_of(known), progress)
    text = (
        f"K {found.gain_dn_per_e:.4f} +- {1.96 * found.gain_spread:.4f} DN/e-, read noise {found.read_noise_e:.2f} e-, "
        f"saturation {found.saturation_capacity_e:.0f} e-, linearity error {found.linearity_error_percent:.3f} %"
    )
    say(asdict(found), as_json, "\n".join([text, *(f"! {flag}" for flag in found.flags)]))
    raise typer.Exit(ExitCode.FOUND if found.flags else ExitCode.DONE)


add_camera_commands(calibrate_app)
