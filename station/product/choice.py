"""What is chosen for a new product, checked before anything moves, and the recipe's text that follows from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from calibration.record import CalibratedLight, Calibration
from drivers.geometry.pose import Pose
from station.calibrate.viewpoints.taught_views import views_to_visit
from station.documents.document import dump_document, load_document
from station.errors import BadInput
from station.recipe.fields import Identifier, LightChoice, Name

IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
NAME: TypeAdapter[str] = TypeAdapter(Name)
FIRST_US = 5000.0  # where nothing is known of a light's level
FIRST_LEVEL = 0.3  # of full scale, on a white plane: what the first look is exposed for
LIMIT = 1.0  # of every view, until training writes its own
MESH_ENDINGS = (".stl", ".obj", ".ply")  # of the simulated rig, whose settings lie in a .yaml of the same name
AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")


class ProductError(BadInput, ValueError):
    """A product that cannot be begun so; the text says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class ProductChoice:
    """Everything that a person chooses; the rest is found by looking."""

    name: str
    recipe: Path  # to be written
    rig: Path
    calibration: Path
    viewpoints: Path | None = None  # of `station calibrate teach`; None: the five of the rig
    channels: tuple[int, ...] = ()  # none: every light of the record
    pixel_format: str = "BayerRG12"
    binning: int = 8
    gain_db: float = 0.0
    brightness: float = 1.0
    plane_heights_mm: Mapping[str, float] = field(default_factory=dict)


def check_product_name(name: str) -> str:
    """The name as it was given. Raises ProductError."""
    try:
        return IDENTIFIER.validate_python(name)
    except ValidationError:
        raise ProductError(
            f"{name!r} cannot name a product: small letters, digits, dashes and underscores, at most 64"
        ) from None


def refuse_existing(recipe: Path) -> None:
    """Raises ProductError where a recipe, or anything else, is there already."""
    if recipe.exists():
        mesh = next((m for m in recipe.parent.glob(f"{recipe.stem}.*") if m.suffix.lower() in MESH_ENDINGS), None)
        what = "a recipe is never overwritten" if mesh is None else f"it may hold the settings of the mesh {mesh.name}"
        raise ProductError(f"{recipe} is there already, and {what}: name another file with --recipe, or edit it")


def chosen_views(choice: ProductChoice) -> dict[str, Pose]:
    """The viewpoints by name. Raises ProductError for a name that no recipe takes; TeachError, DocumentError."""
    views = dict(views_to_visit(choice.viewpoints))
    for name in views:
        _check_name(name, f"{choice.viewpoints}: viewpoint")
    unknown = sorted(set(choice.plane_heights_mm) - set(views))
    if unknown:
        raise ProductError(f"--plane-height {unknown[0]}: no view is named so; there are {', '.join(views)}")
    return views


def chosen_lights(choice: ProductChoice, calibration: Calibration) -> tuple[LightChoice, ...]:
    """The lights of the chosen channels, or all of the record, with the exposure of a first look.

    Raises ProductError for a channel that the record does not have, or a name that no recipe takes.
    """
    try:
        found = [calibration.light(channel) for channel in choice.channels] or list(calibration.lights)
    except KeyError as error:
        raise ProductError(f"--channel: {error.args[0]} in {choice.calibration}") from error
    for light in found:
        _check_name(light.name, f"{choice.calibration}: light")
    return tuple(
        LightChoice(
            name=light.name, channel=light.channel, kind=light.kind, brightness=choice.brightness,
            exposure_us=_first_us(light, choice),
        )
        for light in found
    )  # fmt: skip


def _first_us(light: CalibratedLight, choice: ProductChoice) -> float:
    if light.plane_level_per_ms is None:
        return FIRST_US
    level_per_us = light.plane_level_per_ms / 1e3 * choice.brightness * 10 ** (choice.gain_db / 20)
    return round(min(100_000.0, max(20.0, FIRST_LEVEL / level_per_us)), 1)


