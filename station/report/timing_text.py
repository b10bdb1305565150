"""Where the time of one inspection went, in words: what its verdict waited for, stage by stage."""

from __future__ import annotations

from station.inspection.timeline import Timeline, by_stage


def timing_lines(timeline: Timeline) -> list[str]:
    """The critical path by stage, the longest first, in seconds and share; these do add up to the whole.

    Empty for a timeline without a verdict, as of a record of an earlier version.
    """
    path = by_stage(timeline.critical_path())
    if timeline.judged_ms is None or not path:
        return []
    whole_ms = max(timeline.judged_ms, 1e-9)
    width = max(map(len, path))
    lines = [f"{whole_ms / 1e3:.2f} s from start to verdict; it waited for"]
    lines += [f"  {name:<{width}} {ms / 1e3:8.3f} s {ms / whole_ms:6.1%}" for name, ms in path.items()]
    after_ms = timeline.verdict_after_exposure_ms
    if after_ms is not None:
        lines.append(f"verdict {after_ms / 1e3:.3f} s after the end of the last exposure")
    return lines


def timing_document(timeline: Timeline) -> dict[str, object]:
    """The same as plain data, in milliseconds, with every span."""
    return {
        "judged_ms": timeline.judged_ms,
        "exposed_ms": timeline.exposed_ms,
        "verdict_after_exposure_ms": timeline.verdict_after_exposure_ms,
        "critical_path_ms": by_stage(timeline.critical_path()),
        "spans": [
            {"lane": s.lane, "stage": s.stage, "view": s.view, "begin_ms": s.begin_ms, "end_ms": s.end_ms}
            for s in timeline.spans
        ],
    }
