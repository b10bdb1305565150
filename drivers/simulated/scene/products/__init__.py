"""The shapes that the simulated rig can hold."""
