"""A stand-in for Grbl 1.1 and grblHAL, with the gantry behind it."""
