"""The Scene that the simulated rig photographs: parts, defects, lights, sensor, exact truth.

Everything here is deterministic: the same arguments give the same bits, on any number of threads.
"""

from drivers.simulated.scene.defects import COLOUR_KINDS, DEFECT_KINDS, GEOMETRY_KINDS, Defect
from drivers.simulated.scene.head import DIFFUSE_CHANNEL, DIRECTIONAL_CHANNELS, Light, LightHead
from drivers.simulated.scene.part import PRODUCTS, Part, Placement, make_part, random_defect
from drivers.simulated.scene.scene import DEFAULT_BLACK_LEVEL_DN, DEFAULT_BOUNCES, Scene, ViewTruth, compile_kernels
from drivers.simulated.scene.sensor import HEIGHT_PX, PIXEL_FORMATS, WIDTH_PX, Sensor, significant_bits

__all__ = [
    "COLOUR_KINDS",
    "DEFAULT_BLACK_LEVEL_DN",
    "DEFAULT_BOUNCES",
    "DEFECT_KINDS",
    "DIFFUSE_CHANNEL",
    "DIRECTIONAL_CHANNELS",
    "GEOMETRY_KINDS",
    "HEIGHT_PX",
    "PIXEL_FORMATS",
    "PRODUCTS",
    "WIDTH_PX",
    "Defect",
    "Light",
    "LightHead",
    "Part",
    "Placement",
    "Scene",
    "Sensor",
    "ViewTruth",
    "compile_kernels",
    "make_part",
    "random_defect",
    "significant_bits",
]
