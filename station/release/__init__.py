"""Releases: the gate, immutable versions, roll-back, differences, and what people said taken into the next draft."""
