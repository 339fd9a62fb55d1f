"""Writes DICOM files of many kinds and the pixels that pydicom reads, for tests/decode_pillow.rs.

    python tests/decode_dicom.py FOLDER

Each line of FOLDER/files.jsonl names a file, the raw bytes of its 8-bit pixels, their width, height and channels, the options
to read it with, and whether its compression loses information. A line with `refused` names a part of the error instead. Grey
is rescaled and windowed by pydicom; percentiles are NumPy's. The files that come with pydicom are read as well: each is
equal, or in REFUSED with the reason.
"""

import copy
import io
import itertools
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.data import data_manager
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_rescale, apply_windowing, convert_color_space, get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

WIDTH, HEIGHT = 66, 37
OUT = Path(sys.argv[1])
LINES = []

# Identifiers that no output may contain.
PATIENT_NAME, PATIENT_ID = "Unspeakable^Jane", "SECRET-4711"

# What Macula does not read of the files that come with pydicom, and a part of the reason.
REFUSED = {
    "JPEG-lossy.dcm": "12 bits per sample is not supported",
    "JPEG2000-embedded-sequence-delimiter.dcm": "JPEG 2000 of 14540801 tiles; at most 65535",
    "JPGExtended.dcm": "12 bits per sample is not supported",
    "MR_truncated.dcm": "PixelData",
    "SC_rgb_jpeg.dcm": "Too short of a length for App14 segment",
    "SC_rgb_jls_lossy_line.dcm": "JPEG-LS with 3 components is not supported",
    "SC_rgb_jls_lossy_sample.dcm": "JPEG-LS with 3 components is not supported",
    "SC_rgb_rle_32bit.dcm": "BitsStored is 32; expected 1 to 16",
    "SC_rgb_rle_32bit_2frame.dcm": "BitsStored is 32; expected 1 to 16",
    "badVR.dcm": "NumberOfFrames is not a number",
    "meta_missing_tsyntax.dcm": "no (0002,0010) TransferSyntaxUID",
    "rtplan_truncated.dcm": "truncated or damaged",
}


