"""Models: the training side. CPRN over a weight-free encoder, exported to one `.onnx` file for each product."""
