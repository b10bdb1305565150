"""Encoders: frozen networks that turn colour and normals into features; `registry.load_encoder` makes one."""
