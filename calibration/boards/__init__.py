"""Calibration boards: what they are, and where their points are in a picture.

`board` finds chessboards, ChArUco boards and circle grids; `corners` and `circles` refine their points to fractions of
a pixel; `roughness` measures how well the points lie on one smooth board.
"""
