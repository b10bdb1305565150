"""`docs/rig.md` shows what works: every YAML block in it loads, and each driver's example is the driver's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.registry import BUILT_IN, Group, driver_kind
from drivers.simulated.scene.meshes.settings import MeshSettings
from station.documents.document import parse_document
from station.rig.file import GROUPS, load_rig
from station.rig.inference import InferenceChoice

DOCUMENT = Path(__file__).parents[3] / "docs" / "rig.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
KINDS = [(group, name) for group in GROUPS.values() for name in BUILT_IN[group]]


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_every_yaml_block_loads(index: int, tmp_path: Path) -> None:
    text = BLOCKS[index]
    document = parse_document(Path("rig.md"), text)
    if "units" in document.data:
        assert document.validated(MeshSettings)
        return
    if text.startswith("name:"):
        (tmp_path / "rig.yaml").write_text(text, encoding="utf-8")
        assert not load_rig(tmp_path / "rig.yaml").simulated
        return
    if "inference" in document.data:
        assert InferenceChoice.model_validate(document.data["inference"])
        return
    name = document.data.pop("driver")
    group = next(group for group in GROUPS.values() if name in BUILT_IN[group])
    assert document.validated(driver_kind(group, name).settings)


@pytest.mark.parametrize(("group", "name"), KINDS)
def test_each_driver_has_its_own_example_there(group: Group, name: str) -> None:
    assert driver_kind(group, name).example.rstrip() in {block.rstrip() for block in BLOCKS}
