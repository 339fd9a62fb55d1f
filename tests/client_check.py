"""Tests examples/python/macula_client/, the client of the protocol in Python.

    client_check.py device PROGRAM     the document's conversation; `PROGRAM device` over TCP and over a serial line
    client_check.py board IMAGE        the Cortex-M image IMAGE in QEMU

Every reply is compared with what the device was taught; over TCP also with the answers of PROGRAM itself. Needs pyserial
(tests/requirements.txt) for the serial line.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import pty
import random
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tty
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples" / "python"))
import macula_client as client  # noqa: E402

REQUESTS = 1000
BUNDLE = ROOT / "models" / "grey-64" / "grey-64.macula"


# ---- The document ---------------------------------------------------------------------------------------------------


def documented(cell):
    """Bytes as the document writes them: `0a ff`, and `11×16` for sixteen times 11."""
    words = (word.partition("×") for word in cell.strip("`").split())
    return b"".join(bytes.fromhex(value) * int(count or 1) for value, _, count in words)


def rows(heading):
    text = (ROOT / "docs" / "protocol.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|---")]


class Recorded:
    """The device of the document's conversation: checks each frame and answers with the next one."""

    def __init__(self, frames):
        self.frames, self.pieces = frames, []

    def write(self, data):
        expected, reply = self.frames.pop(0)
        assert data == expected, f"{data.hex(' ')} instead of {expected.hex(' ')}"
        # In two pieces, behind noise and the end of a frame that was lost.
        self.pieces = [b"\x07\x81noise\0" + reply[:-3], reply[-3:]]

    def read(self, timeout_s):
        return self.pieces.pop(0)

    def close(self):
        assert not self.frames


