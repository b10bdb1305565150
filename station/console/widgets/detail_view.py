"""One view large: pan by dragging, zoom by wheel or buttons, score map over it, its colour scale beside it."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import (
    QGraphicsPathItem,
    QGraphicsPixmapItem,
    QGraphicsScene,
    QGraphicsView,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from station.console.pictures import Mode, ViewPictures
from station.console.widgets import theme
from station.console.widgets.mip_item import MipItem
from station.report.colours import LIMIT_POSITION, SCALE_END, colour_bar

_ZOOM_STEP = 1.25
_LARGEST_ZOOM = 16.0


class PictureView(QGraphicsView):
    """The picture with its score map; fitted until someone zooms."""

    def __init__(self) -> None:
        scene = QGraphicsScene()
        super().__init__(scene)
        self._owned_scene = scene  # a view does not own its scene
        self.setObjectName("detailPicture")
        self.setAccessibleName("Detail of the selected view")
        self._is_fitted = True
        self._shown: tuple[ViewPictures | None, Mode] = (None, Mode.IMAGE)
        self._base = MipItem()
        self._heat = QGraphicsPixmapItem()
        self._heat.setTransformationMode(Qt.TransformationMode.SmoothTransformation)
        self._outlines = [self._outline_item(theme.WHITE, 3.5), self._outline_item(theme.INK, 1.5)]
        for item in (self._base, self._heat, *self._outlines):
            scene.addItem(item)
        self.setDragMode(QGraphicsView.DragMode.ScrollHandDrag)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        for policy in (self.setHorizontalScrollBarPolicy, self.setVerticalScrollBarPolicy):
            policy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    @staticmethod
    def _outline_item(colour: QColor, width: float) -> QGraphicsPathItem:
        item = QGraphicsPathItem()
        pen = QPen(colour, width)
        pen.setCosmetic(True)
        item.setPen(pen)
        return item

    def show_pictures(self, pictures: ViewPictures | None, mode: Mode) -> None:
        """Show one view; zoom and place stay when the size of the picture stays."""
        if (pictures, mode) == self._shown:
            return
        self._shown = (pictures, mode)
        size_before = self.sceneRect()
        self._base.show_mips(None if pictures is None else pictures.mips.get(mode))
        is_heat = pictures is not None and mode is Mode.HEAT and pictures.heat is not None
        self._heat.setVisible(is_heat)
        for item in self._outlines:
            item.setVisible(is_heat)
        if pictures is None:
            return
        if is_heat and pictures.heat is not None:
            self._lay_heat(pictures.heat, pictures.outline, pictures.size)
        self.setSceneRect(QRectF(0, 0, *pictures.size))
        if self._is_fitted or self.sceneRect() != size_before:
            self.fit()

    def _lay_heat(self, heat: QImage, outline: QPainterPath, size: tuple[int, int]) -> None:
        pixmap = QPixmap.fromImage(heat)
        self._heat.setPixmap(pixmap)
        transform = self._heat.transform()
        transform.reset()
        transform.scale(size[0] / pixmap.width(), size[1] / pixmap.height())
        self._heat.setTransform(transform)
        for item in self._outlines:
            item.setPath(outline)

    def set_heat_opacity(self, percent: int) -> None:
        self._heat.setOpacity(percent / 100.0)

    def fit(self) -> None:
        """The whole picture, as large as it goes."""
        self._is_fitted = True
        self.fitInView(self.sceneRect(), Qt.AspectRatioMode.KeepAspectRatio)

    def zoom(self, factor: float) -> None:
        """Nearer (> 1) or further (< 1), up to 16 screen pixels a picture pixel; no further than all of it."""
        now = self.transform().m11()
        if factor < 1 and self._fit_scale() >= now * factor:
            self.fit()
            return
        self._is_fitted = False
        factor = min(factor, _LARGEST_ZOOM / max(now, 1e-6))
        self.scale(factor, factor)

    def _fit_scale(self) -> float:
        rect, port = self.sceneRect(), self.viewport()
        if port is None or rect.isEmpty():
            return 1.0
        return min(port.width() / rect.width(), port.height() / rect.height())

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None and event.angleDelta().y():
            self.zoom(_ZOOM_STEP if event.angleDelta().y() > 0 else 1 / _ZOOM_STEP)
            event.accept()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if self._is_fitted:
            self.fit()


class ColourScale(QWidget):
    """The colours of the score map with their figures: 0, the limit, twice the limit."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("colourScale")
        self.setAccessibleName("Colour scale of the score map")
        self._limit: float | None = None

    def sizeHint(self) -> QSize:
        return QSize(84, 200)

    def set_limit(self, limit: float | None) -> None:
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
            (LIMIT_POSITION, f"{self._limit:.3g}\nlimit"),
            (1.0, f"{self._limit * SCALE_END:.3g}"),
        ):
            y = top + (height - 1) * (1 - position)
            painter.drawText(QRectF(30, y - 20, 54, 40), Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()


class DetailView(QWidget):
    """The picture, its scale and its controls."""

    opacity_changed = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("detail")
        self.picture = PictureView()
        self.scale_bar = ColourScale()
        self.title = QLabel("no view")
        self.title.setObjectName("detailTitle")
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
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
        """Opacity and zoom, to be placed where the window has room for touch targets."""
        controls = QHBoxLayout()
        caption = QLabel("map opacity")
        caption.setObjectName("caption")
        controls.addWidget(caption)
        controls.addWidget(self.opacity)
        for name, text, spoken, act in (
            ("zoomOut", "−", "Zoom out", lambda: self.picture.zoom(1 / _ZOOM_STEP)),
            ("zoomIn", "+", "Zoom in", lambda: self.picture.zoom(_ZOOM_STEP)),
            ("fit", "FIT  F5", "Show the whole picture", self.picture.fit),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.setAccessibleName(spoken)
            button.setFixedHeight(theme.TOUCH_PX)
            button.setMinimumWidth(theme.TOUCH_PX)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
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
        """Show a view under a title; the colour scale appears with the score map."""
        self.title.setText(title)
        self.picture.show_pictures(pictures, mode)
        self.scale_bar.set_limit(limit if mode is Mode.HEAT and pictures is not None else None)
        self.opacity.setEnabled(mode is Mode.HEAT)
