"""Writes image files of many kinds and the pixels that Pillow reads, for tests/decode_pillow.rs.

    python tests/decode_pillow.py FOLDER

Each line of FOLDER/files.jsonl names a file, the raw bytes of its 8-bit pixels, their width, height and channels, and the
range of raw values to state, if any. Files that Pillow cannot open are read by tifffile and mapped to 8 bits by NumPy. The
image is smooth, has no symmetry and odd sides, so that rotations and padding are detected.
"""

import io
import itertools
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

WIDTH, HEIGHT = 45, 29
OUT = Path(sys.argv[1])
LINES = []


def picture(channels):
    """Values from 0 to 1, [height, width, channels]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT - 1, WIDTH - 1]).reshape(2, 1, 1)
    planes = [x, 1 - y, (x + y) / 2, 0.25 + 0.75 * (1 - x) * y]
    return np.stack(planes[:channels], axis=-1)


def grey(x_of=0):
    values = picture(3)
    return (values[..., 0] * 3 + values[..., 1]) / 4 if x_of == 0 else values[..., x_of]


def to_bytes(values, limits):
    """Maps values to 0 to 255 by the range from black to white."""
    low, high = limits
    return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def natural(dtype):
    return (0, 1) if dtype.kind == "f" else (0, np.iinfo(dtype).max)


def by_pillow(path, limits):
    """The 8-bit pixels that Pillow reads, upright, alpha dropped."""
    # From memory, because Pillow applies the orientation of a memory-mapped grey TIFF twice.
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        upright = ImageOps.exif_transpose(image)
    if upright.mode in ("1", "LA", "La"):
        upright = upright.convert("LA").getchannel(0) if upright.mode != "1" else upright.convert("L")
    elif upright.mode == "RGBa":
        upright = upright.convert("RGBA").convert("RGB")
    elif upright.mode in ("P", "PA", "RGBA", "RGBX", "CMYK"):
        upright = upright.convert("RGB")
    values = np.asarray(upright)
    if values.dtype == np.uint8:
        return values
    return to_bytes(values, limits or (0, 65535))


def note(path, pixels, limits=None):
    pixels = np.ascontiguousarray(pixels)
    expected = path.with_name(path.name + ".raw")
    expected.write_bytes(pixels.tobytes())
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    line = {"file": path.name, "expected": expected.name, "width": width, "height": height, "channels": channels}
    line["range"] = [float(limit) for limit in limits] if limits else None
    LINES.append(json.dumps(line))


def new_file(*parts):
    name = "-".join(str(part) for part in parts if part not in (None, "")).replace(" ", "")
    return OUT / f"{len(LINES):03}-{name}"


def save(image, file_format, *parts, limits=None, **options):
    """One file written by Pillow, with the pixels that Pillow reads."""
    path = new_file(file_format, image.mode, *parts)
    image.save(path, file_format, **options)
    note(path, by_pillow(path, limits), limits)
    return path


def exif(orientation):
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def xmp(orientation):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def modes():
    """The image in the modes of Pillow."""
    colour = Image.fromarray(to_bytes(picture(3), (0, 1)))
    with_alpha = Image.fromarray(to_bytes(picture(4), (0, 1)), "RGBA")
    plain = Image.fromarray(to_bytes(grey(), (0, 1)))
    grey_alpha = Image.merge("LA", [plain, Image.fromarray(to_bytes(grey(1), (0, 1)))])
    deep = Image.fromarray((grey() * 65535).astype(np.uint16))
    return {
        "1": plain.convert("1"),
        "L": plain,
        "LA": grey_alpha,
        "P": colour.quantize(64),
        "RGB": colour,
        "RGBA": with_alpha,
        "CMYK": colour.convert("CMYK"),
        "I;16": deep,
        "I": Image.fromarray((grey() * 100000 - 30000).astype(np.int32)),
        "F": Image.fromarray(grey().astype(np.float32)),
    }


def jpegs(of):
    for mode, progressive, orientation in itertools.product(["L", "RGB"], [False, True], range(1, 9)):
        options = {"quality": 95, "progressive": progressive, "exif": exif(orientation)}
        save(of[mode], "JPEG", "progressive" if progressive else "", orientation, **options)
    for subsampling, progressive in itertools.product([0, 1, 2], [False, True]):
        options = {"quality": 95, "subsampling": subsampling, "progressive": progressive}
        save(of["RGB"], "JPEG", "subsampling", subsampling, progressive, **options)
    for progressive in [False, True]:
        save(of["CMYK"], "JPEG", progressive, quality=95, progressive=progressive)
        for rows in [1, 2]:
            options = {"quality": 95, "restart_marker_rows": rows, "progressive": progressive}
            save(of["RGB"], "JPEG", "restart", rows, progressive, **options)
    for orientation in [3, 6]:
        save(of["RGB"], "JPEG", "xmp", orientation, quality=95, xmp=xmp(orientation))
    save(of["RGB"], "JPEG", "exif-before-xmp", quality=95, xmp=xmp(6), exif=exif(8))
    save(of["RGB"], "JPEG", "keep-rgb", quality=95, keep_rgb=True)
    save(of["RGB"], "JPEG", "optimize", quality=95, optimize=True)
    save(of["L"], "JPEG", "restart", quality=90, restart_marker_blocks=3)


def pngs(of):
    for orientation in range(1, 9):
        save(of["RGB"], "PNG", orientation, exif=exif(orientation))
    for mode in ["1", "L", "LA", "P", "RGBA", "I;16"]:
        save(of[mode], "PNG")
        save(of[mode], "PNG", 6, exif=exif(6))
    for bits in [1, 2, 4]:
        save(of["RGB"].quantize(2**bits), "PNG", "bits", bits, bits=bits)
    save(of["P"], "PNG", "transparent", transparency=3)
    save(of["L"], "PNG", "transparent", transparency=100)
    save(of["RGB"], "PNG", "animated", save_all=True, append_images=[ImageOps.mirror(of["RGB"])])
    low = Image.fromarray((grey() * 1023).astype(np.uint16))
    save(low, "PNG", "ten-bits")
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(6).decode())
    save(of["RGB"], "PNG", "xmp", pnginfo=text)
    save(low, "PNG", "ten-bits-stated", limits=(0, 1023))


def others(of):
    for mode in ["1", "L", "P", "RGB"]:
        save(of[mode], "GIF")
        save(of[mode], "BMP")
    save(of["P"], "GIF", "plain-rows", interlace=0)
    save(of["P"], "GIF", "transparent", transparency=5)
    save(of["P"], "GIF", "animated", save_all=True, append_images=[ImageOps.flip(of["P"])])
    save(of["RGBA"], "BMP")
    for mode in ["1", "L", "RGB", "I;16"]:
        save(of[mode], "PPM")
    path = new_file("PGM", "ascii")
    rows = to_bytes(grey(), (0, 1)) // 2
    path.write_bytes(b"P2\n# half\n%d %d\n127\n" % (WIDTH, HEIGHT) + b" ".join(b"%d" % value for value in rows.ravel()))
    note(path, to_bytes(rows, (0, 127)))
    path = new_file("PGM", "ten-bits")
    rows = (grey() * 1023).astype(">u2")
    path.write_bytes(b"P5 %d %d 1023\n" % (WIDTH, HEIGHT) + rows.tobytes())
    note(path, to_bytes(rows, (0, 1023)))
    path = new_file("PGM", "ten-bits-stated")
    path.write_bytes(b"P5 %d %d 1023\n" % (WIDTH, HEIGHT) + rows.tobytes())
    note(path, to_bytes(rows, (100, 900)), (100, 900))
    for mode, lossless in itertools.product(["RGB", "RGBA"], [False, True]):
        save(of[mode], "WebP", lossless, lossless=lossless, quality=95, exact=True)
    for orientation in range(2, 9):
        save(of["RGB"], "WebP", orientation, lossless=True, exif=exif(orientation))
    save(of["RGB"], "WebP", "xmp", lossless=True, xmp=xmp(6))
    frames = [ImageOps.mirror(of["RGB"])]
    save(of["RGB"], "WebP", "animated", lossless=True, save_all=True, append_images=frames)


def tiffs(of):
    packed = {"raw": None, "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "packbits": "packbits"}
    kinds = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]
    for mode, (name, compression) in itertools.product(kinds, packed.items()):
        save(of[mode], "TIFF", name, compression=compression)
    for orientation, mode in itertools.product(range(2, 9), ["L", "RGB"]):
        save(of[mode], "TIFF", orientation, tiffinfo={274: orientation})
    for compression in ["tiff_lzw", "tiff_adobe_deflate"]:
        for mode in ["L", "RGB", "RGBA"]:
            save(of[mode], "TIFF", "predictor", compression, compression=compression, tiffinfo={317: 2})
    for mode in ["L", "RGB"]:
        save(of[mode], "TIFF", "jpeg", compression="jpeg", quality=95)
        save(of[mode], "TIFF", "big", big_tiff=True)
        save(of[mode], "TIFF", "pages", save_all=True, append_images=[ImageOps.mirror(of[mode])])
    save(of["RGB"], "TIFF", "xmp", tiffinfo={700: xmp(8)})
    save(of["1"], "TIFF", "group4", compression="group4")
    strips = TiffImagePlugin.ImageFileDirectory_v2()
    strips[278] = 7
    save(of["RGB"], "TIFF", "strips", compression="tiff_lzw", tiffinfo=strips)
    save(of["I"], "TIFF", "stated", limits=(-30000, 70000))
    save(of["F"], "TIFF", limits=(0, 1))


def arrays():
    """Layouts written by tifffile that Pillow does not write and mostly does not read."""
    kinds = [np.dtype(kind) for kind in ["u1", "u2", "f2", "f4", "f8", "i2", "u4", "i4", "i1"]]
    for dtype, planar, tile in itertools.product(kinds, ["contig", "separate"], [None, (16, 32)]):
        for compression, predictor in [(None, None), ("zlib", None), ("zlib", True)]:
            if predictor and dtype.kind == "f":
                continue  # see write_floats
            write_array(dtype, planar, tile, compression, predictor)
    for dtype, photometric in itertools.product(["u1", "u2", "f4"], ["minisblack", "miniswhite"]):
        write_grey(np.dtype(dtype), photometric)
    for byteorder, bigtiff in itertools.product("<>", [False, True]):
        write_grey(np.dtype("u2"), "minisblack", byteorder=byteorder, bigtiff=bigtiff, rowsperstrip=4)
        write_grey(np.dtype("f4"), "minisblack", byteorder=byteorder, bigtiff=bigtiff, compression="zlib")
    extras = ["unassalpha", "assocalpha", "unspecified"]
    for kind, planar, predictor in itertools.product(extras, ["contig", "separate"], [None, True]):
        write_extra(kind, planar, predictor)
    for dtype, channels in itertools.product(["f2", "f4", "f8"], [1, 3]):
        write_floats(np.dtype(dtype), channels)
    for bits in [1, 2, 4, 10, 12, 14]:
        write_bits(bits)
    write_reversed_bits()
    write_thumbnail_first()


def stated(dtype):
    """The range of the values of write_array for a kind of samples; none for the natural range."""
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return None
    return {"f": (-1.5, 300), "i": (-100, 120), "u": (1000, 3000000)}[dtype.kind]


def write_array(dtype, planar, tile, compression, predictor):
    limits = stated(dtype)
    low, high = limits or natural(dtype)
    values = (low + picture(3) * (high - low)).astype(dtype)
    if planar == "separate":
        values = np.moveaxis(values, -1, 0).copy()
    path = new_file("TIFF", dtype, planar, "tiles" if tile else "strips", compression, "predictor" if predictor else "")
    layout = {"tile": tile} if tile else {"rowsperstrip": 8}
    packing = {"compression": compression, "predictor": predictor}
    tifffile.imwrite(path, values, photometric="rgb", planarconfig=planar, **layout, **packing)
    read = tifffile.imread(path)
    if planar == "separate":
        read = np.moveaxis(read, 0, -1)
    note(path, to_bytes(read, limits or natural(dtype)), limits)


def write_grey(dtype, photometric, **options):
    low, high = natural(dtype)
    values = (low + grey() * (high - low)).astype(dtype)
    path = new_file("TIFF", dtype, photometric, *options.values())
    tifffile.imwrite(path, values, photometric=photometric, **options)
    pixels = to_bytes(tifffile.imread(path), (low, high))
    note(path, 255 - pixels if photometric == "miniswhite" else pixels)


def write_extra(kind, planar, predictor):
    values = to_bytes(picture(4), (0, 1))
    if kind == "assocalpha":
        values[..., :3] = np.minimum(values[..., :3], values[..., 3:])
    path = new_file("TIFF", kind, planar, "predictor" if predictor else "")
    stored = np.moveaxis(values, -1, 0).copy() if planar == "separate" else values
    packing = {"compression": "zlib", "predictor": True} if predictor else {}
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, extrasamples=[kind], **packing)
    if kind == "assocalpha":
        alpha = values[..., 3:].astype(np.float64)
        note(path, np.rint(np.minimum(values[..., :3] * 255.0 / alpha, 255)).astype(np.uint8))
    else:
        note(path, values[..., :3])


def write_bits(bits):
    """Samples that are not whole bytes, packed by NumPy; each row starts at a byte."""
    largest = 2**bits - 1
    values = np.rint(grey() * largest).astype(np.uint16)
    as_bits = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(as_bits.reshape(HEIGHT, -1).astype(np.uint8), axis=1)
    path = new_file("TIFF", "bits", bits)
    path.write_bytes(strip(rows.tobytes(), {258: bits}))
    note(path, to_bytes(values, (0, largest)))


def write_reversed_bits():
    reverse = np.array([int(f"{value:08b}"[::-1], 2) for value in range(256)], np.uint8)
    values = to_bytes(grey(), (0, 1))
    path = new_file("TIFF", "fill-order")
    path.write_bytes(strip(reverse[values].tobytes(), {258: 8, 266: 2}))
    note(path, values)


def write_floats(dtype, channels):
    """Adobe's predictor 3: the bytes of a row by significance, highest first, as differences from the previous byte."""
    values = picture(3)[..., :channels].astype(dtype)
    rows = values.reshape(HEIGHT, -1).astype(dtype.newbyteorder(">"))
    by_weight = rows.view(np.uint8).reshape(HEIGHT, -1, dtype.itemsize).transpose(0, 2, 1).reshape(HEIGHT, -1)
    stored = by_weight.copy()
    stored[:, channels:] -= by_weight[:, :-channels]
    tags = {258: 8 * dtype.itemsize, 259: 8, 262: 2 if channels == 3 else 1, 277: channels, 317: 3, 339: 3}
    path = new_file("TIFF", dtype, channels, "predictor")
    path.write_bytes(strip(zlib.compress(stored.tobytes()), tags))
    note(path, to_bytes(values if channels == 3 else values[..., 0], (0, 1)))


def strip(data, tags):
    """A little-endian TIFF of one strip."""
    tags = {256: WIDTH, 257: HEIGHT, 259: 1, 262: 1, 273: 0, 277: 1, 278: HEIGHT, 279: len(data)} | tags
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entry = lambda tag: tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + tags[tag].to_bytes(4, "little")
    table = len(tags).to_bytes(2, "little") + b"".join(entry(tag) for tag in sorted(tags)) + bytes(4)
    return b"II*\0\x08\0\0\0" + table + data


def write_thumbnail_first():
    values = to_bytes(picture(3), (0, 1))
    path = new_file("TIFF", "thumbnail-first")
    with tifffile.TiffWriter(path) as writer:
        writer.write(values[::4, ::4], photometric="rgb", subfiletype=1)
        writer.write(values, photometric="rgb")
    note(path, values)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    of = modes()
    jpegs(of)
    pngs(of)
    others(of)
    tiffs(of)
    arrays()
    (OUT / "files.jsonl").write_text("\n".join(LINES) + "\n")
    print(f"{len(LINES)} files in {OUT}")


if __name__ == "__main__":
    main()
