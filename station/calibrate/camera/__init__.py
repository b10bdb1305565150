"""The camera, measured from pictures of a board."""
