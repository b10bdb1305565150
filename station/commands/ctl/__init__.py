"""`station ctl`: the small client of a running service, for programs and for a terminal."""
