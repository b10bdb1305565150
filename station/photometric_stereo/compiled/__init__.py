"""The compiled solver: numba kernels for one number of lights, and what hands a view to them."""
