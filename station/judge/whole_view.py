"""Frames that are all there already, given to a judge as they would arrive one by one from the camera."""

from __future__ import annotations

from collections.abc import Iterable

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.inspection.result import ViewResult
from station.judge.part_judge import PartJudge
from station.judge.view_checks import missing_frames, refused_frame
from station.photometric_stereo.settings import PhotometricStereoError


def judged_view(judge: PartJudge, view: CapturedView, frames: Iterable[CapturedFrame]) -> ViewResult:
    """Add the view's `frames` to it and judge it; UNDECIDED where one is refused or missing. `begin_part` comes first.

    The same as `station/engine/judge_thread.py` does while the arm moves.
    """
    for captured in frames:
        view.add(captured)
        try:
            judge.take(captured)
        except PhotometricStereoError as error:
            return judge.undecided(view.name, refused_frame(error))
    if not view.is_complete:
        return judge.undecided(view.name, missing_frames(view))
    return judge.judge(view)
