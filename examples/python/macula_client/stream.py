"""Streams of bytes to a device: sockets, serial lines, pipes."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import BinaryIO, Protocol

from .errors import ConnectionLost, DeviceError


class Stream(Protocol):
    """Bytes in both directions, in order; they may be lost or damaged."""

    def read(self, timeout_s: float) -> bytes:
        """Received bytes; none if none came in time. Raises `ConnectionLost`."""

    def write(self, data: bytes) -> None:
        """Sends bytes. Raises `ConnectionLost`."""

    def close(self) -> None:
        """Ends the connection."""


class SocketStream:
    """A connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(max(timeout_s, 0.001))
        try:
            data = self._socket.recv(65536)
        except socket.timeout:
            return b""
        except OSError as error:
            raise ConnectionLost(f"reading from the device: {error}") from error
        if not data:
            raise ConnectionLost("the device closed the connection")
        return data

    def write(self, data: bytes) -> None:
        self._socket.settimeout(None)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLost(f"writing to the device: {error}") from error

    def close(self) -> None:
        self._socket.close()


class SerialStream:
    """A serial line that pyserial opens: 8 data bits, no parity, one stop bit."""

    def __init__(self, path: str, baud: int = 115200) -> None:
        try:
            import serial
        except ImportError as error:
            raise DeviceError("a serial line needs pyserial: pip install pyserial") from error
        try:
            self._port = serial.Serial(path, baud, exclusive=True)
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"{path}: {error}") from error

    def read(self, timeout_s: float) -> bytes:
        try:
            self._port.timeout = timeout_s
            # One byte at least, and whatever arrived with it.
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except OSError as error:
            raise ConnectionLost(f"reading from the serial line: {error}") from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise ConnectionLost(f"writing to the serial line: {error}") from error

    def close(self) -> None:
        self._port.close()


class PipeStream:
    """A file to read from and one to write to, such as the pipes of a subprocess. A thread reads, so that reads time out."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader, self._writer = reader, writer
        self._received: "queue.Queue[bytes]" = queue.Queue(maxsize=64)
        threading.Thread(target=self._read_all, daemon=True).start()

    def _read_all(self) -> None:
        # `read1` returns what is there; `read` of a file without a buffer does.
        read = getattr(self._reader, "read1", self._reader.read)
        data = b"-"
        while data:
            try:
                data = read(65536) or b""
            except (OSError, ValueError):
                data = b""
            self._received.put(data)
        self._reader.close()

    def read(self, timeout_s: float) -> bytes:
        try:
            data = self._received.get(timeout=max(timeout_s, 0.001))
        except queue.Empty:
            return b""
        if not data:
            self._received.put(data)
            raise ConnectionLost("the device closed its pipe")
        return data

    def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            self._writer.flush()
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"writing to the device: {error}") from error

    def close(self) -> None:
        # The reader stays with its thread, which waits in it until the other end closes.
        with contextlib.suppress(OSError):
            self._writer.close()


def open_stream(address: str, connect_timeout_s: float = 10) -> Stream:
    """Opens `HOST:PORT`, `tcp:HOST:PORT`, a path such as `/dev/ttyUSB0` or `COM3`, or `serial:PATH[:BAUD]`."""
    kind, _, rest = address.partition(":")
    if kind == "serial":
        path, _, baud = rest.rpartition(":")
        return SerialStream(path, int(baud)) if path and baud.isdigit() else SerialStream(rest)
    host, _, port = (rest if kind == "tcp" else address).rpartition(":")
    if address.startswith("/") or not host or not port.isdigit():
        return SerialStream(address)
    if int(port) > 65535:
        raise ValueError(f"{address}: a port is at most 65535")
    try:
        connected = socket.create_connection((host.strip("[]"), int(port)), connect_timeout_s)
    except OSError as error:
        raise ConnectionLost(f"{address}: {error}") from error
    # A request is one small write: the other end shall not wait for more.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return SocketStream(connected)
