"""Runs `macula bench … --compare` with the peers of this Python: compare_check.py PROGRAM FOLDER

Needs numpy, onnx, onnxruntime and pillow (tests/requirements.txt).
"""
import json
import pathlib
import subprocess
import sys

from PIL import Image


def compare(program, *arguments):
    """Ratios by the first word of the name, and the peers that are missing."""
    command = [program, "bench", *arguments, "--compare", "--rounds", "1", "--json", "--quiet", "--python", sys.executable]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {row["name"].split()[0]: row["ratio"] for row in report["rows"]}, dict(report["missing"])


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    ratios, missing = compare(program, "encoder", "--encoder", "grey-64", "--batch-size", "4")
    assert ratios["onnxruntime"] > 0 and "not installed" in missing["openvino"], (ratios, missing)
    for value in range(4):
        Image.new("L", (40, 30), 50 * value).save(folder / f"{value}.png")
    ratios, missing = compare(program, "data", "--data", folder, "--size", "16")
    assert ratios["Pillow"] > 0 and "not installed" in missing["opencv"], (ratios, missing)
    print("compared with ONNX Runtime and Pillow")


main()
