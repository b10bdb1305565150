"""Writes measured values into a recipe file and leaves its comments and layout as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from station.documents.atomic import write_atomic
from station.documents.document import Document, dump_document, parse_document, read_document
from station.documents.errors import DocumentError
from station.documents.reader import FieldPath
from station.recipe.fields import (
    PartReferenceChoice,
    ProofTolerances,
    Recipe,
    ReferenceCamera,
    ReferenceLight,
    ViewReferenceChoice,
    WhiteBalance,
)
from station.recipe.releases import refuse_version

Levels = Mapping[str, Mapping[str, float]]
Edit = tuple[int, int, str]  # replace text[start:end]


def update_recipe_values(
    path: Path,
    *,
    limits: Mapping[str, float] | None = None,
    sha256: str | None = None,
    model_file: str | None = None,
    judges: Literal["both", "pictures"] | None = None,
    reference_levels: Levels | None = None,
    reference_lights: Mapping[str, ReferenceLight] | None = None,
    reference_camera: ReferenceCamera | None = None,
    calibration: tuple[str, str] | None = None,
    white_balance: WhiteBalance | None = None,
    view_reference: tuple[str, str] | None = None,
    part_reference: tuple[str, str] | None = None,
    proof_tolerances: ProofTolerances | None = None,
) -> None:
    """Set measured values in a recipe file; a value of None stays as it is. The file is replaced as a whole.

    `limits` are per view; `sha256`, `model_file` and `judges` are the model's; `reference_lights` and
    `reference_camera` are those with which the `reference_levels` were taken; `calibration`, `view_reference` and
    `part_reference` are a file and its SHA-256.

    Raises DocumentError: the file is no valid recipe, would not be one afterwards, or lacks a view named here;
    ReleaseError for a recipe that was released.
    """
    refuse_version(path)
    document = read_document(path)
    recipe = document.validated(Recipe)
    edits: list[Edit] = []
    if limits is not None:
        edits += [_limit_edit(document, recipe, view, limit) for view, limit in limits.items()]
    if sha256 is not None:
        edits.append(_hash_edit(document, sha256))
    if judges is not None and judges != recipe.model.judges:
        edits.append(_judges_edit(document, judges))
    if model_file is not None:
        edits.append(_replace(document, ("model", "file"), json.dumps(model_file, ensure_ascii=False)))
    if calibration is not None:
        edits += _calibration_edits(document, *calibration)
    edits += _table_edits(document, reference_levels, reference_lights, reference_camera, white_balance)
    for name, named in (("view_reference", view_reference), ("part_reference", part_reference)):
        if named is not None:
            edits.append(_table_edit(document, name, _file_rows(*named)))
    if proof_tolerances is not None:
        edits.append(_table_edit(document, "proof_tolerances", _tolerance_rows(proof_tolerances)))
    text = _edited(document.text, edits)
    changed = parse_document(path, text).validated(Recipe)
    _check_result(path, changed, limits, sha256, reference_levels)
    _check_tables(
        path,
        {
            "reference_lights": (changed.reference_lights, reference_lights and dict(reference_lights)),
            "reference_camera": (changed.reference_camera, reference_camera),
            "model.file": (changed.model.file, model_file),
            "model.judges": (changed.model.judges, judges),
            "calibration": ((changed.calibration, changed.calibration_sha256), calibration),
            "display.white_balance": (changed.display.white_balance, white_balance),
            "view_reference": (_named(changed.view_reference), view_reference),
            "proof_tolerances": (changed.proof_tolerances, proof_tolerances),
            "part_reference": (_named(changed.part_reference), part_reference),
        },
    )
    write_atomic(path, text.encode("utf-8"))


def _table_edits(
    document: Document,
    levels: Levels | None,
    lights: Mapping[str, ReferenceLight] | None,
    camera: ReferenceCamera | None,
    white_balance: WhiteBalance | None,
) -> list[Edit]:
    tables = {
        "reference_levels": _levels_rows(levels),
        "reference_lights": _lights_rows(lights),
        "reference_camera": _camera_rows(camera),
        "display": None if white_balance is None else {"white_balance": f"{{{_pairs(white_balance.model_dump())}}}"},
    }
    return [_table_edit(document, name, rows) for name, rows in tables.items() if rows is not None]


def _edited(text: str, edits: list[Edit]) -> str:
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _levels_rows(levels: Levels | None) -> dict[str, str] | None:
    return None if levels is None else {view: f"{{{_pairs(of_view)}}}" for view, of_view in levels.items()}


def _lights_rows(lights: Mapping[str, ReferenceLight] | None) -> dict[str, str] | None:
    return None if lights is None else {name: f"{{{_light_pairs(light)}}}" for name, light in lights.items()}


def _camera_rows(camera: ReferenceCamera | None) -> dict[str, str] | None:
    return None if camera is None else {name: _value(value) for name, value in camera.model_dump().items()}


def _tolerance_rows(tolerances: ProofTolerances) -> dict[str, str]:
    return {name: _number(value) for name, value in tolerances.model_dump().items()}


def _file_rows(file: str, sha256: str) -> dict[str, str]:
    return {"file": json.dumps(file, ensure_ascii=False), "sha256": f"'{sha256}'"}


def _named(choice: ViewReferenceChoice | PartReferenceChoice | None) -> tuple[str, str] | None:
    return None if choice is None else (choice.file, choice.sha256)


def _limit_edit(document: Document, recipe: Recipe, view: str, limit: float) -> Edit:
    names = [viewpoint.name for viewpoint in recipe.viewpoints]
    if view not in names:
        raise DocumentError(document.path, (f"{document.path}: no viewpoint {view!r}; there are {', '.join(names)}",))
    return _replace(document, ("viewpoints", names.index(view), "limit"), _number(limit))


def _hash_edit(document: Document, sha256: str) -> Edit:
    if ("model", "sha256") in document.spans:
        return _replace(document, ("model", "sha256"), f"'{sha256}'")
    return _beside_file(document, f"sha256: '{sha256}'")


def _judges_edit(document: Document, judges: str) -> Edit:
    if ("model", "judges") in document.spans:
        return _replace(document, ("model", "judges"), judges)
    return _beside_file(document, f"judges: {judges}")


def _beside_file(document: Document, text: str) -> Edit:
    """A further field of `model`, after its file."""
    file = document.spans["model", "file"]
    in_braces = document.text[document.spans["model",].start] == "{"
    separator = ", " if in_braces else f"\n{' ' * (file.column - 1)}"
    return (file.end, file.end, f"{separator}{text}")


def _calibration_edits(document: Document, file: str, sha256: str) -> list[Edit]:
    quoted = json.dumps(file, ensure_ascii=False)
    if ("calibration_sha256",) in document.spans:
        hash_edit = _replace(document, ("calibration_sha256",), f"'{sha256}'")
        return [_replace(document, ("calibration",), quoted), hash_edit]
    span = document.spans["calibration",]
    return [(span.start, span.end, f"{quoted}\ncalibration_sha256: '{sha256}'")]


def _table_edit(document: Document, table: str, rows: Mapping[str, str]) -> Edit:
    """One line per view or light, in braces."""
    lines = [f"  {name}: {content}" for name, content in rows.items()]
    block = "\n" + "\n".join(lines) if lines else " {}"
    span = document.spans.get((table,))
    if span is None:
        text = document.text
        return (len(text), len(text), f"{'' if text.endswith(chr(10)) else chr(10)}\n{table}:{block}\n")
    start = document.text.rindex(":", 0, span.start) + 1  # the value may begin on a later line than its key
    return (start, span.end, block)


def _replace(document: Document, at: FieldPath, text: str) -> Edit:
    span = document.spans[at]
    return (span.start, span.end, text)


def _pairs(levels: Mapping[str, float]) -> str:
    return ", ".join(f"{light}: {_number(level)}" for light, level in levels.items())


def _light_pairs(light: ReferenceLight) -> str:
    pairs = [f"relative_intensity: {_number(light.relative_intensity)}"]
    if light.plane_level_per_ms is not None:
        pairs.append(f"plane_level_per_ms: {_number(light.plane_level_per_ms)}")
    if light.direction is not None:
        pairs.append(f"direction: {_value(light.direction)}")
    use = {"exposure_us": light.exposure_us, "brightness": light.brightness, "gain_db": light.gain_db}
    pairs += [f"{name}: {_number(value)}" for name, value in use.items() if value is not None]
    return ", ".join(pairs)


def _value(value: float | tuple[float, ...]) -> str:
    return f"[{', '.join(map(_number, value))}]" if isinstance(value, tuple) else _number(value)


def _number(value: float) -> str:
    return dump_document(float(value)).split("\n")[0]


def _check_result(
    path: Path,
    changed: Recipe,
    limits: Mapping[str, float] | None,
    sha256: str | None,
    reference_levels: Levels | None,
) -> None:
    """What stands in the text now is what was asked for, whatever the layout was."""
    found_limits = {viewpoint.name: viewpoint.limit for viewpoint in changed.viewpoints}
    wrong = [view for view, limit in (limits or {}).items() if found_limits[view] != float(limit)]
    wrong += ["model.sha256"] if sha256 is not None and changed.model.sha256 != sha256 else []
    if reference_levels is not None and changed.reference_levels != {v: dict(of) for v, of in reference_levels.items()}:
        wrong.append("reference_levels")
    if wrong:
        raise _not_set(path, ", ".join(wrong))


def _check_tables(path: Path, tables: Mapping[str, tuple[object, object]]) -> None:
    """The same for what stands in tables of its own: name -> (found, wanted); None was not asked for."""
    for name, (found, wanted) in tables.items():
        if wanted is not None and found != wanted:
            raise _not_set(path, name)


def _not_set(path: Path, what: str) -> DocumentError:
    return DocumentError(path, (f"{path}: {what} could not be set in this layout (an alias?); write it plainly",))
