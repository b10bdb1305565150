"""Figures of the house: rooms, arrows, floors and circles of a package; sizes of files and functions; docstrings.

    python scripts/figures.py            the four packages
    python scripts/figures.py station    one of them, and the rooms inside it

A room is a folder of a package, or a file beside its folders; an arrow is an import between two rooms.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("station", "drivers", "calibration", "models")
LONG_FILE, LONG_FUNCTION = 300, 45  # lines; longer ones say why in their docstring

Graph = dict[str, set[str]]


def main(arguments: Sequence[str]) -> None:
    for package in arguments or PACKAGES:
        print_rooms(package)
        print_sizes(Path(package))
    print_sizes(Path("tests"))


def print_rooms(package: str) -> None:
    """Rooms, arrows and floors of one package, and its circles between modules."""
    paths = dict(_modules(package))
    modules = {name: set(_imported(path, paths)) for name, path in paths.items()}
    rooms = _between_rooms(modules, package)
    arrows = sum(len(targets) for targets in rooms.values())
    print(f"{package}: {len(rooms)} rooms, {arrows} arrows, {_floors(rooms)} floors, circles: {_circle(modules)}")


def print_sizes(folder: Path) -> None:
    """Lines, the longest files and functions, and the share of docstring lines."""
    files = sorted(folder.rglob("*.py"))
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    lines = sum(text.count("\n") for text in texts.values())
    trees = {path: ast.parse(text) for path, text in texts.items()}
    docstrings = sum(_docstring_lines(tree) for tree in trees.values())
    functions = sorted(n for tree in trees.values() for n, _ in _functions(tree))
    middle = functions[len(functions) // 2] if functions else 0
    print(
        f"  {folder}: {len(files)} files, {lines} lines, docstrings {docstrings / max(lines, 1):.1%}, "
        f"functions median {middle}, longest {functions[-1] if functions else 0} lines"
    )
    for path, text in texts.items():
        if text.count("\n") > LONG_FILE:
            print(f"    file of {text.count(chr(10))} lines: {path}")
    for path, tree in trees.items():
        for length, name in _functions(tree):
            if length > LONG_FUNCTION:
                print(f"    function of {length} lines: {path} {name}")


def _modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(Path(package).rglob("*.py")):
        yield ".".join(path.with_suffix("").parts).removesuffix(".__init__"), path


def _imported(path: Path, modules: Container[str]) -> Iterator[str]:
    """Modules that a file imports, at the top, inside functions and for types alike."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _between_rooms(modules: Graph, package: str) -> Graph:
    rooms: Graph = {}
    for name, targets in modules.items():
        room = _room(name, package)
        found = {_room(target, package) for target in targets if f"{target}.".startswith(f"{package}.")}
        rooms.setdefault(room, set()).update(found - {room, ""})
    rooms.pop("", None)
    return rooms


def _room(module: str, package: str) -> str:
    return module.removeprefix(package).lstrip(".").split(".")[0]


def _floors(rooms: Graph) -> str:
    """How many rooms stand on each other at the most."""
    heights: dict[str, int] = {}
    try:
        for room in TopologicalSorter(rooms).static_order():
            heights[room] = 1 + max((heights[below] for below in rooms.get(room, ())), default=0)
    except CycleError:
        return "no"
    return str(max(heights.values(), default=0))


def _circle(modules: Graph) -> str:
    """The first circle of modules, or `none`."""
    known = {name: targets & modules.keys() - {name} for name, targets in modules.items()}
    try:
        list(TopologicalSorter(known).static_order())
    except CycleError as error:
        return " -> ".join(error.args[1])
    return "none"


def _functions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.name


def _docstring_lines(tree: ast.AST) -> int:
    total = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                total += (first.end_lineno or first.lineno) - first.lineno + 1
    return total


if __name__ == "__main__":
    main(sys.argv[1:])
