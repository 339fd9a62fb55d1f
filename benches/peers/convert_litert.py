"""Builds an encoder of `macula export` anew in TensorFlow, in its order of axes (NHWC), and converts it for LiteRT.

convert_litert.py FILE.onnx IMAGES.npy FOLDER

Writes f32.tflite and int8.tflite. A process of its own, because TensorFlow cannot be loaded beside MNN's converter.
"""
import pathlib
import sys

import numpy as np
import onnx
import tensorflow as tf


def convolution(node, x, weight, bias):
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    stride, (top, left, bottom, right) = attributes["strides"][0], attributes["pads"]
    padding = "VALID"
    if stride == 1 and top:
        padding = "SAME"
    elif top:
        # Its own padding at stride 2 differs.
        x = tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]])
    if attributes.get("group", 1) > 1:
        y = tf.nn.depthwise_conv2d(x, weight.transpose(2, 3, 0, 1), [1, stride, stride, 1], padding)
    else:
        y = tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), stride, padding)
    return tf.nn.bias_add(y, bias)


def network(graph, x):
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values = {graph.input[0].name: x}
    for node in graph.node:
        reads = [values.get(name) for name in node.input]
        if node.op_type == "Conv":
            y = convolution(node, reads[0], *(weights[name] for name in node.input[1:]))
        elif node.op_type == "Add":
            y = reads[0] + reads[1]
        else:
            operations = {"Relu": tf.nn.relu, "Clip": tf.nn.relu6, "Flatten": tf.identity,
                          "GlobalAveragePool": lambda x: tf.reduce_mean(x, [1, 2])}
            if node.op_type not in operations:
                raise RuntimeError(f"LiteRT: {node.op_type} is not known here")
            y = operations[node.op_type](reads[0])
        values[node.output[0]] = y
    return values[graph.output[0].name]


def main():
    source, images, folder = (pathlib.Path(path) for path in sys.argv[1:])
    graph, images = onnx.load(source).graph, np.load(images)
    _, channels, height, width = images[0].shape
    spec = tf.TensorSpec([1, height, width, channels], tf.float32)
    function = tf.function(lambda x: network(graph, x), input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    (folder / "f32.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([np.ascontiguousarray(x.transpose(0, 2, 3, 1))] for x in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (folder / "int8.tflite").write_bytes(converter.convert())


main()
