"""Features of one image by one peer on one thread, several times, under the emulator: prints its version and the feature as JSON.

peer.py onnxruntime|openvino|ncnn|MNN|LiteRT FILE CHANNELSxHEIGHTxWIDTH f32|f16|int8 RUNS

Asks for the parent's process id before each image and after the last: the marks of count.c.
"""
import json
import os
import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[1] / "peers"))
import runtimes


def main():
    peer, path, shape, arithmetic, runs = sys.argv[1:]
    version, run = runtimes.PEERS[peer](path, runtimes.image([int(size) for size in shape.split("x")]), arithmetic)
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
