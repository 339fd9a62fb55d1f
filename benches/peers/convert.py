"""An encoder as ONNX in the format of each peer, in f32 and int8: convert.py FILE.onnx FOLDER [PEER]

int8 is calibrated on noise: its speed counts, its features do not. Without PEER, for all of the Arm table; then it also writes
FOLDER/about.json: shape of the input, multiply-accumulates, and the feature of `runtimes.image`.
"""
import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx

import runtimes

HERE = pathlib.Path(__file__).parent


def noise(shape):
    """16 images of smooth noise, -2 to 2: [16, 1, C, H, W]."""
    x = np.random.default_rng(1).uniform(-2, 2, (16, 1, shape[0], 5, 5))
    for axis, size in ((3, shape[1]), (4, shape[2])):
        at = np.linspace(0, 4, size)
        x = np.apply_along_axis(lambda line: np.interp(at, range(5), line), axis, x)
    return x.astype(np.float32)


def multiply_accumulates(model):
    graph = onnx.shape_inference.infer_shapes(model).graph
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.value_info}
    of = lambda node: np.prod(shapes[node.output[0]][1:]) * np.prod(weights[node.input[1]][1:])
    return int(sum(of(node) for node in graph.node if node.op_type == "Conv"))


def for_onnxruntime(source, folder, shape, images):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    name = onnx.load(source).graph.input[0].name

    class Reader(CalibrationDataReader):
        left = iter(images)

        def get_next(self):
            image = next(self.left, None)
            return None if image is None else {name: image}

    quantize_static(source, folder / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)


def for_ncnn(source, folder, shape, images):
    import convert_ncnn
    # The package itself needs PyTorch.
    package = pathlib.Path(importlib.util.find_spec("pnnx").submodule_search_locations[0])
    pnnx = next(path for path in package.glob("**/pnnx") if path.is_file())
    pnnx.chmod(0o755)
    sizes = ",".join(map(str, [1, *shape]))
    subprocess.run([pnnx, source, f"inputshape=[{sizes}]", "ncnnparam=f32.ncnn.param", "ncnnbin=f32.ncnn.bin", "fp16=0"],
                   cwd=folder, check=True)
    convert_ncnn.quantise(folder / "f32.ncnn.param", folder / "int8.ncnn.param", images)


def for_mnn(source, folder, shape, images):
    # The commands `mnnconvert` and `mnnquant` report to a log server; the module below them does not.
    import _tools
    from PIL import Image
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(folder / "f32.mnn"),
                       "--bizCode", "x"])
    (folder / "noise").mkdir(exist_ok=True)
    for index, image in enumerate(images):
        pixels = ((image[0] + 2) * 63.75).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / "noise" / f"{index}.png")
    (folder / "mnn.json").write_text(json.dumps({
        "format": "RGB", "mean": [127.5] * 3, "normal": [4 / 255] * 3, "width": shape[2], "height": shape[1],
        "path": f"{folder / 'noise'}/", "used_image_num": 16, "feature_quantize_method": "KL",
        "weight_quantize_method": "MAX_ABS"}))
    _tools.mnnquant(["mnnquant", *(str(folder / name) for name in ["f32.mnn", "int8.mnn", "mnn.json"])])


def for_litert(source, folder, shape, images):
    np.save(folder / "noise.npy", images)
    subprocess.run([sys.executable, HERE / "convert_litert.py", source, folder / "noise.npy", folder], check=True)


CONVERTERS = {"onnxruntime": for_onnxruntime, "ncnn": for_ncnn, "MNN": for_mnn, "LiteRT": for_litert,
              # It reads ONNX Runtime's file.
              "openvino": for_onnxruntime, "torch": lambda *_: None}


def about(fixed, model, shape):
    import onnxruntime
    session = onnxruntime.InferenceSession(fixed, providers=["CPUExecutionProvider"])
    feature = session.run(None, {session.get_inputs()[0].name: runtimes.image(shape)})[0].ravel().tolist()
    return {"shape": shape, "multiply_accumulates": multiply_accumulates(model), "feature": feature}


def main():
    source, folder = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    model = onnx.load(source)
    declared = model.graph.input[0].type.tensor_type.shape
    declared.dim[0].dim_value = 1
    shape = [dim.dim_value for dim in declared.dim][1:]
    fixed, images = folder / "f32.onnx", noise(shape)
    onnx.save(model, fixed)
    for peer in sys.argv[3:] or ["onnxruntime", "ncnn", "MNN", "LiteRT"]:
        CONVERTERS[peer](fixed, folder, shape, images)
    if not sys.argv[3:]:
        (folder / "about.json").write_text(json.dumps(about(fixed, model, shape)))


main()
