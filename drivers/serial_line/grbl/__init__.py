"""A gantry of three to six axes behind Grbl 1.1 or grblHAL."""
