"""Lamps that shine while they should be dark, told from the fixture in every frame.

A lamp that stays on shows in the frames of all the others. Light that seems to be another lamp's in one frame alone is
rather that frame's own lamp, shining from elsewhere, or crosstalk between two channels. It is either only where it is
there all over the fixture and explains what is otherwise in the frame. What a part lacks lets light through in one
place beside it, and that light may well look like another lamp's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from station.inspection.reasons import Reason, ReasonKind
from station.judge.fixture_lights import LitFrame
from station.judge.lamp_turns import LEAST_EXPLAINED
from station.judge.lamp_turns import REMEDY as LAMP_REMEDY

COUNTS_TOO = 0.3  # of the strongest stray light
MOST_OF_A_MOVED_LAMP = 0.25  # of another lamp's light: so much as if it shone too; beyond it, lamps were exchanged
LEAST_LOOKED_INTO = 0.005  # of a lamp's full light: good parts seem to have less
# Of a share that is measured with each sixth of the fixture left out in turn: of 337 lamps that were added at 3 or 5 %
# of their light, the least of six is 0.48 of the whole for all but 5. On 8 parts without a rib it is 0.28 at most
# (simulated).
LEAST_ALL_OVER = 0.4


@dataclass(frozen=True)
class Stray:
    """Light of a lamp that was not commanded: its share of the lamp's full light, and in which lamp's frame.

    `elsewhere` is what it gives in other lamps' frames: the second least of them. `all_over` is the share that is left
    whichever part of the fixture is not looked at, and `explained` the share of the frame's squared misfit that goes
    with it; both as of one that is there, where the share is small.
    """

    share: float
    frame: str
    elsewhere: float
    all_over: float
    explained: float = 1.0

    @property
    def is_in_one_frame(self) -> bool:
        """Whether it seems to shine beside one lamp only: then rather that lamp shines from elsewhere."""
        return self.elsewhere < COUNTS_TOO * self.share and self.share < MOST_OF_A_MOVED_LAMP

    @property
    def is_the_part_s(self) -> bool:
        """Whether it is rather light that the part lets through or throws back in one place."""
        is_local = self.all_over < LEAST_ALL_OVER * self.share
        return self.is_in_one_frame and (is_local or self.explained < LEAST_EXPLAINED)


def strays_of(lit: Mapping[str, LitFrame], shares: Mapping[str, Mapping[str, float]]) -> dict[str, Stray]:
    """Per lamp, the most that it gave in a frame that was not its own; `shares` are those of each frame of `lit`."""
    per_lamp: dict[str, list[tuple[float, str]]] = {}
    for frame, of_frame in shares.items():
        for lamp, share in of_frame.items():
            if lamp != frame:
                per_lamp.setdefault(lamp, []).append((share, frame))
    strays = {}
    for lamp, found in per_lamp.items():
        share, frame = max(found)
        is_small = share < LEAST_LOOKED_INTO
        strays[lamp] = Stray(
            share,
            frame,
            elsewhere=sorted(found)[min(1, len(found) - 1)][0],
            all_over=share if is_small else lit[frame].share_all_over(lamp),
            explained=1.0 if is_small else lit[frame].explained_by(lamp),
        )
    return strays


def figures_of_strays(strays: Mapping[str, Stray]) -> dict[str, float]:
    """The figures that are archived with the view's quality."""
    found = {f"stray_light_{name}": stray.share for name, stray in strays.items()}
    for name, stray in strays.items():
        if stray.share >= LEAST_LOOKED_INTO:
            found |= {f"stray_all_over_{name}": stray.all_over, f"stray_explained_{name}": stray.explained}
    return found


def stray_reasons(strays: Mapping[str, Stray], tolerance: float) -> Iterator[Reason]:
    """The lamp that gives most, and those that give about as much: a sum may stand for a lamp without reference."""
    over = {
        name: stray for name, stray in strays.items() if not stray.share <= tolerance and not stray.is_the_part_s
    }  # fmt: skip
    most = max((stray.share for stray in over.values()), default=0.0)
    for name, stray in over.items():
        if stray.share < COUNTS_TOO * most:
            continue
        if stray.is_in_one_frame:
            text = (
                f"light {stray.frame!r} lights the fixture otherwise than in its reference, as if {stray.share:.1%} of "
                f"light {name!r} shone beside it, in this frame alone (tolerance {tolerance:.1%})"
            )
            remedy = f"{LAMP_REMEDY}; if it stands right, look for crosstalk between the two channels"
            yield Reason(ReasonKind.LIGHT_MOVED, text, remedy, light=stray.frame)
        else:
            text = (
                f"light {name!r} shines at {stray.share:.1%} of its full light while {stray.frame!r} is on "
                f"(tolerance {tolerance:.1%})"
            )
            remedy = "look for a lamp that stays on, beside it too; check the controller's channels and cables"
            yield Reason(ReasonKind.LIGHT_STUCK_ON, text, remedy, light=name)
