"""The camera from pictures of a board, and cameras in other programs' files.

`fit` chooses pictures and model, `adjust` is the bundle adjustment, `left_out` and `uncertainty` state how sure the
figures are, `report` holds the outcome. `info_files` and `vendor_yaml` read and write the formats of others.
"""
