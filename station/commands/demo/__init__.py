"""`station demo`: three simulated parts through the real drivers, each with promises that are checked."""
