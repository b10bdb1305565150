"""One picture of a view: pan by dragging, zoom by wheel or buttons, with the score map over it."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainterPath, QPen, QPixmap, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import QGraphicsPathItem, QGraphicsPixmapItem, QGraphicsScene, QGraphicsView, QSizePolicy

from station.console.pictures import Mode, ViewPictures
from station.console.widgets import theme
from station.console.widgets.mip_item import MipItem

ZOOM_STEP = 1.25
_LARGEST_ZOOM = 16.0


class PictureView(QGraphicsView):
    """The picture with its score map. It fits the room that it has until someone zooms."""

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
        """Show one view. Zoom and place stay as long as the size of the picture stays."""
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
        """How much of the image the score map hides, 0 to 100."""
        self._heat.setOpacity(percent / 100.0)

    def fit(self) -> None:
        """Show the whole picture, as large as it goes."""
        self._is_fitted = True
        self.fitInView(self.sceneRect(), Qt.AspectRatioMode.KeepAspectRatio)

    def zoom(self, factor: float) -> None:
        """Enlarge (factor > 1) up to 16 screen pixels a picture pixel, or shrink until the whole picture fits."""
        now = self.transform().m11()
        if factor < 1 and self._fit_scale() >= now * factor:
            self.fit()
            return
        self._is_fitted = False
        factor = min(factor, _LARGEST_ZOOM / max(now, 1e-6))
        self.scale(factor, factor)

    def _fit_scale(self) -> float:
        """Screen pixels per picture pixel at which the whole picture just fits."""
        rect, viewport = self.sceneRect(), self.viewport()
        if viewport is None or rect.isEmpty():
            return 1.0
        return min(viewport.width() / rect.width(), viewport.height() / rect.height())

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None and event.angleDelta().y():
            self.zoom(ZOOM_STEP if event.angleDelta().y() > 0 else 1 / ZOOM_STEP)
            event.accept()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if self._is_fitted:
            self.fit()
