"""The simulated wires: a pseudo-terminal or a socket with firmware at the far end, and the faults of a wire."""
