"""Client for Macula's device protocol: teaches and asks a device over a socket, a serial line or pipes.

Copy this folder. It was written from docs/protocol.md and needs Python 3.9 or later; a serial line also needs pyserial.

    with connect("localhost:7000") as device:
        scar = device.add_class("scar").class_index
        device.learn(scar, Image.from_file("scars/1.png"))
        print(device.predict(Image.from_file("new.png")))

A request is sent again until its reply comes, and the device executes it once. Refusals, missing replies and broken
connections are exceptions, all of them `DeviceError`. An object serves one thread.
"""

from .codec import Reader
from .device import Device, connect
from .errors import BadReply, ConnectionLost, DeviceError, NoReply, Reason, Refused
from .frame import FrameDecoder, encode_frame
from .replies import (
    Bundles, Candidate, ClassAdded, ClassInfo, Decision, Hello, Learned, LineCounters, Neighbour,
    OperatingPointReport, Outcome, Prediction, Provenance, SelfTest, State, Status, Support, TestResult, Threshold,
    Wear,
)
from .samples import Costs, Feature, Head, Image, OperatingPoint, Sample, Sensitivity, Specificity, Target
from .stream import PipeStream, SerialStream, SocketStream, Stream, open_stream

__all__ = [
    "BadReply", "Bundles", "Candidate", "ClassAdded", "ClassInfo", "ConnectionLost", "Costs", "Decision", "Device",
    "DeviceError", "Feature", "FrameDecoder", "Head", "Hello", "Image", "Learned", "LineCounters", "Neighbour",
    "NoReply", "OperatingPoint", "OperatingPointReport", "Outcome", "PipeStream", "Prediction", "Provenance",
    "Reader", "Reason", "Refused", "Sample", "SelfTest", "Sensitivity", "SerialStream", "SocketStream", "Specificity",
    "State", "Status", "Stream", "Support", "Target", "TestResult", "Threshold", "Wear", "connect", "encode_frame",
    "open_stream",
]
