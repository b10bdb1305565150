"""`station calibrate`: its commands and their arguments; the work is done in `station.calibrate`.

Modules that load OpenCV, SciPy or a rig are imported inside the commands, so that `station --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from station.calibrate.errors import RigChoiceError
from station.commands.calibrate_camera import add_camera_commands
from station.commands.calibrate_options import (
    BinningOption,
    BoardOption,
    JsonOption,
    MirrorExposureOption,
    PlaneExposureOption,
    RecordsOption,
    ReferenceOption,
    ReleaseOption,
    RigFileOption,
    RigOption,
    SphereOption,
    ViewsOption,
    ask,
)
from station.commands.calibrate_viewpoints import add_viewpoint_commands
from station.commands.exit_codes import ExitCode
from station.commands.groups import command_group
from station.commands.say import progress, say

if TYPE_CHECKING:
    from station.calibrate.lights.settings import LightSettings
    from station.calibrate.runs.lights import LiveLightsReport

calibrate_app = command_group("Camera, lights, sensor, viewpoints: measured, with their uncertainties.")

VERIFY_BINNING = 8
RECORDS = Path("out/calibration")


@calibrate_app.command()
def lights(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder with filenames.txt, mask.png (the sphere), one picture per light; or give --rig."),
    ] = None,
    sphere: Annotated[Literal["mirror", "diffuse"], typer.Option(help="What the sphere of the folder is.")] = "mirror",
    second: Annotated[
        Path | None, typer.Option(help="The other kind of sphere under the same lights, for an independent estimate.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for light_directions.txt and its like, as `solve` reads them.")
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
    from station.calibrate.lights.settings import LightSettings
    from station.calibrate.lights.sphere_lights import LightsReport, calibrate_lights_folder

    if (folder is None) == (rig is None):
        raise RigChoiceError("give either a folder of pictures or --rig, not both and not neither")
    if rig is not None and out is not None:
        raise RigChoiceError("--out goes with a folder of pictures; `calibrate all --rig` writes a rig's record")
    settings = LightSettings(binning, sphere_mm / 2, mirror_exposure_us=mirror_us, plane_exposure_us=plane_us)
    report: LightsReport | LiveLightsReport
    if folder is not None:
        report = calibrate_lights_folder(folder, sphere, second)
        if out is not None:
            from station.calibrate.lights.lights_on_disk import write_lights

            progress(f"written: {', '.join(str(path) for path in write_lights(report, out))}")
    else:
        report = _lights_of_rig(rig or "simulated", reference, settings)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.is_clean else ExitCode.FOUND)


def _lights_of_rig(rig: str, reference: Path | None, settings: LightSettings) -> LiveLightsReport:
    from station.calibrate.runs.lights import calibrate_lights_live
    from station.calibrate.runs.opened_rig import opened_rig, reference_for

    known = reference_for(rig, reference)
    with opened_rig(rig, RECORDS, ask) as opened:
        return calibrate_lights_live(opened, known, progress, settings)


@calibrate_app.command("all")
def calibrate_everything(
    rig: RigOption = "simulated",
    out: RecordsOption = RECORDS,
    reference: ReferenceOption = None,
    release_by: ReleaseOption = "unattended",
    lens: Annotated[str, typer.Option(help="Serial number of the lens, for the record.")] = "unknown",
    sphere_mm: SphereOption = 16.0,
    views: ViewsOption = None,
    board: BoardOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Which simulated rig, where one is started.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Camera, viewpoints, lights, field and sensor to a released record with its report; ends with 1 if flagged."""
    from station.calibrate.bench.board_bench import BOARD, board_from_text
    from station.calibrate.lights.settings import LightSettings
    from station.calibrate.runs.all import calibrate_all
    from station.calibrate.runs.opened_rig import opened_rig, reference_for
    from station.calibrate.viewpoints.taught_views import views_to_visit

    poses = views_to_visit(views)
    its = BOARD if board is None else board_from_text(board)
    known = reference_for(rig, reference)
    with opened_rig(rig, out, ask, seed) as opened:
        settings = LightSettings(sphere_radius_mm=sphere_mm / 2)
        opened.board_bench.board = its
        report = calibrate_all(opened, known, out, release_by, progress, settings, lens=lens, views=poses)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.ok else ExitCode.FOUND)


