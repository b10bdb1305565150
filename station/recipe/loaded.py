"""A recipe file with all that it refers to: read, checked against each other, and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from calibration.record import Calibration
from drivers.errors import DeviceError
from station.documents.document import Document, load_document, read_document
from station.documents.errors import DocumentError, field_name
from station.photometric_stereo.lights import DirectionalLights, LightGeometryError, check_lights
from station.recipe.aimed_views import aim_problem, aimed
from station.recipe.binding import binding_problems, camera_problem, expiry_problem, simulation_problem
from station.recipe.fields import LightChoice, ModelChoice, Recipe, Viewpoint
from station.recipe.flat_field_file import FieldMaps, FlatFieldFileError, load_field
from station.recipe.part_reference_file import PartReferenceError, PartReferences, read_part_references
from station.recipe.view_reference_file import ViewReferenceError, ViewReferences, read_references

__all__ = ["LightChoice", "LoadedRecipe", "Recipe", "Viewpoint", "load_recipe"]

FieldPath = tuple[str | int, ...]
SUFFIXES = {  # of copies
    "recipe": ".yaml", "calibration": ".yaml", "flat_field": ".npz", "view_reference": ".npz",
    "part_reference": ".npz", "model": ".onnx",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """Copies of the files that a recipe refers to, read instead of those that it names: the archive's, for example."""

    calibration: Path
    model: Path
    flat_field: Path | None = None
    view_reference: Path | None = None
    part_reference: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A recipe with all that it refers to, found, checked against each other and hashed.

    The poses of its viewpoints are corrected for this calibration's camera; see `station.recipe.aimed_views`.
    """

    recipe: Recipe
    calibration: Calibration
    path: Path
    calibration_path: Path
    model_path: Path
    sha256s: dict[str, str]  # recipe, calibration; flat_field and references if there are any; model if needed
    document: Document
    flat_field: FieldMaps | None = None
    view_references: ViewReferences | None = None
    part_references: PartReferences | None = None

    def files(self) -> list[tuple[Path, str, str]]:
        """Every file on which a verdict under this recipe rests: its path, its SHA-256, and the suffix of a copy."""
        named, reference = self.calibration.flat_field, self.recipe.view_reference
        of_part = self.recipe.part_reference
        places = {
            "recipe": self.path, "calibration": self.calibration_path, "model": self.model_path,
            **({} if named is None else {"flat_field": self.calibration_path.parent / named.file}),
            **({} if reference is None else {"view_reference": self.path.parent / reference.file}),
            **({} if of_part is None else {"part_reference": self.path.parent / of_part.file}),
        }  # fmt: skip
        return [(places[what], sha256, SUFFIXES[what]) for what, sha256 in self.sha256s.items()]

    def line_of(self, field_path: str | Sequence[str | int]) -> str:
        """`file:line:column` of a field such as `viewpoints.top.pose` or ("viewpoints", 0, "pose")."""
        return self.document.where(self._indexed(field_path))

    @contextmanager
    def naming(self, field_path: str | Sequence[str | int]) -> Iterator[None]:
        """Turns a device's refusal of what this field asks for into a DocumentError with the field's line."""
        try:
            yield
        except DeviceError as error:
            raise _problem(self.document, self._indexed(field_path), str(error)) from error

    def check_calibration(
        self, now: datetime | None = None, camera: str | None = None, *, is_simulated_rig: bool | None = None
    ) -> None:
        """Raise DocumentError if the calibration has expired at `now`, or does not hold for this rig.

        It does not hold if it was measured with another `camera` (serial number), or is simulated and the rig is real.
        """
        problem = expiry_problem(self.calibration, now)
        if problem is None and is_simulated_rig is False:
            problem = simulation_problem(self.calibration)
        if problem is None and camera is not None:
            problem = camera_problem(self.calibration, camera)
        if problem is not None:
            raise _problem(self.document, ("calibration",), problem)

    def _indexed(self, field_path: str | Sequence[str | int]) -> FieldPath:
        """The field's path with the entries of viewpoints and lights counted; they may be named instead."""
        table, *rest = field_path.split(".") if isinstance(field_path, str) else field_path
        if rest and table in ("viewpoints", "lights"):
            items = self.recipe.viewpoints if table == "viewpoints" else self.recipe.lights
            names = [item.name for item in items]
            rest[0] = names.index(str(rest[0])) if rest[0] in names else rest[0]
        return (table, *rest)


