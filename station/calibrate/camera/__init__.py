"""The camera, measured with a board.

`looks` says from where, `board_photographer` takes the pictures, `measured_camera` fits; `picture_folder` does it for
pictures that a person took, and `files` writes the result.
"""
