"""Devices on a serial port: the owner of the port, Grbl gantries, myCobot arms and three families of lights."""
