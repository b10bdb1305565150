"""`station calibrate camera` and `station calibrate import`: arguments, and where the results are written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from station.commands.calibrate_options import (
    BinningOption,
    BoardOption,
    DiffuseOption,
    DrawingOption,
    JsonOption,
    ask,
)
from station.commands.exit_codes import ExitCode
from station.commands.say import progress, say
from station.errors import BadInput

PatternName = Literal["chessboard", "charuco", "circles"]
FormatName = Literal["opencv", "ros", "appendix-c"]


class CalibrationFileRefused(BadInput, ValueError):
    """Arguments, a board or a calibration file that cannot be used; the text names the option, or file and field."""


def camera(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with pictures of one board, all of one size; or give --rig.")
    ] = None,
    rig: Annotated[
        str | None, typer.Option("--rig", help="Rig file, or `simulated`: its own camera photographs its own board.")
    ] = None,
    board_on_rig: BoardOption = None,
    diffuse_channel: DiffuseOption = None,
    reference: DrawingOption = None,
    binning: BinningOption = 4,
    pattern: Annotated[PatternName, typer.Option(help="What the board shows.")] = "chessboard",
    cols: Annotated[int, typer.Option(help="Inner corners (chessboard), squares (charuco) or circles per row.")] = 9,
    rows: Annotated[int, typer.Option(help="The same per column.")] = 6,
    square_mm: Annotated[float, typer.Option(help="Pitch of the board in mm.")] = 25.0,
    marker_mm: Annotated[float | None, typer.Option(help="ChArUco: edge of a marker; 3/4 of a square.")] = None,
    dictionary: Annotated[str, typer.Option(help="ChArUco: 4x4_50, 4x4_100, 4x4_250 or 4x4_1000.")] = "4x4_250",
    size: Annotated[
        str | None, typer.Option(help="The camera's WIDTHxHEIGHT; otherwise that of most pictures.")
    ] = None,
    tangential: Annotated[bool, typer.Option(help="Try tangential distortion too; it absorbs a bowed board.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for camera.json, camera.yaml and the plots.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Camera from pictures of a board; ends with 1 if the pictures do not determine it."""
    if (folder is None) == (rig is None):
        raise CalibrationFileRefused("give either a folder of pictures or --rig, not both and not neither")
    if rig is not None:
        _camera_on_rig(rig, (board_on_rig, diffuse_channel, reference), binning, out, as_json)
    assert folder is not None
    from calibration.boards.board import Board
    from station.calibrate.camera.files import write_camera_files
    from station.calibrate.camera.picture_folder import calibrate_camera_folder

    try:
        board = Board(pattern, cols, rows, square_mm, marker_mm, dictionary)
    except ValueError as error:
        raise CalibrationFileRefused(str(error)) from error
    report = calibrate_camera_folder(folder, board, _size(size), tangential, progress)
    if out is not None:
        write_camera_files(report, out)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.camera is not None else ExitCode.FOUND)


def _camera_on_rig(
    rig: str, chosen: tuple[str | None, int | None, Path | None], binning: int, out: Path | None, as_json: bool
) -> NoReturn:
    """The rig's own camera before its board; `out` as for a folder of pictures."""
    from station.calibrate.runs.opened_rig import BoardChoice
    from station.calibrate.runs.viewpoints import calibrate_camera_on_rig

    found = calibrate_camera_on_rig(rig, BoardChoice(*chosen), binning, out, ask, progress)
    say(found.report.as_dict(), as_json, found.report.as_text())
    raise typer.Exit(ExitCode.FOUND if found.flags else ExitCode.DONE)


def _size(text: str | None) -> tuple[int, int] | None:
    """WIDTHxHEIGHT in pixels. Raises CalibrationFileRefused."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise CalibrationFileRefused(f"--size: expected WIDTHxHEIGHT like 5472x3648, found {text!r}")
    return int(parts[0]), int(parts[1])


def import_file(
    file: Annotated[Path, typer.Argument(help="The vendor's YAML, OpenCV FileStorage or ROS camera_info.")],
    out: Annotated[Path | None, typer.Option(help="Write it again, in the format given with --to.")] = None,
    to: Annotated[FormatName, typer.Option(help="Format of --out.")] = "opencv",
    as_json: JsonOption = False,
) -> None:
    """A camera's calibration from another program: checked, judged, converted; ends with 1 if it is suspicious."""
    from calibration.camera.info_files import file_kind, read_camera
    from calibration.camera.vendor_yaml import read_vendor_yaml
    from calibration.camera_model import CalibrationFileError, model_warnings

    try:
        kind = file_kind(file)
        vendor = read_vendor_yaml(file) if kind == "appendix-c" else None
        model = vendor.camera if vendor is not None else read_camera(file)
    except CalibrationFileError as error:
        raise CalibrationFileRefused(str(error)) from error
    warnings = vendor.warnings if vendor is not None else model_warnings(model)
    good_for = vendor.good_for if vendor is not None else None
    if out is not None:
        from station.calibrate.camera.files import convert

        convert(model, vendor, out, to)
    document = {"file": str(file), "format": kind, **asdict(model), "good_for": good_for, "warnings": list(warnings)}
    lines = [
        f"{kind}: {model.width_px} x {model.height_px} px, fx {model.fx_px:.1f} fy {model.fy_px:.1f} "
        f"cx {model.cx_px:.1f} cy {model.cy_px:.1f}",
        *(f"! {warning}" for warning in warnings),
        *([f"good for: {good_for}"] if good_for is not None else []),
    ]
    say(document, as_json, "\n".join(lines))
    raise typer.Exit(ExitCode.FOUND if warnings else ExitCode.DONE)


def add_camera_commands(app: typer.Typer) -> None:
    """Adds `camera` and `import`."""
    app.command("camera")(camera)
    app.command("import")(import_file)
