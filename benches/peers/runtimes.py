"""The peers that run an encoder.

Each function takes the file of an encoder in the peer's format (convert.py), images `x` [N, C, H, W], the arithmetic f32, f16 or
int8, and a number of threads. It gives the peer's version and a function from nothing to the features. ncnn, MNN and LiteRT take
one image.
"""
import numpy as np


def image(shape):
    """[1, C, H, W], -2 to 2."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    return ((index * 2654435761 % 2**32 >> 16).astype(np.float32) / 16384 - 2).reshape(1, *shape)


def onnxruntime(path, x, _, threads=1):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return onnxruntime.__version__, lambda: session.run(None, {name: x})[0]


def openvino(path, x, arithmetic, threads=1):
    import openvino
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    if arithmetic != "int8":
        settings["INFERENCE_PRECISION_HINT"] = arithmetic
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return openvino.__version__.split("-")[0], lambda: request.infer([x])[0]


def ncnn(path, x, arithmetic, threads=1):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = threads
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


def mnn(path, x, arithmetic, threads=1):
    import MNN
    interpreter = MNN.Interpreter(path)
    precision = "low" if arithmetic == "f16" else "high"
    session = interpreter.createSession({"backend": "CPU", "numThread": threads, "precision": precision})
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


def litert(path, x, _, threads=1):
    try:
        import ai_edge_litert as package
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # For 32-bit Arm it has its older name.
        import tflite_runtime as package
        from tflite_runtime.interpreter import Interpreter
    interpreter = Interpreter(path, num_threads=threads)
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


def torch(path, x, _, threads=1):
    import onnx
    import torch
    torch.set_num_threads(threads)
    last = torch.channels_last
    graph = onnx.load(path).graph
    weights = {}
    for tensor in graph.initializer:
        value = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        weights[tensor.name] = value.contiguous(memory_format=last) if value.ndim == 4 else value
    F, simple = torch.nn.functional, {
        "Relu": torch.relu, "Clip": lambda v, *_: F.relu6(v), "Add": torch.add, "Flatten": lambda v: v.flatten(1),
        "GlobalAveragePool": lambda v: v.mean((2, 3), keepdim=True)}
    given = torch.from_numpy(x).contiguous(memory_format=last)

    def convolution(node):
        named = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        return lambda values: F.conv2d(*values, named["strides"], named["pads"][:2], groups=named.get("group", 1))

    steps = []
    for node in graph.node:
        if node.op_type == "Conv":
            act = convolution(node)
        elif node.op_type in simple:
            act = (lambda f: lambda values: f(*values))(simple[node.op_type])
        else:
            raise RuntimeError(f"torch: {node.op_type} is not known here")
        steps.append((act, list(node.input), node.output[0]))

    @torch.inference_mode()
    def run():
        values = {graph.input[0].name: given}
        for act, reads, writes in steps:
            values[writes] = act([values[name] if name in values else weights[name] for name in reads if name])
        return values[graph.output[0].name].numpy()
    return torch.__version__, run


PEERS = {"onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn, "MNN": mnn, "LiteRT": litert, "torch": torch}
# Name of the file that convert.py writes.
FILES = {"onnxruntime": "{}.onnx", "openvino": "{}.onnx", "ncnn": "{}.ncnn.param", "MNN": "{}.mnn", "LiteRT": "{}.tflite",
         "torch": "{}.onnx"}
