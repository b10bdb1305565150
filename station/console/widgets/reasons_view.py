"""Every finding about one part in full, for whoever wants more than the one cause that the banner names."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QPlainTextEdit, QSizePolicy

from station.engine.events import Fault
from station.inspection.causes import causes_of
from station.inspection.result import Inspection


class ReasonsView(QPlainTextEdit):
    """Plain text that scrolls: causes in the banner's order, and below each what was found in which view."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("reasonsView")
        self.setAccessibleName("All findings about the part")
        self.setReadOnly(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keyboard belongs to the scanner
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)

    def show_inspection(self, inspection: Inspection | None, fault: Fault | None = None) -> None:
        """List the fault that stands and the findings about the part; without a part that is said."""
        text = "No part has been judged." if inspection is None else reasons_text(inspection)
        if fault is not None:
            text = f"Fault: {fault.text}\nWhat to do: {fault.action}\n\n{text}"
        if text != self.toPlainText():
            self.setPlainText(text)


def reasons_text(inspection: Inspection) -> str:
    """Verdict, then each cause with its remedy and its figures per view, then the second looks."""
    when = inspection.creation_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lines = [f"Part {inspection.part_id}: {inspection.verdict.value}, {when}, inspection {inspection.inspection_id}"]
    for number, cause in enumerate(causes_of(inspection.reasons), start=1):
        lines += ["", f"{number}. {cause.sentence(len(inspection.expected_views))}"]
        lines += [f"    What to do: {cause.remedy}"] if cause.remedy else []
        if len(cause.reasons) > 1:
            lines += [f"    {f'{reason.view}: ' if reason.view else ''}{reason.text}" for reason in cause.reasons]
    if not inspection.reasons:
        lines += ["", "Nothing was found that a person has to see to."]
    lines += ["", *(f"Second look, {look}" for look in inspection.re_looks)] if inspection.re_looks else []
    return "\n".join(lines)
