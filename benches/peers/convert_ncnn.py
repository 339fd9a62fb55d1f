"""Quantises a network of ncnn to int8, as its ncnn2table and ncnn2int8 do: the wheel does not have these programs.

A value's scale is that of its largest magnitude on the images, a weight's that of its channel.
"""
import struct

import ncnn
import numpy as np

CONVOLUTIONS = {"Convolution": 2, "ConvolutionDepthWise": 1}  # and their value of `int8_scale_term`
WITHOUT_WEIGHTS = {"Input", "Split", "BinaryOp", "ReLU", "Clip", "Pooling", "Reshape", "Flatten"}
INT8_TAG = 0x000D4B38


class Layer:
    def __init__(self, line):
        self.kind, self.name, reads, writes, *rest = line.split()
        reads, writes = int(reads), int(writes)
        self.reads, self.writes = rest[:reads], rest[reads:reads + writes]
        self.settings = dict(item.split("=", 1) for item in rest[reads + writes:])

    def line(self):
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        sizes = [str(len(self.reads)), str(len(self.writes))]
        return " ".join([self.kind, self.name, *sizes, *self.reads, *self.writes, *settings])


def largest(param, blobs, images):
    """Largest magnitude of each of `blobs`."""
    net = ncnn.Net()
    net.opt.lightmode = False
    net.load_param(str(param))
    net.load_model(str(param.with_suffix(".bin")))
    most = dict.fromkeys(blobs, 1e-6)
    for image in images:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]).clone())
        for blob in blobs:
            most[blob] = max(most[blob], float(np.abs(np.array(extractor.extract(blob)[1])).max()))
    return most


def quantise(param, target, images):
    """Writes `target` and the file of its weights beside it."""
    *head, lines = param.read_text().split("\n", 2)
    layers = [Layer(line) for line in lines.splitlines()]
    writer = {blob: layer for layer in layers for blob in layer.writes}

    def origin(blob):
        return origin(writer[blob].reads[0]) if writer[blob].kind == "Split" else blob

    readers = {}
    for layer in layers:
        for blob in layer.reads if layer.kind != "Split" else []:
            readers.setdefault(origin(blob), set()).add(layer.kind)
    read = {origin(layer.reads[0]) for layer in layers if layer.kind in CONVOLUTIONS}
    scale = {blob: 127 / most for blob, most in largest(param, sorted(read), images).items()}

    given, made, at = param.with_suffix(".bin").read_bytes(), b"", 0
    for layer in layers:
        if layer.kind not in CONVOLUTIONS:
            if layer.kind not in WITHOUT_WEIGHTS:
                raise RuntimeError(f"ncnn: a layer of the kind {layer.kind} cannot be quantised here")
            continue
        outputs, size = int(layer.settings["0"]), int(layer.settings["6"])
        if struct.unpack_from("<I", given, at)[0] != 0:
            raise RuntimeError("ncnn: the weights are not in f32")
        weight = np.frombuffer(given, np.float32, size, at + 4).reshape(outputs, -1)
        bias = np.frombuffer(given, np.float32, outputs, at + 4 + 4 * size)
        at += 4 + 4 * size + 4 * outputs
        steps = (127 / np.maximum(np.abs(weight).max(axis=1), 1e-9)).astype(np.float32)
        bytes_ = np.clip(np.round(weight * steps[:, None]), -127, 127).astype(np.int8).tobytes()
        made += struct.pack("<I", INT8_TAG) + bytes_ + bytes(-size % 4) + bias.tobytes() + steps.tobytes()
        made += struct.pack("<f", scale[origin(layer.reads[0])])
        term = CONVOLUTIONS[layer.kind]
        # A value that only convolutions read stays in int8.
        if readers[layer.writes[0]] <= set(CONVOLUTIONS):
            term += 100
            made += struct.pack("<f", scale[layer.writes[0]])
        layer.settings["8"] = str(term)
    if at != len(given):
        raise RuntimeError("ncnn: weights are left over")
    target.write_text("\n".join([*head, *(layer.line() for layer in layers)]) + "\n")
    target.with_suffix(".bin").write_bytes(made)
