"""A trained network as an ONNX file, for prediction without torch.

onnx.py writes it, int8.py makes it smaller and faster where that costs no accuracy. What runs the
file is inference/onnx_network.py: an exported model predicts and is scored as any other.
"""
