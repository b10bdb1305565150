"""Small random height fields with exact heights, slopes and steps, lit and photographed: data to train depth on."""

from drivers.simulated.scene.reliefs.canvas import Relief
from drivers.simulated.scene.reliefs.drawing import PART, RELIEF_KINDS, SHAPES, draw_relief
from drivers.simulated.scene.reliefs.photographs import ReliefPhotographs, photographed

__all__ = ["PART", "RELIEF_KINDS", "SHAPES", "Relief", "ReliefPhotographs", "draw_relief", "photographed"]
