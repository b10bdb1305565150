"""The row of tiles, one for each view of the recipe."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from station.console.widgets.view_tile import ViewTile


class TileRow(QWidget):
    """One tile a view, in the recipe's order. At most one is selected."""

    selected = pyqtSignal(str)

    def __init__(self, views: Sequence[str]) -> None:
        super().__init__()
        self.setObjectName("tiles")
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self.tiles: dict[str, ViewTile] = {}
        self.set_views(views)

    def set_views(self, views: Sequence[str]) -> None:
        """Show tiles for these views. They are made anew only when the names or their order change."""
        if list(self.tiles) == list(views):
            return
        for tile in self.tiles.values():
            self._group.removeButton(tile)
            self._layout.removeWidget(tile)
            tile.deleteLater()
        self.tiles = {view: ViewTile(view) for view in views}
        for view, tile in self.tiles.items():
            tile.clicked.connect(lambda _checked, view=view: self.selected.emit(view))
            self._group.addButton(tile)
            self._layout.addWidget(tile)

    def select(self, view: str) -> None:
        """Mark the view's tile as the one shown large; with a name that has no tile, none is marked."""
        if view in self.tiles:
            self.tiles[view].setChecked(True)
            return
        self._group.setExclusive(False)
        for tile in self.tiles.values():
            tile.setChecked(False)
        self._group.setExclusive(True)