def _check_name(name: str, what: str) -> None:
    try:
        NAME.validate_python(name)
    except ValidationError:
        raise ProductError(
            f"{what} {name!r} cannot be named so in a recipe: a letter first, then letters, digits, dashes and "
            "underscores, at most 32; teach it anew under such a name"
        ) from None


def recipe_text(
    choice: ProductChoice,
    views: Mapping[str, Pose],
    lights: Sequence[LightChoice],
    levels: Mapping[str, Mapping[str, float]] | None = None,
    gloss: tuple[float, float] | None = None,
    unsure_mm: Mapping[str, float] | None = None,
) -> str:
    """The recipe's YAML, with the comments that its next reader needs. Raises DocumentError for the record.

    `unsure_mm` is, per view whose plane height was measured, by how much it may be off.
    """
    record = load_document(choice.calibration, Calibration)
    is_drawing = record.is_simulated and record.provenance is None
    sha256 = hashlib.sha256(choice.calibration.read_bytes()).hexdigest()
    parts = [
        f"# {choice.name}, begun with `station product new`. Units are in the names of the fields.\n",
        _lines({"recipe_id": choice.name, "revision": 1, "product": choice.name}),
        _lines({"calibration": _beside(choice.calibration, choice.recipe)}),
        "" if is_drawing else f"calibration_sha256: '{sha256}'\n",
        "\ncapture:\n",
        _lines(_capture(choice), "  "),
        "\n# A score above the view's limit fails. Training writes the limits.\n",
        "viewpoints:\n",
        *(
            _view(name, pose, choice.plane_heights_mm.get(name, 0.0), (unsure_mm or {}).get(name))
            for name, pose in views.items()
        ),
        "\n# Channels of the light controller, with exposures that were chosen on a good part.\n",
        "lights:\n",
        *(f"  - {_braces(light.model_dump())}\n" for light in lights),
        "\nphotometric_stereo:\n  method: masked\n",
        "" if gloss is None else _gloss(*gloss),
        "\n# `station train` writes the model, and then its hash.\n",
        "model:\n",
        _lines({"file": f"models/{choice.name}.onnx"}, "  "),
    ]
    if levels:
        parts += [
            "\n# Mean levels of the part that was looked at; training writes those of all good parts.\n",
            "reference_levels:\n",
            *(f"  {view}: {_braces(of_view)}\n" for view, of_view in levels.items()),
        ]
    return "".join(parts)


def _capture(choice: ProductChoice) -> dict[str, object]:
    return {"pixel_format": choice.pixel_format, "binning": choice.binning, "gain_db": choice.gain_db}


def _beside(file: Path, recipe: Path) -> str:
    """The file's path as the recipe names it: relative, where there is such a path."""
    try:
        return Path(os.path.relpath(file.resolve(), recipe.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return file.resolve().as_posix()


def _view(name: str, pose: Pose, height_mm: float, unsure_mm: float | None) -> str:
    place = dict(zip(AXES, pose.as_tuple(), strict=True))
    measured = "" if unsure_mm is None else f"  # measured, +- {unsure_mm} (k = 2)"
    height = f"    plane_height_mm: {height_mm}{measured}\n" if height_mm else ""
    return f"  - name: {name}\n    pose: {_braces(place)}\n    limit: {LIMIT}\n{height}"


def _gloss(of_albedo: float, roughness: float) -> str:
    return (
        "  # Measured on the part that was looked at; it counts with `refine: gloss` (docs/product.md).\n"
        f"  gloss: {_braces({'of_albedo': of_albedo, 'roughness': roughness})}\n"
    )


def _braces(values: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in values.items()) + "}"


def _scalar(value: object) -> str:
    return dump_document(value).split("\n")[0]


def _lines(values: Mapping[str, object], indent: str = "") -> str:
    return "".join(f"{indent}{name}: {_scalar(value)}\n" for name, value in values.items())
