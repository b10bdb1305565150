"""The white plane: flat-field maps and white balance."""
