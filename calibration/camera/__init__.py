"""The camera: its model, the fit from pictures of a board, plots of the fit, and files of other programs."""