@calibrate_app.command("verify")
def verify_record(
    record: Annotated[Path, typer.Argument(help="Calibration record.")],
    rig: RigFileOption,
    target: Annotated[Literal["sphere", "plane"], typer.Option(help="Matte sphere, or white plane.")] = "sphere",
    sphere_mm: SphereOption = 16.0,
    as_json: JsonOption = False,
) -> None:
    """Once per shift: does the rig still agree with the record? Ends with 0 accepted, 1 refused."""
    from calibration.record import Calibration
    from station.calibrate.lights.settings import LightSettings
    from station.calibrate.runs.opened_rig import opened_rig
    from station.calibrate.runs.verify import verify, verify_on_plane
    from station.documents.document import load_document
    from station.recipe.flat_field_file import load_field

    known = load_document(record, Calibration)
    maps = load_field(known, record)
    settings = LightSettings(binning=VERIFY_BINNING, sphere_radius_mm=sphere_mm / 2).for_lights_of(known)
    with opened_rig(rig, RECORDS, ask) as opened:
        bench, identity = opened.bench, opened.identity()
        if target == "sphere":
            report = verify(bench, known, identity, settings, progress)
        else:
            report = verify_on_plane(bench, known, maps, identity, settings, progress)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.accepted else ExitCode.FOUND)


@calibrate_app.command("field")
def field_maps(
    record: Annotated[Path, typer.Argument(help="Calibration record with the lights.")],
    rig: RigFileOption,
    out: RecordsOption = RECORDS,
    release_by: ReleaseOption = "unattended",
    binning: BinningOption = 4,
    plane_us: PlaneExposureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Flat-field maps per light from the white plane, in a new record; ends with 1 if anything is flagged."""
    from calibration.record import Calibration
    from station.calibrate.lights.settings import LightSettings
    from station.calibrate.runs.field import calibrate_field
    from station.calibrate.runs.opened_rig import opened_rig
    from station.documents.document import load_document

    known = load_document(record, Calibration)
    settings = LightSettings(binning=binning, plane_exposure_us=plane_us)
    with opened_rig(rig, out, ask) as opened:
        report = calibrate_field(opened, known, out, release_by, progress, settings)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.released else ExitCode.FOUND)


@calibrate_app.command("bind")
def bind(
    record: Annotated[Path, typer.Argument(help="Released calibration record.")],
    recipe: Annotated[Path, typer.Argument(help="Recipe that is to use this record and no other.")],
    collection: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="A collection that the record's rig took before it was measured so: its raw frames are solved under "
            "this record from now on.",
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="With --collection: who vouches that it is the same rig.")] = "",
    why: Annotated[str, typer.Option(help="With --collection: why the record holds for these frames.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write a record's place and SHA-256 into a recipe; refuses records not released or expired.

    With --collection the frames that were taken before are solved under the record too.
    """
    from station.calibrate.records.bind import bind_recipe
    from station.calibrate.records.bind_collection import bind_collection, check_bindable

    if collection is not None:
        check_bindable(record, recipe, collection, by, why)
    report = bind_recipe(record, recipe)
    more = None if collection is None else bind_collection(record, collection, by, why)
    found = report.as_dict() if more is None else {**report.as_dict(), "collection": more.as_dict()}
    say(found, as_json, report.as_text() if more is None else f"{report.as_text()}\n{more.as_text()}")


@calibrate_app.command("white")
def white_balance(
    recipe: Annotated[Path, typer.Argument(help="Recipe with colour pictures; its display.white_balance is written.")],
    rig: RigFileOption,
    as_json: JsonOption = False,
) -> None:
    """White balance of what is drawn on screen, from the white plane under the diffuse light; no pixel is changed."""
    from station.calibrate.field.white_balance import calibrate_white, colour_recipe
    from station.calibrate.runs.opened_rig import opened_rig

    colour_recipe(recipe)
    with opened_rig(rig, RECORDS, ask) as opened:
        report = calibrate_white(opened.rig, opened.bench.place, recipe)
    say(report.as_dict(), as_json, report.as_text())


@calibrate_app.command()
def sensor(
    rig: RigOption = "simulated",
    out: RecordsOption = RECORDS,
    reference: ReferenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """EMVA 1288 photon transfer on the white plane: gain K, read noise, saturation, linearity."""
    from dataclasses import asdict

    from station.calibrate.lights.settings import LightSettings
    from station.calibrate.runs.opened_rig import opened_rig, reference_for
    from station.calibrate.sensor.exposure_series import measure_sensor

    known = reference_for(rig, reference)
    with opened_rig(rig, out, ask) as opened:
        found = measure_sensor(opened.bench, known, LightSettings().for_lights_of(known), progress)
    say(asdict(found), as_json, found.as_text())
    raise typer.Exit(ExitCode.FOUND if found.flags else ExitCode.DONE)


add_camera_commands(calibrate_app)
add_viewpoint_commands(calibrate_app)
