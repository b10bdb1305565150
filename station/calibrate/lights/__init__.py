"""The lights, measured on spheres and on the white plane.

`measured_lights` is the whole measurement on a rig, `mirror_sphere`, `matte_sphere` and `white_plane` are its steps;
`sphere_lights` does it for a folder of photographs.
"""
