"""The compiled solver: numba kernels for one number of lights, and what hands a view to them."""

from drivers.compile_notice import watch_compiles

watch_compiles("the photometric stereo solver", __name__)
