"""What a check found out about one thing, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, whether it is as it should be, and what to do if it is not."""

    what: str
    ok: bool
    found: str
    action: str = ""
    details: dict[str, object] = field(default_factory=dict)  # words -> text, number or tuple of texts

    def as_text(self) -> str:
        """The finding, then a line for each detail, then the action if the finding is bad."""
        lines = [f"{'ok     ' if self.ok else 'MISSING'} {self.what}: {self.found}"]
        lines += [f"{name}: {_shown(value)}" for name, value in self.details.items()]
        lines += [self.action] if self.action and not self.ok else []
        return "\n        ".join(lines)


def _shown(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple | list) else str(value)
