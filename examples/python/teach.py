"""Teaches a device classes from image files and asks it about others.

    python teach.py localhost:7000 learn scar scars/*.png
    python teach.py localhost:7000 predict new.png
    python teach.py /dev/ttyUSB0 status

Reads PGM and PPM, other formats with Pillow, and with --raw WIDTHxHEIGHT[xCHANNELS] files of bare pixels. The exit code is
2 for bad usage or input and 4 if the device refuses or does not answer.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Dict, List, Optional

from macula_client import Device, DeviceError, Image, Neighbour, connect


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs one command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        with connect(options.device) as device:
            options.run(device, options)
    except BrokenPipeError:
        raise
    except (ValueError, OverflowError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DeviceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("device", help="HOST:PORT, or a serial line: /dev/ttyUSB0, serial:PATH:BAUD")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, description: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=description, description=description)
        added.set_defaults(run=run)
        return added

    def takes_images(added: argparse.ArgumentParser) -> None:
        added.add_argument("--raw", metavar="SIZE", help="files are pixels of 8 bits: WIDTHxHEIGHT or WIDTHxHEIGHTx3")
        added.add_argument("images", nargs="+", metavar="IMAGE", type=Path)

    learn_parser = command("learn", learn, "Teach images of a class")
    learn_parser.add_argument("name", metavar="CLASS")
    learn_parser.add_argument("--operator", type=int, default=0, metavar="NUMBER", help="who teaches [default: 0]")
    takes_images(learn_parser)
    predict_parser = command("predict", predict, "Classify images")
    predict_parser.add_argument("--error-rate", type=float, default=10, metavar="PERCENT", help="0.1 to 50 [default: 10]")
    takes_images(predict_parser)
    takes_images(command("why", why, "List the nearest samples of images"))
    takes_images(command("forget", forget, "Remove images"))
    command("status", status, "Show device and classes")
    return parser


def read(path: Path, raw: Optional[str]) -> Image:
    """The image of a file."""
    if raw is None:
        return Image.from_file(path)
    try:
        width, height, channels = (*map(int, raw.split("x")), 1)[:3]
    except ValueError:
        raise ValueError(f"--raw {raw}: WIDTHxHEIGHT or WIDTHxHEIGHTxCHANNELS is needed") from None
    try:
        return Image(width, height, channels, path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def names(device: Device) -> Dict[int, str]:
    """The names of the classes by slot."""
    return {found.index: found.name for found in device.classes()}


def learn(device: Device, options: argparse.Namespace) -> None:
    """Teaches images of one class."""
    # Read first: an image that cannot be read shall leave nothing behind.
    images = [read(path, options.raw) for path in options.images]
    added = device.add_class(options.name)
    for path, image in zip(options.images, images):
        learned = device.learn(added.class_index, image, options.operator)
        print(f"{path}: {'learned' if learned.new else 'known already'}, {learned.supports} of '{options.name}' now")


def predict(device: Device, options: argparse.Namespace) -> None:
    """Classifies images."""
    known_names = names(device)
    for path in options.images:
        found = device.predict(read(path, options.raw), error_rate_permille=round(10 * options.error_rate))
        if not found.known:
            print(f"{path}: I don't know; it is unlike all samples")
            continue
        others = ", ".join(known_names.get(slot, str(slot)) for slot in found.prediction_set)
        note = "" if found.enough_shots else f", which needs {found.shots_needed} samples per class to be reliable"
        name = known_names.get(found.class_index, found.class_index)
        print(f"{path}: {name} {100 * found.probability:.0f} % (set: {others}{note})")


def why(device: Device, options: argparse.Namespace) -> None:
    """Lists the nearest samples."""
    known_names = names(device)
    for path in options.images:
        for near in device.why(read(path, options.raw)):
            print(f"{path}: {line(near, known_names)}")


def line(near: Neighbour, known_names: Dict[int, str]) -> str:
    """A neighbour as text."""
    origin = near.provenance
    name = known_names.get(origin.class_index, str(origin.class_index))
    return f"{near.similarity:.3f} {name}, taught by {origin.operator} at {origin.time_s}, source {near.source.hex()}"


def forget(device: Device, options: argparse.Namespace) -> None:
    """Removes images."""
    for path in options.images:
        record = device.forget(read(path, options.raw).source)
        print(f"{path}: {'was not taught' if record is None else 'forgotten'}")


def status(device: Device, _: argparse.Namespace) -> None:
    """Shows device and classes."""
    hello, state = device.hello, device.status()
    print(f"{hello.program} {hello.program_version}, encoder {hello.encoder.hex()}, {hello.dim} dimensions")
    print(f"{state.supports} of {state.supports_max} samples in {state.classes} of {state.classes_max} classes")
    for found in device.classes():
        print(f"  {found.name}: {found.supports}")


if __name__ == "__main__":
    # Class names may have any letters, whatever the terminal's encoding.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        code = main()
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:
        # The reader of the output has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