def picture(channels=1, frame=0):
    """Values from 0 to 1, [height, width] or [height, width, channels]. Smooth, without symmetry."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT - 1, WIDTH - 1]).reshape(2, 1, 1)
    planes = [x * 0.75 + (1 - y) * 0.25, 1 - y, (x + y) / 2]
    values = np.stack(planes[:channels], axis=-1) * (1 - 0.2 * frame)
    return values[..., 0] if channels == 1 else values


def new_data_set(photometric, **elements):
    """A data set without pixels, with identifiers that no output may contain."""
    data_set = Dataset()
    data_set.SOPClassUID = SecondaryCaptureImageStorage
    data_set.SOPInstanceUID = generate_uid(entropy_srcs=[str(len(LINES))])
    data_set.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    data_set.PatientName, data_set.PatientID = PATIENT_NAME, PATIENT_ID
    data_set.Rows, data_set.Columns = HEIGHT, WIDTH
    data_set.PhotometricInterpretation = photometric
    data_set.SamplesPerPixel = 1 if photometric.startswith(("MONO", "PAL")) else 3
    if data_set.SamplesPerPixel == 3:
        data_set.PlanarConfiguration = 0
    for name, value in elements.items():
        setattr(data_set, name, value)
    return data_set


def with_bits(data_set, allocated, stored=None, high=None, signed=0):
    data_set.BitsAllocated, data_set.BitsStored = allocated, stored or allocated
    data_set.HighBit = (stored or allocated) - 1 if high is None else high
    data_set.PixelRepresentation = signed
    return data_set


def written(data_set, syntax, name):
    """The path of a new file."""
    data_set = copy.deepcopy(data_set)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    path = OUT / f"{len(LINES):03}-{name}"
    # Without the extension, every other file shows that files are recognised by content.
    path = path.with_suffix(".dcm") if len(LINES) % 2 == 0 else path
    dcmwrite(path, data_set, enforce_file_format=True)
    return path


def to_bytes(values, low, high):
    """Maps values to 0 to 255 by the range from black to white."""
    return np.floor(np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)


def grey(data_set, stored, window, limits):
    """8-bit grey of the stored samples."""
    values = apply_rescale(stored, data_set).astype(np.float64)
    is_rescaled = data_set.get("RescaleSlope", 1) != 1 or data_set.get("RescaleIntercept", 0) != 0
    is_small = data_set.BitsStored <= 8 and not data_set.PixelRepresentation and not is_rescaled
    if limits and not is_small:
        pixels = to_bytes(values, *limits)
    elif window == "file" and data_set.get("WindowCenter") is not None:
        shown = apply_windowing(values, data_set, index=0)
        # What the largest and the smallest possible values become.
        low, high = apply_windowing(np.array([-1e9, 1e9]), data_set, index=0)
        pixels = to_bytes(shown, low, high)
    elif window == "file" and is_small:
        pixels = to_bytes(values, 0, 2**data_set.BitsStored - 1)
    else:
        kept = stored != data_set.PixelPaddingValue if "PixelPaddingValue" in data_set else np.full(stored.shape, True)
        low, high = np.percentile(values[kept], [0.5, 99.5], method="inverted_cdf")
        pixels = to_bytes(values, low, high if high > low else low + 1)
    return 255 - pixels if data_set.PhotometricInterpretation == "MONOCHROME1" else pixels


def by_pydicom(data_set, frame, window, limits):
    """8-bit grey or RGB of one frame."""
    decoder = get_decoder(data_set.file_meta.TransferSyntaxUID)
    # pydicom does not find a frame of single bits that begins within a byte.
    is_bits = data_set.BitsAllocated == 1
    stored, about = decoder.as_array(data_set, index=None if is_bits else frame, raw=True)
    stored = stored[frame] if is_bits and stored.ndim == 3 else stored
    photometric = about["photometric_interpretation"]
    if photometric.startswith("MONOCHROME"):
        return grey(data_set, stored, window, limits)
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(stored, data_set)
        return to_bytes(colours, 0, np.iinfo(colours.dtype).max)
    if photometric.startswith("YBR"):
        stored = convert_color_space(stored, photometric, "RGB")
    return to_bytes(stored, *(limits or (0, 2**data_set.BitsStored - 1)))


def note(path, frame=0, window="file", limits=None, loses=False, same_as=None):
    """A line for a file that pydicom reads; `same_as` is a data set with the same pixels if it ignores an element."""
    pixels = np.ascontiguousarray(by_pydicom(same_as or dcmread(path), frame, window, limits))
    expected = OUT / f"{len(LINES):03}.raw"
    expected.write_bytes(pixels.tobytes())
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    line = {"file": str(path), "expected": expected.name, "width": width, "height": height, "channels": channels}
    line |= {"range": [float(limit) for limit in limits] if limits else None, "window": window, "frame": frame, "loses": loses}
    LINES.append(json.dumps(line))


def note_refused(path, reason):
    LINES.append(json.dumps({"file": str(path), "refused": reason}))


def add(data_set, name, syntax=ExplicitVRLittleEndian, **options):
    note(written(data_set, syntax, name), **options)


def native(data_set, values):
    """Sets uncompressed pixels."""
    data_set.PixelData = np.ascontiguousarray(values).tobytes()
    if len(data_set.PixelData) % 2:
        data_set.PixelData += b"\0"
    data_set["PixelData"].VR = "OB" if data_set.BitsAllocated <= 8 else "OW"
    return data_set


def stored_values(bits, signed, high=None, frame=0):
    """Samples that use all values of `bits`, in their container."""
    low, top = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = np.rint(low + picture(frame=frame) * (top - low)).astype(np.int64)
    return (values & (2**bits - 1)) << (0 if high is None else high + 1 - bits)


def shifted(values, bits, high):
    """Samples in the lowest bits of their container."""
    return values if high is None else values >> (high + 1 - bits)


def greys():
    """All kinds of grey samples, photometric interpretations, rescaling and windows, uncompressed."""
    kinds = [(8, 8, None), (8, 6, None), (16, 16, None), (16, 12, None), (16, 10, None), (16, 12, 15), (32, 32, None)]
    for (allocated, stored, high), signed in itertools.product(kinds, [0, 1]):
        values = stored_values(stored, signed, high).astype(f"u{allocated // 8}")
        for photometric in ["MONOCHROME1", "MONOCHROME2"]:
            data_set = native(with_bits(new_data_set(photometric), allocated, stored, high, signed), values)
            name = f"grey-{allocated}-{stored}-{high}-{signed}-{photometric[-1]}"
            # pydicom ignores HighBit.
            low = native(with_bits(new_data_set(photometric), allocated, stored, None, signed), shifted(values, stored, high))
            low.file_meta = FileMetaDataset()
            low.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            add(data_set, name, same_as=low)
            add(data_set, name + "-stated", limits=(-100.0, 2000.0), same_as=low)
            add(data_set, name + "-percentile", window="percentile", same_as=low)
    for function, slope in itertools.product(["LINEAR", "LINEAR_EXACT", "SIGMOID", None], [1, 0.684, -2]):
        for photometric in ["MONOCHROME1", "MONOCHROME2"]:
            data_set = with_bits(new_data_set(photometric), 16, 12)
            data_set.RescaleSlope, data_set.RescaleIntercept = slope, -1024
            # Several windows: the first is used.
            data_set.WindowCenter, data_set.WindowWidth = [40.5, 300], [401, 2000]
            if function:
                data_set.VOILUTFunction = function
            native(data_set, stored_values(12, 0).astype("u2"))
            name = f"window-{function}-{slope}-{photometric[-1]}"
            add(data_set, name)
            add(data_set, name + "-stated", limits=(-160.0, 240.0))
            add(data_set, name + "-percentile", window="percentile")
    small = with_bits(new_data_set("MONOCHROME2", WindowCenter=100, WindowWidth=50), 8)
    add(native(small, stored_values(8, 0).astype("u1")), "window-8-bits")
    threshold = with_bits(new_data_set("MONOCHROME2", WindowCenter=100, WindowWidth=1), 8)
    add(native(threshold, stored_values(8, 0).astype("u1")), "window-of-width-1")
    padded = with_bits(new_data_set("MONOCHROME2", PixelPaddingValue=-2000), 16, signed=1)
    values = stored_values(10, 0).astype("i2")
    values[:, :9] = -2000
    add(native(padded, values), "padding")
    constant = with_bits(new_data_set("MONOCHROME2"), 16)
    add(native(constant, np.full((HEIGHT, WIDTH), 77, "u2")), "constant")
    bits = with_bits(new_data_set("MONOCHROME2", NumberOfFrames=2), 1)
    frames = np.stack([picture(frame=frame) > 0.5 for frame in range(2)]).astype(np.uint8)
    native(bits, np.packbits(frames.ravel(), bitorder="little"))
    for frame in range(2):
        add(bits, f"bits-{frame}", frame=frame)


def syntaxes():
    """The ways to write a data set."""
    for syntax in [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]:
        data_set = with_bits(new_data_set("MONOCHROME2", WindowCenter=500, WindowWidth=1000), 16, 12)
        private = data_set.private_block(0x0011, "Macula test", create=True)
        nested = Dataset()
        nested.PatientID = PATIENT_ID
        private.add_new(0x01, "SQ", Sequence([nested, nested]))
        add(native(data_set, stored_values(12, 0).astype("u2")), "syntax", syntax=syntax)
        rgb = with_bits(new_data_set("RGB"), 8)
        add(native(rgb, to_bytes(picture(3), 0, 1)), "syntax-rgb", syntax=syntax)
    for bits in [8, 16, 32]:
        data_set = with_bits(new_data_set("MONOCHROME2"), bits)
        values = stored_values(bits, 0).astype(f">u{bits // 8}")
        native(data_set, values)
        add(data_set, f"big-endian-{bits}", syntax=ExplicitVRBigEndian)


def colours():
    values = to_bytes(picture(3), 0, 1)
    for planar, deep in itertools.product([0, 1], [False, True]):
        data_set = with_bits(new_data_set("RGB"), 16 if deep else 8)
        data_set.PlanarConfiguration = planar
        samples = np.rint(picture(3) * 65535).astype("u2") if deep else values
        stored = np.moveaxis(samples, -1, 0) if planar else samples
        add(native(data_set, stored), f"rgb-{planar}-{deep}")
        if deep:
            add(data_set, f"rgb-{planar}-{deep}-stated", limits=(1000.0, 50000.0))
    ybr = np.asarray(Image.fromarray(values).convert("YCbCr"))
    for planar in [0, 1]:
        data_set = with_bits(new_data_set("YBR_FULL"), 8)
        data_set.PlanarConfiguration = planar
        add(native(data_set, np.moveaxis(ybr, -1, 0) if planar else ybr), f"ybr-{planar}", loses=True)
    half = with_bits(new_data_set("YBR_FULL_422"), 8)
    pairs = ybr.reshape(HEIGHT, WIDTH // 2, 2, 3)
    packed = np.stack([pairs[:, :, 0, 0], pairs[:, :, 1, 0], pairs[:, :, 0, 1], pairs[:, :, 0, 2]], axis=-1)
    add(native(half, packed), "ybr-422", loses=True)
    for bits, first in itertools.product([8, 16], [0, 20]):
        data_set = with_bits(new_data_set("PALETTE COLOR"), 8)
        entries = 200
        largest = 255 if bits == 8 else 65535
        for name, curve in [("Red", 1.0), ("Green", 2.0), ("Blue", 0.5)]:
            table = np.rint(np.linspace(0, 1, entries) ** curve * largest).astype(f"u{bits // 8}")
            setattr(data_set, f"{name}PaletteColorLookupTableDescriptor", [entries, first, bits])
            setattr(data_set, f"{name}PaletteColorLookupTableData", table.tobytes())
        for name in ["Red", "Green", "Blue"]:
            data_set[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
            data_set[f"{name}PaletteColorLookupTableData"].VR = "OW"
        add(native(data_set, stored_values(8, 0).astype("u1")), f"palette-{bits}-{first}")


def frames():
    stack = np.stack([stored_values(12, 0, frame=frame) for frame in range(5)]).astype("u2")
    data_set = native(with_bits(new_data_set("MONOCHROME2", NumberOfFrames=5), 16, 12), stack)
    for frame in [0, 2, 4]:
        add(data_set, f"frames-{frame}", frame=frame)
    packed = copy.deepcopy(data_set)
    packed.file_meta = FileMetaDataset()
    packed.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    packed.compress(RLELossless, generate_instance_uid=False)
    for frame in [0, 3]:
        add(packed, f"frames-rle-{frame}", syntax=RLELossless, frame=frame)
    rgb = [np.asarray(Image.fromarray(to_bytes(picture(3, frame), 0, 1))) for frame in range(3)]
    several = with_bits(new_data_set("YBR_FULL_422", NumberOfFrames=3), 8)
    for fragments, has_offsets in itertools.product([1, 2], [True, False]):
        coded = [encoded(Image.fromarray(values), "JPEG", quality=95) for values in rgb]
        several.PixelData = encapsulate(coded, fragments_per_frame=fragments, has_bot=has_offsets)
        several["PixelData"].is_undefined_length = True
        for frame in range(3):
            name = f"frames-jpeg-{fragments}-{has_offsets}-{frame}"
            add(several, name, syntax=JPEGBaseline8Bit, frame=frame, loses=True)


def encoded(image, file_format, **options):
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def compressed():
    """One frame in every compression that Python packages write."""
    for allocated, stored, signed in [(8, 8, 0), (16, 12, 0), (16, 16, 1)]:
        data_set = with_bits(new_data_set("MONOCHROME2"), allocated, stored, signed=signed)
        native(data_set, stored_values(stored, signed).astype(f"u{allocated // 8}"))
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for syntax in [RLELossless, JPEG2000Lossless, JPEGLSLossless]:
            packed = copy.deepcopy(data_set)
            packed.compress(syntax, generate_instance_uid=False)
            add(packed, f"{syntax.name.split()[0]}-{allocated}-{stored}-{signed}", syntax=syntax)
        if not signed:
            near = copy.deepcopy(data_set)
            near.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
            add(near, f"JPEG-LS-near-{stored}", syntax=JPEGLSNearLossless)
            lossy = copy.deepcopy(data_set)
            lossy.compress(JPEG2000, j2k_cr=[10], generate_instance_uid=False)
            add(lossy, f"JPEG2000-lossy-{stored}", syntax=JPEG2000, loses=True)
    values = to_bytes(picture(3), 0, 1)
    data_set = native(with_bits(new_data_set("RGB"), 8), values)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for syntax, photometric in [(RLELossless, "RGB"), (JPEG2000Lossless, "YBR_RCT"), (JPEG2000, "YBR_ICT")]:
        packed = copy.deepcopy(data_set)
        packed.PhotometricInterpretation = photometric if syntax != RLELossless else "RGB"
        options = {"j2k_cr": [8]} if syntax == JPEG2000 else {}
        packed.compress(syntax, generate_instance_uid=False, **options)
        add(packed, f"{photometric}-{syntax.name.split()[0]}", syntax=syntax, loses=syntax == JPEG2000)
    for mode, subsampling, rgb in [("L", 0, False), ("RGB", 0, False), ("RGB", 1, False), ("RGB", 2, False), ("RGB", 0, True)]:
        photometric = "MONOCHROME2" if mode == "L" else "RGB" if rgb else "YBR_FULL_422" if subsampling == 1 else "YBR_FULL"
        packed = with_bits(new_data_set(photometric), 8)
        image = Image.fromarray(values if mode == "RGB" else values[..., 0])
        options = {"keep_rgb": True} if rgb else {"subsampling": subsampling} if mode == "RGB" else {}
        packed.PixelData = encapsulate([encoded(image, "JPEG", quality=95, **options)])
        packed["PixelData"].is_undefined_length = True
        add(packed, f"jpeg-{mode}-{subsampling}-{rgb}", syntax=JPEGBaseline8Bit, loses=True)


def enhanced():
    """Window and rescaling in functional groups, shared and of each frame."""
    stack = np.stack([stored_values(12, 0, frame=frame) for frame in range(3)]).astype("u2")
    data_set = native(with_bits(new_data_set("MONOCHROME2", NumberOfFrames=3), 16, 12), stack)
    rescale, shared = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, -1000
    shared.PixelValueTransformationSequence = Sequence([rescale])
    data_set.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for frame in range(3):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = 500 + 400 * frame, 900
        group.FrameVOILUTSequence = Sequence([window])
        groups.append(group)
    data_set.PerFrameFunctionalGroupsSequence = Sequence(groups)
    for syntax, frame in itertools.product([ImplicitVRLittleEndian, ExplicitVRLittleEndian], range(3)):
        path = written(data_set, syntax, f"enhanced-{frame}")
        # pydicom looks at the top level only.
        flat = dcmread(path)
        flat.RescaleSlope, flat.RescaleIntercept = rescale.RescaleSlope, rescale.RescaleIntercept
        flat.WindowCenter, flat.WindowWidth = 500 + 400 * frame, 900
        note(path, frame=frame, same_as=flat)


def of_pydicom():
    """The files that come with pydicom."""
    root = Path(data_manager.DATA_ROOT) / "test_files"
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        if path.read_bytes()[128:132] != b"DICM":
            note_refused(path, "unknown format")
            continue
        if path.name in REFUSED:
            note_refused(path, REFUSED[path.name])
            continue
        data_set = dcmread(path)
        if "PixelData" not in data_set or "Rows" not in data_set:
            note_refused(path, "the DICOM file has no ")
            continue
        loses = data_set.file_meta.TransferSyntaxUID in [JPEGBaseline8Bit, JPEG2000]
        for frame in sorted({0, int(data_set.get("NumberOfFrames") or 1) - 1}):
            note(path, frame=frame, loses=loses)


def main():
    warnings.simplefilter("ignore")
    OUT.mkdir(parents=True, exist_ok=True)
    for part in [greys, syntaxes, colours, frames, compressed, enhanced, of_pydicom]:
        part()
    (OUT / "files.jsonl").write_text("\n".join(LINES) + "\n")
    print(f"{len(LINES)} files in {OUT}")


if __name__ == "__main__":
    main()
