"""Depth of a view: integrated from its normals, or by a model; data to train that model on; files and figures."""
