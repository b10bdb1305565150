"""One view large, with its title, the colour scale of its score map, and its controls."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from station.console.pictures import Mode, ViewPictures
from station.console.widgets import theme
from station.console.widgets.controls import touch_button
from station.console.widgets.fitted_text import FittedText
from station.console.widgets.picture_view import ZOOM_STEP, PictureView
from station.inspection.score_text import score_text
from station.report.heat_map import LIMIT_POSITION, SCALE_END, colour_bar

_TITLE_PX = 22  # one line


class ColourScale(QWidget):
    """The colours of the score map with their figures: 0, the limit, twice the limit.

    The scale belongs to the view's limit and not to the picture, so that equal colours mean equal scores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("colourScale")
        self.setAccessibleName("Colour scale of the score map")
        self._limit: float | None = None

    def sizeHint(self) -> QSize:
        return QSize(84, 200)

    def set_limit(self, limit: float | None) -> None:
        """The view's limit, in the score's unit; None draws nothing."""
        self._limit = limit
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        if self._limit is None:
            return
        top, height = 12, max(self.height() - 24, 8)
        bar = colour_bar(height, 24)
        image = QImage(bar.tobytes(), 24, height, 72, QImage.Format.Format_RGB888)
        painter = QPainter(self)
        painter.drawImage(0, top, image)
        painter.setPen(theme.INK)
        painter.setFont(theme.font(14))
        for position, text in (
            (0.0, "0"),
            (LIMIT_POSITION, f"{score_text(self._limit)}\nlimit"),
            (1.0, score_text(self._limit * SCALE_END)),
        ):
            y = top + (height - 1) * (1 - position)
            painter.drawText(QRectF(30, y - 20, 54, 40), Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()


class DetailView(QWidget):
    """The picture, its scale and its controls. The window places the controls, see `controls`."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("detail")
        self.picture = PictureView()
        self.scale_bar = ColourScale()
        self.title = FittedText("detailTitle", (16, 14))
        self.title.setFixedHeight(_TITLE_PX)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setObjectName("heatOpacity")
        self.opacity.setAccessibleName("Opacity of the score map, percent")
        self.opacity.setRange(0, 100)
        self.opacity.setValue(100)
        self.opacity.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.opacity.setMinimumHeight(theme.TOUCH_PX)
        self.opacity.setMinimumWidth(140)
        self.opacity.valueChanged.connect(self.picture.set_heat_opacity)
        self._lay_out()

    def controls(self) -> QHBoxLayout:
        """A row with opacity and zoom, to be placed where the window has room for touch targets."""
        controls = QHBoxLayout()
        caption = QLabel("map opacity")
        caption.setObjectName("caption")
        controls.addWidget(caption)
        controls.addWidget(self.opacity)
        for name, text, spoken, act in (
            ("zoomOut", "−", "Zoom out", lambda: self.picture.zoom(1 / ZOOM_STEP)),
            ("zoomIn", "+", "Zoom in", lambda: self.picture.zoom(ZOOM_STEP)),
            ("fit", "FIT  F5", "Show the whole picture", self.picture.fit),
        ):
            button = touch_button(name, text, spoken)
            button.setFixedHeight(theme.TOUCH_PX)
            button.setMinimumWidth(theme.TOUCH_PX)
            button.clicked.connect(act)
            controls.addWidget(button)
        return controls

    def _lay_out(self) -> None:
        pictures = QHBoxLayout()
        pictures.addWidget(self.picture, 1)
        pictures.addWidget(self.scale_bar)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addLayout(pictures, 1)

    def show_view(self, title: str, pictures: ViewPictures | None, mode: Mode, limit: float | None) -> None:
        """Show a view under a title. The colour scale appears with the score map alone."""
        self.title.setText(title)
        self.picture.show_pictures(pictures, mode)
        self.scale_bar.set_limit(limit if mode is Mode.HEAT and pictures is not None else None)
        self.opacity.setEnabled(mode is Mode.HEAT)
