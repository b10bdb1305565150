"""Normals and albedo of a part from frames taken under K known lights, with a quality map that says where."""
