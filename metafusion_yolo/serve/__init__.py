"""Detection over HTTP and on a page in the browser: `metafusion serve` and `metafusion app`. ONNX needs no PyTorch."""
