"""One view small: its picture, its verdict, and its score against its limit."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QAbstractButton, QSizePolicy

from station.console.banner import BannerKind
from station.console.widgets import theme
from station.console.widgets.symbols import draw_symbol
from station.inspection.result import Verdict, ViewResult
from station.inspection.score_text import score_text
from station.report.heat_map import LIMIT_POSITION

_HEAD_PX = 36
_FOOT_PX = 46
_EDGE_PX = 4
_PAST_OPACITY = 0.45


class ViewTile(QAbstractButton):
    """A button with a picture. Checked means that this view is the one shown large.

    The verdict stands as a word with a symbol in the corner, so it can be read without colour.
    """

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view
        self.result: ViewResult | None = None
        self.is_deciding = False
        self.note = ""  # instead of a picture
        self._thumbnail: QImage | None = None
        self._is_past = False
        self.setObjectName(f"tile_{view}")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._describe()

    def sizeHint(self) -> QSize:
        return QSize(340, 300)

    def minimumSizeHint(self) -> QSize:
        return QSize(150, 120)

    def show_result(self, result: ViewResult | None, note: str, is_deciding: bool) -> None:
        """Show verdict and score, or none yet; `note` stands where a picture is missing."""
        self.result, self.note, self.is_deciding = result, note, is_deciding
        self._describe()
        self.update()

    def show_thumbnail(self, thumbnail: QImage | None) -> None:
        """Show the picture, scaled to the tile; None leaves the note."""
        self._thumbnail = thumbnail
        self.update()

    def show_past(self, is_past: bool) -> None:
        """Pale while something else has begun than the part that the tile is about."""
        if is_past != self._is_past:
            self._is_past = is_past
            self.update()

    @property
    def has_thumbnail(self) -> bool:
        return self._thumbnail is not None

    def _describe(self) -> None:
        """Say in words what the tile shows, for screen readers."""
        if self.result is None:
            self.setAccessibleName(f"View {self.view}: {self.note or 'nothing yet'}")
        else:
            worst = ", highest against its limit" if self.is_deciding else ""
            self.setAccessibleName(f"View {self.view}: {self.result.verdict.value}, {self.score_text()}{worst}")

    def score_text(self) -> str:
        """The figures under the picture."""
        if self.result is None:
            return ""
        score = self.result.pred_score
        if score is None:
            return f"no score   limit {score_text(self.result.limit)}"
        return f"score {score_text(score)}   limit {score_text(self.result.limit)}"

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.PANEL)
        painter.setOpacity(_PAST_OPACITY if self._is_past else 1.0)
        self._draw_head(painter)
        self._draw_picture(painter)
        self._draw_foot(painter)
        self._draw_edge(painter)
        painter.end()

    def _draw_head(self, painter: QPainter) -> None:
        painter.setPen(theme.INK)
        painter.setFont(theme.font(19, bold=True))
        painter.drawText(QRectF(12, _EDGE_PX, self.width() - 24, _HEAD_PX), Qt.AlignmentFlag.AlignVCenter, self.view)
        if self.result is None:
            return
        kind = BannerKind(self.result.verdict.value)
        fill, ink, _ = theme.BANNER_COLOURS[kind]
        painter.setFont(theme.font(15, bold=True))
        width = painter.fontMetrics().horizontalAdvance(kind.value) + 40
        chip = QRectF(self.width() - width - 10, _EDGE_PX + 5, width, _HEAD_PX - 10)
        painter.fillRect(chip, fill)
        draw_symbol(painter, kind, QRectF(chip.x() + 6, chip.y() + 4, 18, 18), ink)
        painter.setPen(ink)
        painter.drawText(chip.adjusted(30, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, kind.value)

    def _draw_picture(self, painter: QPainter) -> None:
        room = QRectF(8, _EDGE_PX + _HEAD_PX, self.width() - 16, self.height() - _HEAD_PX - _FOOT_PX - 2 * _EDGE_PX)
        if self._thumbnail is None:
            painter.fillRect(room, QBrush(theme.LINE, Qt.BrushStyle.BDiagPattern))
            self._draw_note(painter, room)
            return
        scale = min(room.width() / self._thumbnail.width(), room.height() / self._thumbnail.height())
        width, height = self._thumbnail.width() * scale, self._thumbnail.height() * scale
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        target = QRectF(room.center().x() - width / 2, room.center().y() - height / 2, width, height)
        painter.drawImage(target, self._thumbnail)

    def _draw_note(self, painter: QPainter, room: QRectF) -> None:
        if not self.note:
            return
        painter.setFont(theme.font(17))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        box = painter.boundingRect(room.adjusted(16, 8, -16, -8), flags, self.note)
        painter.fillRect(box.adjusted(-8, -4, 8, 4), theme.WHITE)
        painter.setPen(theme.INK)
        painter.drawText(box, flags, self.note)

    def _draw_foot(self, painter: QPainter) -> None:
        """Score and limit as figures, and a bar that is full at twice the limit, red where the view FAILs."""
        top = self.height() - _FOOT_PX - _EDGE_PX
        painter.setFont(theme.font(15))
        painter.setPen(theme.INK)
        painter.drawText(QRectF(12, top, self.width() - 24, 22), Qt.AlignmentFlag.AlignVCenter, self.score_text())
        bar = QRectF(12, top + 28, self.width() - 24, 10)
        painter.fillRect(bar, theme.WHITE)
        score = None if self.result is None else self.result.pred_score
        if self.result is not None and score is not None and self.result.limit > 0:
            share = min(max(score / self.result.limit * LIMIT_POSITION, 0.0), 1.0)
            over = self.result.verdict is Verdict.FAIL
            filled = QRectF(bar.x(), bar.y(), bar.width() * share, bar.height())
            painter.fillRect(filled, theme.RED if over else theme.FAINT)
        self._draw_limit_mark(painter, bar)

    @staticmethod
    def _draw_limit_mark(painter: QPainter, bar: QRectF) -> None:
        x = bar.x() + bar.width() * LIMIT_POSITION
        painter.fillRect(QRectF(x - 1.5, bar.y() - 4, 3, bar.height() + 8), theme.INK)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.INK)
        painter.drawPolygon(QPolygonF([QPointF(x - 6, bar.y() - 6), QPointF(x + 6, bar.y() - 6), QPointF(x, bar.y())]))

    def _draw_edge(self, painter: QPainter) -> None:
        """A thick edge for the deciding view, and a blue one for the view that is selected or has the focus."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        outer = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        if self.is_deciding:
            is_fail = self.result is not None and self.result.verdict is Verdict.FAIL
            painter.setPen(QPen(theme.RED if is_fail else theme.INK, _EDGE_PX))
            painter.drawRect(outer)
            outer.adjust(4, 4, -4, -4)
        if self.isChecked() or self.hasFocus():
            painter.setPen(QPen(theme.SELECTED, 4))
            painter.drawRect(outer)
        elif not self.is_deciding:
            painter.setPen(QPen(theme.LINE, 1))
            painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
