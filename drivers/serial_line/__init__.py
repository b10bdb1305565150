"""Devices on a serial line: the port's owner, the Grbl gantry and the Gardasoft lights."""
