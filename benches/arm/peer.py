"""Features of one image by one peer on one thread, several times, under the emulator: prints its version and the feature as JSON.

peer.py onnxruntime|openvino|ncnn|MNN|LiteRT FILE CHANNELSxHEIGHTxWIDTH f32|f16|int8 RUNS

Asks for the parent's process id before each image and after the last: the marks of count.c.
"""
import json
import os
import sys

import numpy as np


def image(shape):
    """[1, C, H, W], -2 to 2."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    return ((index * 2654435761 % 2**32 >> 16).astype(np.float32) / 16384 - 2).reshape(1, *shape)


# Each gives the peer's version and a function from nothing to the feature.

def onnxruntime(path, x, _):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return onnxruntime.__version__, lambda: session.run(None, {name: x})[0]


def openvino(path, x, arithmetic):
    import openvino
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": arithmetic}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return openvino.__version__.split("-")[0], lambda: request.infer([x])[0]


def ncnn(path, x, arithmetic):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"]:
        setattr(net.opt, option, arithmetic == "f16")
    net.opt.use_bf16_storage = False
    if net.load_param(path) or net.load_model(path.replace(".param", ".bin")):
        raise RuntimeError(f"ncnn does not load {path}")
    given = ncnn.Mat(x[0]).clone()

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", given)
        return np.array(extractor.extract("out0")[1])
    return ncnn.__version__, run


def mnn(path, x, arithmetic):
    import MNN
    interpreter = MNN.Interpreter(path)
    precision = "low" if arithmetic == "f16" else "high"
    session = interpreter.createSession({"backend": "CPU", "numThread": 1, "precision": precision})
    target = interpreter.getSessionInput(session)
    given = MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe)

    def run():
        target.copyFrom(given)
        interpreter.runSession(session)
        output = interpreter.getSessionOutput(session)
        shape = output.getShape()
        host = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Caffe)
        output.copyToHostTensor(host)
        return host.getNumpyData().copy()
    return MNN.version(), run


def litert(path, x, _):
    try:
        import ai_edge_litert as package
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # For 32-bit Arm it has its older name.
        import tflite_runtime as package
        from tflite_runtime.interpreter import Interpreter
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    if given["dtype"] == np.int8:
        scale, zero = given["quantization"]
        x = np.clip(np.round(x / scale + zero), -128, 127).astype(np.int8)

    def run():
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(made["index"])
    return package.__version__, run


PEERS = {"onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn, "MNN": mnn, "LiteRT": litert}


def main():
    peer, path, shape, arithmetic, runs = sys.argv[1:]
    version, run = PEERS[peer](path, image([int(size) for size in shape.split("x")]), arithmetic)
    for _ in range(int(runs)):
        os.getppid()
        feature = run()
    os.getppid()
    feature = np.asarray(feature, dtype=np.float32).ravel().tolist()
    print("\n" + json.dumps({"version": version, "feature": feature}), flush=True)
    # Without the destructors of the libraries: some crash under emulation.
    os._exit(0)


if __name__ == "__main__":
    main()
