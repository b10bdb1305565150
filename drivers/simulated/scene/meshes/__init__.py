"""Products from a mesh: a file with triangles, a small YAML beside it, and a ray tracer instead of closed-form patches.

`settings.py` is what the YAML says, `file.py` finds and checks a mesh, `shape.py` its triangles with smooth normals,
`missing.py` what a part lacks, `placing.py` its other defects, `tracer.py` the rays, `sight.py` what a picture sees,
`exchange.py` the light that bounces. trimesh, embreex and manifold3d (extra `meshes`) are loaded when a mesh is.
"""
