"""The simulated wires: a pseudo-terminal or a socket with firmware at the far end, and the faults of a wire.

`wire.py` is the thread between host and firmware, `pty_wire.py` and `socket_wire.py` what a host opens, `outbox.py`
the replies on their way, `transit.py` what becomes of their bytes.
"""
