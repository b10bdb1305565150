"""Folders of pictures as others lay them out, read as data sets: `mvtec.dataset_from_layout`."""
