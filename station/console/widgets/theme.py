"""The look: light grey ground, near-black text, saturated colour for what is abnormal only (ISA-101).

Lengths are logical pixels, of which Qt counts 96 to the inch.
"""

from __future__ import annotations

from PyQt6.QtGui import QColor, QFont, QPalette

from station.console.banner import BannerKind

TOUCH_PX = 60  # 16 mm; gloved fingers need 15 mm
GROUND = QColor("#C8C8C8")
PANEL = QColor("#D6D6D6")
INK = QColor("#181818")
FAINT = QColor("#505050")
LINE = QColor("#8C8C8C")
SELECTED = QColor("#0B4F8A")
RED = QColor("#BA0C14")
AMBER = QColor("#FFB200")
GREEN = QColor("#005828")
WHITE = QColor("#FFFFFF")
SIMULATION = (QColor("#FFDD3C"), QColor("#3C3C3C"))

# fill, ink, edge; PASS is quiet, FAIL and UNDECIDED fill the banner, FAULT is framed so that it is no FAIL
BANNER_COLOURS = {
    BannerKind.PASS: (PANEL, GREEN, LINE),
    BannerKind.FAIL: (RED, WHITE, RED),
    BannerKind.UNDECIDED: (AMBER, INK, AMBER),
    BannerKind.INSPECTING: (PANEL, SELECTED, LINE),
    BannerKind.PAUSED: (WHITE, SELECTED, SELECTED),
    BannerKind.READY: (PANEL, INK, LINE),
    BannerKind.NOT_READY: (PANEL, FAINT, LINE),
    BannerKind.STOPPED: (WHITE, INK, INK),
    BannerKind.FAULT: (WHITE, RED, RED),
}

# Object names (#startButton) are those that the widgets set; tests and screen readers use them too.
STYLE_SHEET = f"""
QWidget {{ color: {INK.name()}; font-family: "DejaVu Sans", sans-serif; font-size: 16px; }}
QMainWindow, QWidget#ground {{ background: {GROUND.name()}; }}
QLabel#caption {{ color: {FAINT.name()}; font-size: 14px; }}
QPushButton {{ background: #E4E4E4; border: 1px solid {LINE.name()}; border-radius: 3px; padding: 4px 12px; }}
QPushButton:pressed {{ background: #B8B8B8; }}
QPushButton:disabled {{ background: {GROUND.name()}; color: #767676; }}
QPushButton:checked {{ background: {SELECTED.name()}; color: white; border-color: {SELECTED.name()}; }}
QPushButton:focus {{ border: 3px solid {SELECTED.name()}; }}
QPushButton#startButton, QPushButton#stopButton {{ font-size: 24px; font-weight: bold; }}
QPushButton#stopButton {{ border: 4px solid {RED.name()}; background: white; color: {RED.name()}; }}
QPushButton#stopButton:pressed {{ background: #F0C8C8; }}
QLineEdit {{ background: white; border: 2px solid {LINE.name()}; padding: 2px 8px; font-size: 24px; }}
QLineEdit:focus {{ border-color: {SELECTED.name()}; }}
QTableWidget {{ background: {PANEL.name()}; alternate-background-color: #CECECE; gridline-color: #BABABA;
    selection-background-color: {SELECTED.name()}; selection-color: white; border: 1px solid {LINE.name()}; }}
QTableWidget::item {{ padding: 0 8px; }}
QHeaderView::section {{ background: {GROUND.name()}; border: 0; border-bottom: 1px solid {LINE.name()};
    padding: 4px 8px; font-size: 14px; }}
QSlider::groove:horizontal {{ height: 10px; background: #E4E4E4; border: 1px solid {LINE.name()}; }}
QSlider::handle:horizontal {{ width: 34px; margin: -20px 0; background: {SELECTED.name()}; border-radius: 3px; }}
QSlider::handle:horizontal:disabled {{ background: {LINE.name()}; }}
QGraphicsView {{ background: #ACACAC; border: 1px solid {LINE.name()}; }}
"""


def palette() -> QPalette:
    """The palette of the whole window, for what a style sheet does not reach."""
    colours = QPalette(PANEL, GROUND)
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        colours.setColor(role, INK)
    colours.setColor(QPalette.ColorRole.Highlight, SELECTED)
    return colours


def font(size_px: int, bold: bool = False) -> QFont:
    """The window's one family at that size; where it is not installed Qt takes another."""
    chosen = QFont("DejaVu Sans")
    chosen.setPixelSize(max(size_px, 1))
    chosen.setBold(bold)
    return chosen
