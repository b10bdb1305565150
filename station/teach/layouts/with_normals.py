"""The layouts that have normals: Real-IAD-D3 (one view) and the paper's Real-IAD-MVN (five).

Real-IAD-D3 as its published loaders read it (github.com/Real-IAD-D3/main, dataset.py and dataset2.py):

    CLASS/train|test/GOOD|KIND/rgb/PART/*L05*RGB*.jpg   ps/PART.jpg|png   gt/PART.png or gt/rgb/PART.png   xyz/*.tiff

The loaders pair files by the order of their names. That a file of ps or gt is called as the folder of its picture is
inferred: no list of the files is public. The point clouds in xyz are not read.

How the files of Real-IAD-MVN lie is not published. It is read as Real-IAD-D3 with one file for each view, and a folder
that differs says so in its `layout.yaml`:

    CLASS/train|test/good|KIND/rgb/PART/VIEW.png   nv/PART/VIEW.png (or ps/)   gt/PART/VIEW.png
"""

from __future__ import annotations

from pathlib import Path

from station.teach.layouts.patterns import Patterns, fits, own_patterns
from station.teach.layouts.patterns import read as read_patterns
from station.teach.layouts.placed import Placed
from station.teach.layouts.source import SourcePicture, SourceSet

D3, MVN = "real-iad-d3", "real-iad-mvn"
D3_VIEW = "top"
D3_PATTERNS = Patterns(
    picture=("{split}/{kind}/rgb/{part}/*L05*RGB*.*",),
    normal=("{split}/{kind}/ps/{part}.*", "{split}/{kind}/ps/{part}/*.*"),
    mask=("{split}/{kind}/gt/{part}.*", "{split}/{kind}/gt/rgb/{part}.*"),
)
MVN_PATTERNS = (
    Patterns(
        picture=("{split}/{kind}/rgb/{part}/{view}.*",),
        normal=("{split}/{kind}/nv/{part}/{view}.*", "{split}/{kind}/ps/{part}/{view}.*"),
        mask=("{split}/{kind}/gt/{part}/{view}.*",),
    ),
    Patterns(
        picture=("{split}/{kind}/{view}/rgb/{part}.*",),
        normal=("{split}/{kind}/{view}/nv/{part}.*", "{split}/{kind}/{view}/ps/{part}.*"),
        mask=("{split}/{kind}/{view}/gt/{part}.*",),
    ),
)
# The categories that the paper names; folders of Real-IAD-D3 write some of them with hyphens.
_CATEGORIES = """
    audio_jack_socket common_mode_filter connector_housing_female crimp_st_cable_mount_box dc_power_connector
    ethernet_connector ferrite_bead fork_crimp_terminal fuse_holder headphone_jack_socket humidity_sensor
    knob_cap lattice_block_plug lego_pin_connector_plate lego_propeller limit_switch miniature_lifting_motor
    power_jack purple_clay_pot telephone_spring_switch
"""
CATEGORIES = frozenset(_CATEGORIES.split())


def category(folder: Path) -> str:
    """The product's name: as the paper writes it where that differs in hyphens alone, else the folder's."""
    name = folder.resolve().name
    plain = name.replace("-", "_")
    return plain if plain in CATEGORIES else name


def is_d3(folder: Path) -> bool:
    """Whether `folder` looks like Real-IAD-D3 and has no patterns of its own."""
    return own_patterns(folder) is None and fits(folder, D3_PATTERNS)


def read_d3(folder: Path) -> SourceSet:
    """One view, called top. BadInput as `patterns.read`."""
    return read_patterns(folder, D3_PATTERNS, D3, category(folder), D3_VIEW)


def place_d3(_found: SourceSet, picture: SourcePicture) -> Placed:
    """Where the files of the one view go."""
    kind, part = _names(picture)
    return Placed(f"{kind}/rgb/{part}/{part}_L05_RGB{{ending}}", f"{kind}/ps/{part}{{ending}}", f"{kind}/gt/{part}.png")


def is_mvn(folder: Path) -> bool:
    """Whether pictures lie as `layout.yaml` says or, without one, as one of the known patterns says."""
    return _mvn_patterns(folder) is not None


def read_mvn(folder: Path) -> SourceSet:
    """All views. BadInput as `patterns.read`."""
    return read_patterns(folder, _mvn_patterns(folder) or MVN_PATTERNS[0], MVN, category(folder))


def place_mvn(_found: SourceSet, picture: SourcePicture) -> Placed:
    """Where the files of a view go."""
    kind, part = _names(picture)
    at = f"{part}/{picture.view}"
    return Placed(f"{kind}/rgb/{at}{{ending}}", f"{kind}/nv/{at}{{ending}}", f"{kind}/gt/{at}.png")


def _mvn_patterns(folder: Path) -> Patterns | None:
    own = own_patterns(folder)
    known = MVN_PATTERNS if own is None else (own,)
    return next((patterns for patterns in known if fits(folder, patterns)), None)


def _names(picture: SourcePicture) -> tuple[str, str]:
    """SPLIT/KIND, and the part's name without what `patterns.read` may have put before it."""
    split = "test" if picture.split == "test" else "train"
    return f"{split}/{picture.kind}", picture.part.removeprefix(f"{split}_{picture.kind}_")
