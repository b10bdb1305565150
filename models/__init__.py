"""Models: the training side. CPRN over frozen encoders, exported to one `.onnx` file."""
