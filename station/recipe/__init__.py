"""The recipe: everything chosen for a product, checked against its calibration."""
