"""Where the lights stand and how strong they are: spheres, the white plane, and checks of the whole set."""
