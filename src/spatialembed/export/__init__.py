"""A trained network as a file for other programs: ONNX, TorchScript, a package of bioimage.io.

onnx.py writes the first, int8.py makes it smaller and faster where that costs no accuracy. What
runs it is inference/onnx_network.py: it predicts and is scored as any other model. torchscript.py
writes files from images to label maps, whose parts are in script/; bioimageio.py packs them.
"""
