"""`station timing`: where the time of an archived inspection went, in words and as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import ArchiveOption, JsonOption
from station.commands.say import say


def timing(
    inspection_id: Annotated[str, typer.Argument(help="An archived inspection.")],
    archive: ArchiveOption,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Also draw a Gantt chart, as PNG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an archived inspection's verdict waited for, stage by stage; --out draws a Gantt chart."""
    from station.archive import Archive
    from station.errors import BadInput
    from station.report.gantt import write_gantt
    from station.report.timing_text import timing_document, timing_lines

    with Archive.open(archive, read_only=True) as store:
        timeline = store.load_timeline(inspection_id)
        about = store.load_figures(inspection_id)
    if not timeline.spans:
        text = f"inspection {inspection_id} was archived without its times: it is of an earlier version"
        raise BadInput(f"{text}; choose a later one (station history --archive {archive})")
    lines = timing_lines(timeline) or ["it ended without a verdict of its own; its stages are in the chart"]
    if out is not None:
        simulated = " (simulated)" if about.is_simulated else ""
        try:
            write_gantt(timeline, f"{inspection_id}  part {about.part_id}  {about.verdict.value}{simulated}", out)
        except OSError as error:
            raise BadInput(f"{out}: cannot be written: {error.strerror or error}; choose another --out") from error
        lines.append(f"chart: {out}")
    document = {"inspection_id": inspection_id, **timing_document(timeline), "chart": None if out is None else str(out)}
    say(document, as_json, "\n".join(lines))
