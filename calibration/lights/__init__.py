"""Where the lights stand and how strong they are: spheres, the white plane, and checks of the whole set.

`outline` finds a sphere, `mirror_sphere` and `diffuse_sphere` see a light in it, `near` finds a light's position from
several places of the mirror sphere, `white_plane` compares the lights' intensities, `check` judges them together. All
directions are in camera axes: x right, y up, z toward the camera.
"""
