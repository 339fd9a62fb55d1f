"""Reads, decodes and resizes image files on one thread: the counterpart of `macula bench data`.

data.py pillow|opencv FILES.json SIZE CHANNELS
"""
import json
import pathlib
import sys
import time

import measured


def pillow(size, channels):
    import PIL
    from PIL import Image
    mode = "L" if channels == 1 else "RGB"

    def read(path):
        # Its bilinear filter widens when it makes smaller, as Macula's does.
        return Image.open(path).convert(mode).resize((size, size), Image.Resampling.BILINEAR).tobytes()
    return f"Pillow {PIL.__version__}", read


def opencv(size, channels):
    import cv2
    cv2.setNumThreads(1)
    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    return f"OpenCV {cv2.__version__}", lambda path: cv2.resize(cv2.imread(path, mode), (size, size),
                                                                interpolation=cv2.INTER_AREA)


def main():
    peer, files, size, channels = sys.argv[1:]
    name, read = {"pillow": pillow, "opencv": opencv}[peer](int(size), int(channels))
    files = json.loads(pathlib.Path(files).read_text())
    for path in files:
        read(path)
    start, durations = time.perf_counter(), []
    for path in files:
        durations.append(measured.timed(lambda: read(path))[0])
    total = time.perf_counter() - start
    measured.report(peer=name, image_ms=measured.percentiles(durations, 1e3), images_per_second=len(files) / total,
                    peak_memory_bytes=measured.peak_bytes())


measured.or_missing(main)
