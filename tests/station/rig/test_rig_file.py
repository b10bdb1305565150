"""A rig file says which devices there are; a wrong one is refused before a port is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.documents.errors import DocumentError
from station.rig.file import load_rig, save_rig

RIG = """\
name: cell-7
simulated: false
camera:
  producer: /opt/maker/camera.cti
  serial_number: '00123'
  environment: {MAKER_LOG: '0'}
arm:
  port: /dev/serial/by-id/usb-gantry
  tolerance_mm: 0.02
  axes:
    - {name: x_mm, machine_axis: X, minimum: -220, maximum: 220, offset: 220}
    - {name: y_mm, machine_axis: Y, minimum: -220, maximum: 220}
    - {name: z_mm, machine_axis: Z, minimum: 40, maximum: 320}
    - {name: tilt_deg, machine_axis: A, minimum: 0, maximum: 60}
    - {name: pan_deg, machine_axis: B, minimum: -200, maximum: 200}
lights:
  port: /dev/serial/by-id/usb-lights
  channels: [1, 2, 3, 9]
  settle_s: 0.01
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rig.yaml"
    path.write_text(RIG)
    return path


def test_a_rig_file_loads_typed(path: Path) -> None:
    rig = load_rig(path)
    assert (rig.name, rig.simulated, rig.camera.serial_number) == ("cell-7", False, "00123")
    assert rig.camera.environment == {"MAKER_LOG": "0"}
    assert [(axis.name, axis.machine_axis, axis.offset) for axis in rig.arm.axes][:2] == [
        ("x_mm", "X", 220.0),
        ("y_mm", "Y", 0.0),
    ]
    assert rig.lights.channels == (1, 2, 3, 9)


def test_a_saved_rig_reads_back_equal(path: Path, tmp_path: Path) -> None:
    rig = load_rig(path)
    save_rig(tmp_path / "copy.yaml", rig)
    assert load_rig(tmp_path / "copy.yaml") == rig


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("simulated: false", "simulated: no", "rig.yaml:2:1: simulated: found 'no'"),
        ("serial_number: '00123'", "serial_number: 123", ":5:3: camera.serial_number: expected text, found 123"),
        ("  tolerance_mm: 0.02", "  tolerance: 0.02", ":9:3: arm.tolerance: unknown key 'tolerance'; did you mean"),
        ("settle_s: 0.01", "settle_s: 10 ms", ":19:3: lights.settle_s: expected a number in seconds, found '10 ms'"),
        ("minimum: 40, maximum: 320", "minimum: 320, maximum: 40", "arm.axes[2].minimum: 320.0 is not below"),
        ("machine_axis: Y", "machine_axis: X", "arm.axes[1].machine_axis: X already drives another axis"),
        ("name: y_mm", "name: x_mm", "arm.axes: the axis y_mm is missing"),
        ("name: y_mm", "name: y", "arm.axes[1].name: found 'y'; expected"),
        ("[1, 2, 3, 9]", "[1, 2, 2, 9]", "lights.channels[2]: channel 2 stands here twice"),
        ("[1, 2, 3, 9]", "[]", ":18:3: lights.channels: found a list of 0"),
        ("  port: /dev/serial/by-id/usb-lights", "  driver: gardasof\n  port: x", "did you mean 'gardasoft'?"),
    ],
)
def test_a_wrong_rig_file_names_line_and_field(path: Path, old: str, new: str, expected: str) -> None:
    assert old in RIG
    path.write_text(RIG.replace(old, new))
    with pytest.raises(DocumentError) as caught:
        load_rig(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
