"""A plant's own driver comes as a package with an entry point; a broken one harms only itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.errors import FeatureMissing
from drivers.registry import DriverUnavailable, driver_kind, driver_names, foreign_drivers
from station.commands.check.rig import check_rig
from station.documents.errors import DocumentError
from station.rig.devices import open_lights
from station.rig.file import RigFile, load_rig

MODULE = """
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.settings import Channels, DriverSettings, Positive


class Settings(DriverSettings):
    channels: Channels
    warm_up_s: Positive = 1.0


class Lamps:
    def __init__(self, settings):
        self.channels = settings.channels
        self.identity = DeviceIdentity("Acme", "Lamp", "7", f"warm up {settings.warm_up_s} s")

    def on(self, channel, brightness): ...
    def off(self): ...
    def check(self): ...
    def close(self): ...


DRIVER = DriverKind(Settings, Lamps, "driver: acme")
"""
RIG = """\
name: cell
simulated: false
camera: {producer: simcam}
arm:
  port: /dev/gantry
  axes:
    - {name: x_mm, machine_axis: X, minimum: -1, maximum: 1}
    - {name: y_mm, machine_axis: Y, minimum: -1, maximum: 1}
    - {name: z_mm, machine_axis: Z, minimum: -1, maximum: 1}
    - {name: tilt_deg, machine_axis: A, minimum: -1, maximum: 1}
    - {name: pan_deg, machine_axis: B, minimum: -1, maximum: 1}
lights:
  driver: acme
  channels: [1, 2]
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Packages as pip would leave them: a module and its dist-info, on the path."""
    modules: list[str] = []

    def put(package: str, text: str, name: str = "acme", group: str = "facet.lights") -> None:
        site = tmp_path / "site"
        info = site / f"{package}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{package}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {package}:DRIVER\n")
        modules.append(package)
        monkeypatch.syspath_prepend(str(site))

    yield put
    for module in modules:
        sys.modules.pop(module, None)


def rig_file(tmp_path: Path, text: str = RIG) -> Path:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    return path


def load(tmp_path: Path, text: str = RIG) -> RigFile:
    return load_rig(rig_file(tmp_path, text))


def test_a_foreign_driver_is_named_in_a_rig_file_and_opened(tmp_path: Path, install: Install) -> None:
    install("acme_lights", MODULE)
    assert set(driver_names("lights")) >= {"acme", "gardasoft", "ccs"}
    assert [source.package for source in foreign_drivers("lights")] == ["acme_lights 1.2"]
    lights = open_lights(load(tmp_path, RIG + "  warm_up_s: 2.5\n"))
    assert lights.channels == (1, 2)
    assert lights.identity.firmware == "warm up 2.5 s"


def test_a_driver_without_what_its_protocol_promises_is_refused_when_opened(tmp_path: Path, install: Install) -> None:
    install("acme_lights", MODULE.replace("    def check(self): ...\n", ""))
    with pytest.raises(FeatureMissing, match=r"driver 'acme' has no check: see drivers/protocols\.py"):
        open_lights(load(tmp_path))


def test_its_settings_are_checked_as_ours_are(tmp_path: Path, install: Install) -> None:
    install("acme_lights", MODULE)
    with pytest.raises(DocumentError, match=r"rig.yaml:15:3: lights.warmup_s: unknown key .* did you mean 'warm_up_s'"):
        load(tmp_path, RIG + "  warmup_s: 2.5\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise RuntimeError('licence expired')", "RuntimeError: licence expired"),
        ("DRIVER = 7", "acme_lights:DRIVER is a int, not a DriverKind"),
        ("", "AttributeError"),
        (MODULE.replace("(DriverSettings)", "(__import__('pydantic').BaseModel)"), "accept unknown keys"),
    ],
)
def test_a_broken_package_is_named_and_the_others_work(
    tmp_path: Path, install: Install, text: str, expected: str
) -> None:
    install("acme_lights", text)
    with pytest.raises(DocumentError) as caught:
        load(tmp_path)
    assert "rig.yaml:13:3: lights.driver: driver 'acme' of package acme_lights 1.2: cannot be used" in str(caught.value)
    assert expected in str(caught.value)
    assert driver_kind("lights", "gardasoft").example.startswith("driver: gardasoft")
    assert load(tmp_path, RIG.replace("  driver: acme\n", "  port: x\n")).driver_of("lights") == "gardasoft"


def test_a_name_that_two_packages_offer_is_refused(tmp_path: Path, install: Install) -> None:
    install("acme_lights", MODULE)
    install("other_lights", MODULE)
    with pytest.raises(DocumentError, match=r"offered by (acme|other)_lights 1.2 and (acme|other)_lights 1.2"):
        load(tmp_path)


def test_a_foreign_package_cannot_take_the_place_of_ours(tmp_path: Path, install: Install) -> None:
    install("acme_lights", MODULE, name="gardasoft")
    with pytest.raises(DocumentError, match=r"offered by facet-station and acme_lights 1\.2: uninstall one"):
        load(tmp_path, RIG.replace("acme", "gardasoft"))
    with pytest.raises(DriverUnavailable, match="there is no driver 'nobody' of arms; there are grbl"):
        driver_kind("arms", "nobody")


@pytest.mark.parametrize("move", [False, True])
def test_what_it_raises_besides_device_errors_is_a_finding_and_the_others_are_looked_at(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch, move: bool
) -> None:
    broken = MODULE.replace("def close(self): ...", "def close(self): raise OSError('handle is invalid')")
    broken = broken.replace("def off(self): ...", "def off(self): raise ValueError('no such lamp')")
    install("acme_lights", broken)
    monkeypatch.setattr("station.commands.check.rig.open_arm", unplugged)
    monkeypatch.setattr("station.commands.check.rig.open_camera", unplugged)
    found = {finding.what.split()[0]: finding for finding in check_rig(rig_file(tmp_path), move=move) if not finding.ok}
    assert found["arm"].found == found["camera"].found == "OSError: no such handle"
    closing = found["closing" if move else "lights"]
    assert closing.found == "OSError: handle is invalid"
    if move:
        assert found["lights"].found == "ValueError: no such lamp"


def unplugged(_file: RigFile) -> object:
    raise OSError("no such handle")


@pytest.mark.parametrize("group", ["cameras", "arms", "lights"])
def test_every_built_in_driver_loads_and_its_example_fits(group: str) -> None:
    from station.documents.document import parse_document

    for name in driver_names(group):
        kind = driver_kind(group, name)
        document = parse_document(Path(f"{name}.yaml"), kind.example)
        assert document.data.pop("driver") == name
        assert document.validated(kind.settings)
