"""One image and a batch through an encoder by one peer: the counterpart of `macula bench encoder`.

encoder.py PEER FILE.onnx FOLDER f32|int8 BATCH_SIZE THREADS

FOLDER keeps what convert.py wrote, so that the next round need not convert again.
"""
import os
import pathlib
import subprocess
import sys

import measured


def rebatched(source, target, size):
    """An ONNX file for batches of `size`."""
    import onnx
    model = onnx.load(source)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = size
    del model.graph.value_info[:]
    onnx.save(model, target)
    return target


def main():
    peer, source, folder, arithmetic, batch, threads = sys.argv[1:]
    folder, batch, threads = pathlib.Path(folder) / peer, int(batch), int(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import numpy as np
    import runtimes
    # Imported before the clock starts, and before anything is converted for a peer that is missing.
    __import__({"MNN": "MNN", "LiteRT": "ai_edge_litert.interpreter"}.get(peer, peer))
    file = folder / runtimes.FILES[peer].format(arithmetic)
    if not file.exists():
        folder.mkdir(exist_ok=True)
        # In a process of its own, because peak memory counts.
        done = subprocess.run([sys.executable, pathlib.Path(__file__).parent / "convert.py", source, folder, peer],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise (ImportError if "ModuleNotFoundError" in reason else RuntimeError)(f"conversion: {reason}")
    if not file.exists():
        raise RuntimeError(f"cannot run {arithmetic}")
    import onnx
    shape = [dim.dim_value for dim in onnx.load(folder / "f32.onnx").graph.input[0].type.tensor_type.shape.dim][1:]
    one = runtimes.image(shape)
    load, (version, run) = measured.timed(lambda: runtimes.PEERS[peer](str(file), one, arithmetic, threads))
    image = measured.repeat(run, 2)
    if file.suffix == ".onnx":
        path = rebatched(file, folder / f"{arithmetic}.{batch}.onnx", batch)
        _, run_batch = runtimes.PEERS[peer](str(path), np.repeat(one, batch, 0), arithmetic, threads)
    else:
        # ncnn, MNN and LiteRT take one image, on all threads.
        run_batch = lambda: [run() for _ in range(batch)]
    batches = measured.percentiles(measured.repeat(run_batch, 2), 1)
    measured.report(peer=f"{peer} {version}", image_ms=measured.percentiles(image, 1e3), load_ms=load * 1e3,
                    images_per_second=batch / batches["p50"], peak_memory_bytes=measured.peak_bytes())


measured.or_missing(main)
