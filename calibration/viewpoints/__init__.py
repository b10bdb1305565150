"""Taught viewpoints: where the camera truly is, how they are kept, and whether they drifted."""
