"""Are the lights right? Levels of one view, other light, and trends over many parts."""
