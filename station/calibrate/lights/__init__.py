"""The lights, measured from a sphere and the white plane, and verified each shift."""
