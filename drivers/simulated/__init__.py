"""The simulated rig: one process that owns a Scene and offers it on the wires that hardware has."""