def check_document():
    lines = rows("A conversation")[1:]
    frames = [(documented(host[3]), documented(device[3])) for host, device in zip(lines[0::2], lines[1::2])]
    image = client.Image(3, 2, 1, bytes([0, 0, 0, 0, 40, 30]))
    with unittest.mock.patch("secrets.randbits", lambda _bits: 0x12345678):
        device = client.Device(Recorded(frames[:-1]))
    assert (device.hello.dim, device.hello.image_bytes_max) == (3, 60), device.hello
    assert device.add_class("scar") == client.ClassAdded(0, True)
    assert refused(lambda: device.exchange(b"\x0b\0\0\x64")).reason is client.Reason.NOTHING_LEARNED
    assert device.learn(0, image, 7, 1_700_000_000) == client.Learned(0, True, 1)
    _, fields = device.exchange(b"\x0b\0\0\x64")
    prediction = client.Prediction.read(fields)
    fields.end()
    origin = client.Provenance(0, 7, 1_700_000_000)
    assert prediction.nearest == (client.Neighbour(image.source, origin, 1.0),)
    assert (prediction.class_index, prediction.prediction_set, prediction.known) == (0, (0,), True)
    assert device.undo() == origin
    device.close()
    # A frame of every length around COBS's 254, with and without zeros.
    for length in [*range(24), *range(245, 265), 509, 1016]:
        for every in (1, 3, 254, 255, 4000):
            packet = bytes((1 + index % 255) * (index % every != every - 1) for index in range(length))
            frame = client.encode_frame(packet)
            assert frame.count(0) == 2 and client.FrameDecoder().feed(b"noise" + frame) == [packet]
    decoder = client.FrameDecoder()
    decoder.packet_max = 64
    for frame in ([documented(row[-1]) for row in rows("A frame")[1:]]):
        assert len(decoder.feed(frame)) == 1
        for bit in range(8, 8 * len(frame) - 8):
            changed = bytearray(frame)
            changed[bit // 8] ^= 1 << bit % 8
            assert decoder.feed(bytes(changed)) == [], f"bit {bit} went unnoticed"
    assert decoder.feed(b"\0" + b"\x07" * 10**6 + client.encode_frame(b"ok")) == [b"ok"]
    assert decoder.feed(client.encode_frame(b"x" * 60)) == [b"x" * 60] and not decoder.feed(client.encode_frame(b"x" * 61))


def refused(action):
    try:
        result = action()
    except client.Refused as refusal:
        return refusal
    raise AssertionError(f"not refused: {result}")


# ---- A line with faults ---------------------------------------------------------------------------------------------


class Noisy:
    """Puts noise between frames, and loses, damages, cuts short and repeats some."""

    def __init__(self, stream, random):
        self.stream, self.random, self.faults = stream, random, 0

    def noise(self):
        return self.random.randbytes(self.random.randrange(1, 60)) + b"\0" * self.random.randrange(2)

    def write(self, data):
        fault = self.random.randrange(30)
        self.faults += fault < 6
        if fault == 0:
            data = b""
        elif fault == 1:
            damaged = bytearray(data)
            damaged[self.random.randrange(1, len(data) - 1)] ^= 1 << self.random.randrange(8)
            data = bytes(damaged)
        elif fault == 2:
            data = data[: self.random.randrange(len(data))] + data
        elif fault == 3:
            data += data
        elif fault < 6:
            data = self.noise() + data + self.noise()
        self.stream.write(data)

    def read(self, timeout_s):
        data = self.stream.read(timeout_s)
        if data and self.random.randrange(30) == 0:
            self.faults += 1
            return self.noise() + data + self.noise()
        return data

    def close(self):
        self.stream.close()


# ---- A conversation with a device -----------------------------------------------------------------------------------


class Sample:
    """Something to teach: what is sent, its class, and its feature as numbers."""

    def __init__(self, device, sent, kind):
        self.sent, self.kind = sent, kind
        self.feature = device.embed(sent).integers()

    def similarity(self, other):
        def dot(a, b):
            return sum(x * y for x, y in zip(a, b))

        lengths = dot(self.feature, self.feature) * dot(other.feature, other.feature)
        return dot(self.feature, other.feature) / lengths**0.5


class Conversation:
    """Random requests, and what a device must reply to them: a second implementation of the support set."""

    def __init__(self, device, samples, names, seed):
        self.device, self.samples, self.random = device, samples, random.Random(seed)
        self.names = {}
        self.taught = {}
        self.asked = self.right = 0
        for name in names:
            slot = len(self.names)
            assert device.add_class(name) == client.ClassAdded(slot, True)
            self.names[slot] = name
        for kind in self.names:
            for sample in [sample for sample in samples if sample.kind == kind][:3]:
                self.learn(sample)

    def run(self, count):
        actions = [
            (self.learn, 5), (self.forget, 4), (self.predict, 6), (self.decide, 2), (self.why, 4), (self.embed, 2),
            (self.classes, 1), (self.status, 2), (self.rename, 1), (self.point, 1), (self.refusals, 1), (self.undo, 1),
        ]
        chosen, weights = zip(*actions)
        until = self.device.requests + count
        while self.device.requests < until:
            (action,) = self.random.choices(chosen, weights)
            action(self.random.choice(self.samples))
        self.check_state()
        assert self.right > 0.8 * self.asked > 0, f"{self.right} of {self.asked} predictions are right"

    def supports(self, slot):
        return sum(sample.kind == slot for sample, _ in self.taught.values())

    def learn(self, sample):
        if len(self.taught) == self.device.hello.supports_max:
            self.forget(self.random.choice(list(self.taught.values()))[0])
        source, operator, time_s = sample.sent.source, self.random.randrange(1000), self.random.randrange(1, 2**40)
        learned = self.device.learn(sample.kind, sample.sent, operator, time_s)
        new = source not in self.taught
        if new:
            self.taught[source] = sample, client.Provenance(sample.kind, operator, time_s)
        assert learned == client.Learned(sample.kind, new, self.supports(sample.kind)), learned

    def forget(self, sample):
        source = sample.sent.source
        if source in self.taught and self.supports(sample.kind) == 2:
            return
        _, expected = self.taught.pop(source, (None, None))
        assert self.device.forget(source) == expected

    def undo(self, _):
        left = [source for source in self.device._learned if source in self.taught]
        if left and self.supports(self.taught[left[-1]][0].kind) > 2:
            assert self.device.undo() == self.taught.pop(left[-1])[1]

    def is_near(self, sample, found, count):
        """The reply names the nearest supports with their origins, nearest first."""
        expected = sorted((sample.similarity(other) for other, _ in self.taught.values()), reverse=True)[:count]
        assert len(found) == len(expected), found
        for near, similarity in zip(found, expected):
            other, origin = self.taught[near.source]
            assert near.provenance == origin and abs(near.similarity - similarity) < 1e-5, (near, similarity)
            assert abs(sample.similarity(other) - similarity) < 1e-5

    def predict(self, sample):
        head = self.random.choice(list(client.Head))
        found = self.device.predict(sample.sent, head, self.random.choice([10, 100, 500]))
        self.is_near(sample, found.nearest, 3)
        assert found.head == head and 0 < found.probability <= 1 and set(found.prediction_set) <= set(self.names)
        self.asked += 1
        self.right += found.class_index == sample.kind

    def decide(self, sample):
        point = client.OperatingPoint(self.random.choice(list(self.names)), client.Costs(self.random.randrange(1, 30), 1))
        found = self.device.decide(sample.sent, point)
        self.is_near(sample, found.prediction.nearest, 3)
        assert found.point.point == point and found.positive == (found.score >= found.point.threshold.score)

    def why(self, sample):
        self.is_near(sample, self.device.why(sample.sent), 5)

    def embed(self, sample):
        feature = self.device.embed(sample.sent)
        assert feature.integers() == sample.feature
        assert self.device.embed(feature) == feature

    def classes(self, _):
        expected = [client.ClassInfo(slot, name, self.supports(slot)) for slot, name in sorted(self.names.items())]
        assert self.device.classes() == expected
        slot, name = self.random.choice(list(self.names.items()))
        assert self.device.add_class(name) == client.ClassAdded(slot, False)

    def status(self, _):
        found = self.device.status()
        assert (found.classes, found.supports) == (len(self.names), len(self.taught)), found
        assert found.classes_max == self.device.hello.classes_max

    def rename(self, _):
        slot = self.random.choice(list(self.names))
        self.names[slot] = f"class {slot} ±{self.random.randrange(100)}"
        self.device.rename_class(slot, self.names[slot])

    def point(self, _):
        target = self.random.choice([client.Sensitivity(950), client.Specificity(900), client.Costs(20, 1), None])
        point = target and client.OperatingPoint(self.random.choice(list(self.names)), target)
        report = self.device.set_operating_point(point)
        assert (report and report.point) == point and self.device.operating_point() == report

    def refusals(self, sample):
        unused = len(self.names)
        for action, reason, found in [
            (lambda: self.device.learn(unused, sample.sent), client.Reason.NO_SUCH_CLASS, unused),
            (lambda: self.device.rename_class(unused, "x"), client.Reason.NO_SUCH_CLASS, unused),
            (lambda: self.device.predict(sample.sent, 9), client.Reason.NO_SUCH_HEAD, 9),
            (lambda: self.device.predict(sample.sent, 0, 0), client.Reason.ERROR_RATE, 0),
            (lambda: self.device.exchange(b"\x7f"), client.Reason.MALFORMED, 1),
            (lambda: self.device.add_class("a\u200bb"), client.Reason.NAME, 5),
        ]:
            refusal = refused(action)
            assert (refusal.reason, refusal.found) == (reason, found), refusal

    def check_state(self):
        """The client has compared the state with the device's SHA-256 of it."""
        state = self.device.export_state()
        assert dict(state.classes) == self.names
        found = [(support.source, support.provenance, support.feature.integers()) for support in state.supports]
        assert found == sorted((source, origin, sample.feature) for source, (sample, origin) in self.taught.items())


# ---- Devices --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(command, **options):
    """A program that ends with the block."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def device_program(program, store, line):
    trust = ["--encoder", BUNDLE, "--trust", ROOT / "models" / "release.pub"]
    arguments = [program, "device", *trust, "--store", store, "--listen", line]
    return running(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def listening(process):
    """The address that the program prints."""
    for line in process.stdout:
        if line.startswith("listening"):
            return line.split()[1]
    raise AssertionError(f"the device ended with {process.wait()}")


def stripes(kind, width, height, channels, drawn):
    """An image of a class: stripes whose direction and width are the class's."""
    step, along = 4 + 5 * (kind // 2), kind % 2
    value = [200 * (index // step % 2) for index in range(max(width, height))]
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            level = value[x if along else y] + drawn.randrange(56)
            pixels += bytes([level] * channels)
    if channels == 3 and drawn.randrange(2):
        pixels[0] ^= 1
    return client.Image(width, height, channels, bytes(pixels))


def write_pnm(image, path):
    kind = b"P5" if image.channels == 1 else b"P6"
    path.write_bytes(b"%s\n# comment\n%d %d\n255\n" % (kind, image.width, image.height) + image.pixels)
    assert client.Image.from_file(path) == image
    return path


def ask_program(program, command, address, *arguments):
    done = subprocess.run([program, command, "--device", address, "--json", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_device(program, folder):
    """Over TCP, with noise; the program itself must give the same answers."""
    drawn, faults = random.Random(7), random.Random(70)
    with device_program(program, folder / "tcp.store", "tcp:localhost:0") as process:
        address = listening(process)
        noisy = Noisy(client.open_stream(address), faults)
        device = client.Device(noisy, reply_timeout_s=0.03, attempts=10, hello_attempts=10)
        images = [
            (stripes(kind, drawn.randrange(20, 90), drawn.randrange(20, 90), drawn.choice([1, 1, 3]), drawn), kind)
            for kind in range(3)
            for _ in range(10)
        ]
        samples = [Sample(device, image, kind) for image, kind in images]
        started = time.monotonic()
        conversation = Conversation(device, samples, ["nodule", "Ödem", "scar"], 1)
        conversation.run(REQUESTS)
        seconds = time.monotonic() - started
        device.set_operating_point(None)
        check_bundles(device)
        line = device.status().line
        # Each request was executed once, whatever happened to its frames.
        assert line.requests == device.requests, (line, device.requests)
        assert line.repeated > 0 and line.corrupted > 0 and device.repeated > 0 and noisy.faults > 50, line
        answers = [device.predict(sample.sent) for sample in samples]
        nearest = [device.why(sample.sent) for sample in samples]
        state, names = device.export_state(), conversation.names
        device.close()
        print(f"TCP: {device.requests} requests, {REQUESTS / seconds:.0f} per second; {noisy.faults} faults, {line}")

        files = [write_pnm(sample.sent, folder / f"{index}.pnm") for index, sample in enumerate(samples)]
        rows = ask_program(program, "predict", address, *files)["predictions"]
        assert len(rows) == len(samples) == len(ask_program(program, "why", address, *files)["images"])
        for sample, found, why, row in zip(samples, answers, nearest, rows):
            near = [row["similarity"] for row in row["nearest"]]
            assert [single(value) for value in near] == [near.similarity for near in found.nearest]
            assert (row["class"], single(row["probability"])) == (names[found.class_index], found.probability)
            assert row["set"] == [names[slot] for slot in found.prediction_set]
            assert (row["known"], row["enough"], row["shots_needed"]) == (
                found.known, found.enough_shots, found.shots_needed,
            )
            assert why[:3] == found.nearest and [near["source"] for near in row["nearest"]] == [
                near.source.hex() for near in found.nearest
            ]
        assert ask_program(program, "status", address)["state_sha256"] == state.sha256.hex()

        # What one host taught, the other forgets, also in another file format.
        with client.connect(address) as device:
            learned = device.learn(0, samples[0].sent)
        assert learned.supports and ask_program(program, "forget", address, "--sample", files[0])
        with client.connect(address) as device:
            assert device.forget(samples[0].sent.source) is None
            device.factory_reset()
            assert device.classes() == []
        assert ask_program(program, "learn", address, "--class", "scar", "--operator", "5", *files)["learned"] == len(files)
        with client.connect(address) as device:
            found = {support.source: support for support in device.export_state().supports}
            assert sorted(found) == sorted(sample.sent.source for sample in samples)
            for sample in samples:
                assert found[sample.sent.source].feature.integers() == sample.feature
                assert found[sample.sent.source].provenance.operator == 5
            device.factory_reset()
        check_teach(address, folder, files, samples)


def check_bundles(device):
    bundle, before = BUNDLE.read_bytes(), device.bundles()
    assert before.sha256 == hashlib.sha256(bundle).digest() and before.candidate is None
    refusal = refused(lambda: device.send_bundle(bytes(100_000)))
    assert (refusal.reason, refusal.found) == (client.Reason.BUNDLE_REFUSED, 2), refusal
    # The device has it and takes it from its own slot.
    assert device.send_bundle(bundle) == before.slot and device.bundles() == before
    results = device.self_test()
    assert all(result.outcome is client.Outcome.PASSED for result in vars(results).values()), results


def single(value):
    """The nearest number of 32 bits."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def teach(*arguments, code=0):
    """What examples/python/teach.py prints."""
    script = ROOT / "examples" / "python" / "teach.py"
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    assert done.returncode == code, (done.args, done.stdout, done.stderr)
    return done.stdout + done.stderr


def check_teach(address, folder, files, samples):
    """The program of the example, with image files of three kinds."""
    kinds = [[file for file, sample in zip(files, samples) if sample.kind == kind] for kind in (0, 1)]
    for name, (first, *rest, _) in zip(["nodule", "scar"], kinds):
        assert f"{first}: learned, 1 of '{name}' now" in teach(address, "learn", name, "--operator", "7", first, *rest)
    assert teach(address, "learn", "nodule", kinds[0][0]).count("known already") == 1
    for name, (*_, last) in zip(["nodule", "scar"], kinds):
        printed = teach(address, "predict", last)
        assert f"{last}: {name} " in printed or "I don't know" in printed, printed
        assert f" {name}, taught by 7 at " in teach(address, "why", last)
    image = next(sample.sent for sample in samples if sample.sent.channels == 1 and sample.kind == 2)
    raw, png = folder / "pixels", folder / "image.png"
    raw.write_bytes(image.pixels)
    teach(address, "learn", "raw", "--raw", f"{image.width}x{image.height}", raw)
    with contextlib.suppress(ImportError):
        import PIL.Image

        PIL.Image.frombytes("L", (image.width, image.height), image.pixels).save(png)
        assert "forgotten" in teach(address, "forget", png)
        assert "was not taught" in teach(address, "forget", png)
    assert "samples in 3 of 255 classes" in teach(address, "status")
    assert "pixels" in teach(address, "predict", "--raw", "3x3", raw, code=2)
    assert "error rate" in teach(address, "predict", "--error-rate", "80", files[0], code=4)
    assert "refused" in teach("localhost:1", "status", code=4)
    assert "infinity" in teach(address, "predict", "--error-rate", "inf", files[0], code=2)
    assert "65535" in teach("localhost:70000", "status", code=2)
    # The reader of the output has gone.
    script = ROOT / "examples" / "python" / "teach.py"
    with subprocess.Popen([sys.executable, script, address, "status"], stdout=subprocess.PIPE) as gone:
        gone.stdout.close()
        assert gone.wait() == 141


# ---- A serial line --------------------------------------------------------------------------------------------------


class SerialLine:
    """Two pseudo-terminals, and what is written to one comes out of the other."""

    def __init__(self):
        pairs = [pty.openpty() for _ in range(2)]
        self.masters, self.slaves = zip(*pairs)
        for slave in self.slaves:
            tty.setraw(slave)
        self.paths = [os.ttyname(slave) for slave in self.slaves]
        threading.Thread(target=self.carry, daemon=True).start()

    def carry(self):
        # The slaves stay open here: without them, a read fails while a program restarts.
        while True:
            for ready in select.select(self.masters, [], [])[0]:
                os.write(self.masters[1 - self.masters.index(ready)], os.read(ready, 4096))


def check_serial(program, folder):
    """Over a serial line, on which the device restarts."""
    line, store = SerialLine(), folder / "serial.store"
    drawn = random.Random(8)
    address = f"serial:{line.paths[0]}:115200"
    with device_program(program, store, address) as process:
        listening(process)
        device = client.Device(client.open_stream(f"serial:{line.paths[1]}:115200"), attempts=8)
        samples = [Sample(device, stripes(kind, 64, 48, 1, drawn), kind) for kind in range(2) for _ in range(4)]
        conversation = Conversation(device, samples, ["a", "b"], 2)
        conversation.run(100)
    with device_program(program, store, address) as process:
        listening(process)
        conversation.run(100)
        check_other_host(device, drawn)
        device.close()
    print(f"serial line: {device.requests} requests")


def check_other_host(device, drawn):
    """Another host sends its image after this one's: the device must not learn that as this one's."""
    mine, theirs, stream = stripes(0, 64, 48, 1, drawn), stripes(1, 64, 48, 1, drawn), device._stream
    carry = stream.write
    expected = device.embed(mine)

    def write(frame):
        (packet,) = client.FrameDecoder().feed(frame)
        if packet[9] == 9:
            del stream.write
            client.Device(stream).embed(theirs)
        carry(frame)

    stream.write = write
    assert device.learn(0, mine).new
    found = {support.source: support.feature for support in device.export_state().supports}
    assert found[mine.source].values == expected.values


# ---- The Cortex-M image ---------------------------------------------------------------------------------------------


def check_board(image, folder):
    """The Cortex-M image in QEMU, whose UART are the pipes of the emulator. It takes features."""
    flash = folder / "flash"
    with open(flash, "wb") as file:
        file.write(b"\xff" * 512 * 1024)
        file.truncate(16 << 20)
    command = [
        "qemu-system-arm", "-M", "mps2-an500,memory-backend=flash", "-display", "none", "-monitor", "none",
        "-object", f"memory-backend-file,id=flash,size=16M,share=on,mem-path={flash}",
        "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line",
        "-semihosting-config", "enable=on,target=native", "-kernel", image,
    ]  # fmt: skip
    drawn = random.Random(9)
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        with client.Device(client.PipeStream(process.stdout, process.stdin)) as device:
            assert (device.hello.program, device.hello.channels) == ("macula-cortex-m", 0), device.hello
            assert refused(lambda: device.embed(client.Image(1, 1, 1, b"\0"))).reason is client.Reason.NO_ENCODER
            centres = [[drawn.gauss(0, 1) for _ in range(device.hello.dim)] for _ in range(4)]
            features = [
                (client.Feature.from_floats([value + drawn.gauss(0, 0.4) for value in centre]), kind)
                for kind, centre in enumerate(centres)
                for _ in range(12)
            ]
            samples = [Sample(device, feature, kind) for feature, kind in features]
            started = time.monotonic()
            conversation = Conversation(device, samples, [f"class {kind}" for kind in range(4)], 3)
            conversation.run(REQUESTS)
            seconds = time.monotonic() - started
            line = device.status().line
            assert line.requests == device.requests, (line, device.requests)
            print(f"Cortex-M in QEMU: {device.requests} requests, {REQUESTS / seconds:.0f} per second; {line}")


def main():
    what, given = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if what == "board":
            check_board(given, folder)
        else:
            check_document()
            check_device(given, folder)
            check_serial(given, folder)


if __name__ == "__main__":
    main()
