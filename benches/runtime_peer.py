"""Latency of one image through FILE.onnx by one peer: prints a JSON object.

runtime_peer.py onnxruntime|openvino|ncnn|mnn FILE.onnx [--threads N] [--runs N]

The converters of ncnn and MNN run before the clock starts; `load_ms` is the time from the converted file to a ready network.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import resource
import subprocess
import tempfile
import time


def converted_by_ncnn(model, shape, folder):
    # The wheel's command loads PyTorch first; the program inside of the package does without.
    package = pathlib.Path(importlib.util.find_spec("pnnx").origin).parent
    pnnx = next(path for path in package.glob("**/pnnx") if path.is_file())
    pnnx.chmod(0o755)
    sizes = ",".join(map(str, shape))
    subprocess.run([pnnx, os.path.abspath(model), f"inputshape=[{sizes}]", f"ncnnparam={folder}/n.param",
                    f"ncnnbin={folder}/n.bin", "fp16=0"], cwd=folder, check=True, capture_output=True)


def converted_by_mnn(model, folder):
    # The wheel's command `mnnconvert` sends what it converts to a log server; the module below it does not.
    import _tools
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", model, "--MNNModel", f"{folder}/n.mnn", "--bizCode", "x"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["onnxruntime", "openvino", "ncnn", "mnn"])
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=300)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)

    import numpy as np
    import onnx

    graph = onnx.load(args.model).graph
    shape = [dim.dim_value or 1 for dim in graph.input[0].type.tensor_type.shape.dim]
    name = graph.input[0].name
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    folder = tempfile.mkdtemp()
    if args.peer == "ncnn":
        converted_by_ncnn(args.model, shape, folder)
    elif args.peer == "mnn":
        converted_by_mnn(args.model, folder)

    start = time.perf_counter()
    if args.peer == "onnxruntime":
        import onnxruntime
        start = time.perf_counter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
        session = onnxruntime.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
        run, version = lambda: session.run(None, {name: image})[0], onnxruntime.__version__
    elif args.peer == "openvino":
        import openvino
        start = time.perf_counter()
        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(core.read_model(args.model), "CPU", settings).create_infer_request()
        request.set_input_tensor(openvino.Tensor(image))
        version = openvino.__version__.split("-")[0]

        def run():
            request.infer()
            return request.get_output_tensor().data
    elif args.peer == "ncnn":
        import ncnn
        start = time.perf_counter()
        net = ncnn.Net()
        net.opt.num_threads = args.threads
        net.load_param(f"{folder}/n.param")
        net.load_model(f"{folder}/n.bin")
        blob, version = ncnn.Mat(image[0]), ncnn.__version__

        def run():
            extractor = net.create_extractor()
            extractor.input("in0", blob)
            return np.array(extractor.extract("out0")[1])
    else:
        import MNN
        start = time.perf_counter()
        interpreter = MNN.Interpreter(f"{folder}/n.mnn")
        session = interpreter.createSession({"numThread": args.threads, "backend": "CPU", "precision": "high"})
        source, version = interpreter.getSessionInput(session), MNN.version()
        host = MNN.Tensor(tuple(shape), MNN.Halide_Type_Float, image, MNN.Tensor_DimensionType_Caffe)

        def run():
            source.copyFrom(host)
            interpreter.runSession(session)
            return interpreter.getSessionOutput(session).getNumpyData()

    load_ms = (time.perf_counter() - start) * 1e3
    for _ in range(args.runs // 10 + 3):
        run()
    times = []
    for _ in range(args.runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peer": f"{args.peer} {version}", "p50": p50, "p95": p95, "p99": p99, "load_ms": load_ms, "peak_mb": peak}))


main()
