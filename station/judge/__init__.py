"""From a view's frames to its verdict: normals, checks, the anomaly detector."""
