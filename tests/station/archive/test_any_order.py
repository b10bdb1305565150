"""Whatever the order of record, word, pin, thinning, kill and lost data base: the archive opens, with every verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_records import make_frames, make_inspection

from station.archive import Archive, thinning
from station.archive.ids import first_id_of
from station.archive.retention import FILE
from station.archive.store import DATABASE
from station.archive.words import give_word
from station.inspection.result import Verdict
from station.inspection.words import Word

RULE = "passes: {kept_days: 1, kept_latest: 1, then_one_in: 3}\nwatermarks: {thin_below_percent: 0}\n"
STEPS = ("_remove", "write_atomic", "sync_folder")
numbers = iter(range(10**6))

ACTION = st.one_of(
    st.tuples(st.just("record"), st.sampled_from([Verdict.PASS, Verdict.PASS, Verdict.FAIL])),
    st.tuples(st.just("word"), st.integers(0, 9)),
    st.tuples(st.just("pin"), st.integers(0, 9)),
    st.tuples(st.just("thin"), st.none()),
    st.tuples(st.just("killed while thinning"), st.tuples(st.sampled_from(STEPS), st.integers(0, 5))),
    st.tuples(st.just("lost data base"), st.none()),
)


class Killed(BaseException):
    """What a kill is to the code: it never comes back."""


class World:
    """One archive, and what has to be true of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        (root / FILE).write_text(RULE)
        self.verdicts: dict[str, Verdict] = {}
        self.must_keep: set[str] = set()

    def apply(self, what: str, given: Any) -> None:
        """Do it, as a process of its own would: the archive is opened and closed around it."""
        if what == "lost data base":
            for path in self.root.glob("archive.sqlite*"):
                path.unlink()
        elif what == "word" and self.verdicts:
            self._needed(given, lambda name: give_word(self.root / DATABASE, name, Word.CONFIRMED, "Ada", "seen"))
        elif what == "pin" and self.verdicts:
            self._needed(given, lambda name: self._opened(lambda archive: archive.pin([name], "reference set of r")))
        elif what == "record":
            self._opened(lambda archive: self._record(archive, given))
        elif what == "thin":
            self._opened(self._thin)
        elif what == "killed while thinning":
            self._killed(*given)

    def check(self) -> None:
        """The promise."""
        with Archive.open(self.root) as archive:
            rows = {row.inspection_id: row for row in archive.history(1000)}
            assert {name: row.verdict for name, row in rows.items()} == self.verdicts
            for name in self.verdicts:
                assert archive.verify(name) == []
                assert archive.load_figures(name).verdict is self.verdicts[name]
                if name in self.must_keep or self.verdicts[name] is Verdict.FAIL:
                    assert len(archive.load_frames(name)) == 2

    def _record(self, archive: Archive, verdict: Verdict) -> None:
        when = datetime.now(UTC) - timedelta(days=5)
        name = f"{first_id_of(when)[:10]}{next(numbers):016d}"
        self.verdicts[name] = verdict
        archive.record(
            make_inspection(inspection_id=name, verdict=verdict, creation_time=when, views=()), make_frames()
        )

    def _needed(self, number: int, needs: Callable[[str], object]) -> None:
        """A word or a pin on one of the parts; where its frames are still there, they have to stay."""
        name = sorted(self.verdicts)[number % len(self.verdicts)]
        with Archive.open(self.root) as archive:
            was_thinned = archive.history(1000)[_place(archive, name)].is_thinned
        needs(name)
        if not was_thinned:
            self.must_keep.add(name)

    def _thin(self, archive: Archive) -> None:
        assert archive.housekeeping.thin(is_disk_full=lambda: False).problems == []

    def _killed(self, where: str, count: int) -> None:
        """At that step of the thinning; what a dead process leaves is a lock that is free and no word of order."""
        left = count
        real = getattr(thinning, where)

        def dying(*given: Any) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            real(*given)

        archive = Archive.open(self.root)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(thinning, where, dying)
            try:
                self._thin(archive)
            except Killed:
                archive._engine.dispose()  # noqa: SLF001 - the process is dead: nothing is closed in order
                assert archive._lock is not None  # noqa: SLF001
                archive._lock.release()  # noqa: SLF001
                return
        archive.close()

    def _opened(self, act: Callable[[Archive], object]) -> None:
        with Archive.open(self.root) as archive:
            act(archive)


def _place(archive: Archive, name: str) -> int:
    return [row.inspection_id for row in archive.history(1000)].index(name)


@settings(max_examples=7, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(ACTION, min_size=4, max_size=9))
def test_in_any_order_the_archive_opens_and_each_verdict_is_there(actions: list[tuple[str, Any]]) -> None:
    """Issue 12, point 7."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACET_SPOOL", f"{folder}/spool")
        world = World(Path(folder) / "archive")
        world.apply("record", Verdict.PASS)
        world.apply("record", Verdict.FAIL)
        for what, asked in actions:
            world.apply(what, asked)
        world.check()
        world.apply("thin", None)
        world.check()