def load_recipe(
    path: Path, *, need_model: bool = True, need_references: bool | None = None, now: datetime | None = None,
    kept: KeptFiles | None = None,
) -> LoadedRecipe:  # fmt: skip
    """Read a recipe with its calibration, and check everything that can be known without devices.

    The calibration must be the one to which the recipe is bound, released, and valid at `now` (default: the present).
    `need_model=False` is for what comes before the model and the references, as training and calibration do; none of
    them is then read. With `need_references` the references that the recipe names are read all the same. `kept` names
    copies to read instead of the files that the recipe names. Raises DocumentError with file, line and field.
    """
    document = read_document(path)
    recipe = document.validated(Recipe)
    calibration_path = _existing(document, ("calibration",), recipe.calibration) if kept is None else kept.calibration
    calibration = load_document(calibration_path, Calibration)
    calibration_sha256 = _sha256(calibration_path)
    for at, text in binding_problems(calibration, calibration_sha256, recipe.calibration_sha256):
        raise _problem(document, at, text)
    _check_lights(document, recipe, calibration)
    field_path = None if kept is None else kept.flat_field
    field = _field(document, recipe, calibration, calibration_path, field_path)
    model_path = path.parent / recipe.model.file if kept is None else kept.model
    sha256s = {"recipe": _sha256(path), "calibration": calibration_sha256}
    if calibration.flat_field is not None:
        sha256s["flat_field"] = calibration.flat_field.sha256
    references = of_parts = None
    if need_model if need_references is None else need_references:
        references = _view_references(document, recipe, None if kept is None else kept.view_reference)
        of_parts = _part_references(document, recipe, None if kept is None else kept.part_reference)
    if recipe.view_reference is not None and references is not None:
        sha256s["view_reference"] = recipe.view_reference.sha256
    if recipe.part_reference is not None and of_parts is not None:
        sha256s["part_reference"] = recipe.part_reference.sha256
    if need_model:
        sha256s["model"] = _model_sha256(document, recipe.model, model_path)
    written, recipe = recipe, aimed(recipe, calibration)
    far = aim_problem(written, recipe, calibration)
    if far is not None:
        raise _problem(document, ("calibration",), far)
    loaded = LoadedRecipe(
        recipe, calibration, path, calibration_path, model_path, sha256s, document, field, references, of_parts
    )  # fmt: skip
    loaded.check_calibration(now)
    return loaded


def awaits_model(path: Path) -> bool:
    """Whether the recipe was never trained: it names no hash of a model, and no such file is there.

    Raises DocumentError.
    """
    model = read_document(path).validated(Recipe).model
    return model.sha256 is None and not (path.parent / model.file).exists()


def _existing(document: Document, at: FieldPath, file: str) -> Path:
    path = document.path.parent / file
    if not path.is_file():
        raise _no_file(document, at, path)
    return path


def _no_file(document: Document, at: FieldPath, path: Path) -> DocumentError:
    return _problem(document, at, f"there is no file {path} (paths are relative to the recipe)")


def _model_sha256(document: Document, choice: ModelChoice, path: Path) -> str:
    if not path.is_file():
        raise _no_file(document, ("model", "file"), path)
    found = _sha256(path)
    if choice.sha256 is not None and found != choice.sha256:
        action = "restore the model that was released, or train and release again"
        raise _problem(document, ("model", "sha256"), f"{path} has SHA-256 {found}, not {choice.sha256}; {action}")
    return found


def _check_lights(document: Document, recipe: Recipe, calibration: Calibration) -> None:
    for index, light in enumerate(recipe.lights):
        _check_calibrated(document, index, light, calibration)
    directional = recipe.directional_lights
    channels = [light.channel for light in directional]
    names = tuple(light.name for light in directional)
    try:
        check_lights(DirectionalLights(names, calibration.directions(channels), calibration.intensities(channels)))
    except LightGeometryError as error:
        raise _problem(document, ("lights",), f"{error} (channels {channels} of {recipe.calibration})") from error


def _field(
    document: Document, recipe: Recipe, calibration: Calibration, record: Path, kept: Path | None
) -> FieldMaps | None:
    try:
        maps = load_field(calibration, record, kept)
        if maps is not None:
            maps.flat_field([light.channel for light in recipe.directional_lights], 1, (1, 1))
    except FlatFieldFileError as error:
        raise _problem(document, ("calibration",), str(error)) from error
    return maps


def _view_references(document: Document, recipe: Recipe, kept: Path | None) -> ViewReferences | None:
    choice = recipe.view_reference
    if choice is None:
        return None
    try:
        return read_references(kept or document.path.parent / choice.file, choice.sha256)
    except ViewReferenceError as error:
        raise _problem(document, ("view_reference",), str(error)) from error


def _part_references(document: Document, recipe: Recipe, kept: Path | None) -> PartReferences | None:
    choice = recipe.part_reference
    if choice is None:
        return None
    try:
        return read_part_references(kept or document.path.parent / choice.file, choice.sha256)
    except PartReferenceError as error:
        raise _problem(document, ("part_reference",), str(error)) from error


def _check_calibrated(document: Document, index: int, light: LightChoice, calibration: Calibration) -> None:
    try:
        kind = calibration.light(light.channel).kind
    except KeyError as error:
        raise _problem(document, ("lights", index, "channel"), str(error.args[0])) from error
    if kind != light.kind:
        text = f"{light.name!r} is {light.kind} here, but channel {light.channel} is calibrated as {kind}"
        raise _problem(document, ("lights", index, "kind"), text)


def _problem(document: Document, at: FieldPath, text: str) -> DocumentError:
    return DocumentError(document.path, (f"{document.where(at)}: {field_name(at)}: {text}",))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
