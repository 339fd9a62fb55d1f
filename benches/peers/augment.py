"""SimCLR augmentation on one thread: the counterpart of `macula bench augment --policy natural`.

augment.py PEER SIZE BATCH_SIZE

All apply the policy `natural`: random resized crop of 8 to 100 % of the area, horizontal flip (p = 0.5), jitter of brightness,
contrast, saturation and hue (p = 0.8), greyscale (p = 0.2). Rates are per second of processor time, so that other load on the
machine does not count.
"""
import sys
import time

import measured

CROP_AREA, JITTER, JITTER_PROBABILITY, GREY_PROBABILITY = (0.08, 1.0), (0.4, 0.4, 0.4, 0.1), 0.8, 0.2
SECONDS = 1.0


def torchvision_views(size):
    from torchvision.transforms import v2
    return v2.Compose([v2.RandomResizedCrop(size, scale=CROP_AREA), v2.RandomHorizontalFlip(0.5),
                       v2.RandomApply([v2.ColorJitter(*JITTER)], JITTER_PROBABILITY),
                       v2.RandomGrayscale(GREY_PROBABILITY)])


def kornia_views(size):
    import kornia.augmentation as K
    return K.AugmentationSequential(
        K.RandomResizedCrop((size, size), scale=CROP_AREA), K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(*JITTER, p=JITTER_PROBABILITY), K.RandomGrayscale(p=GREY_PROBABILITY), data_keys=["input"])


def views_of(peer, size, batch):
    """The peer's name and a function that augments a batch."""
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(1)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    if peer == "kornia-batch":
        import kornia
        floats, views = images.float() / 255, kornia_views(size)
        return f"kornia {kornia.__version__}, a batch at once", lambda: views(floats)
    import torchvision
    from torchvision.transforms import v2
    name, views = f"torchvision {torchvision.__version__.split('+')[0]} v2", torchvision_views(size)
    if peer == "torchvision-tensor":
        return f"{name}, tensors one by one", lambda: [views(image) for image in images]
    if peer == "torchvision-pil":
        pictures = [v2.functional.to_pil_image(image) for image in images]
        return f"{name}, PIL images one by one", lambda: [views(picture) for picture in pictures]
    return f"{name}, a batch at once (one draw for all)", lambda: views(images)


def main():
    peer, size, batch = sys.argv[1], *map(int, sys.argv[2:])
    name, views = views_of(peer, size, batch)
    views()
    start, batches = time.thread_time(), 0
    while time.thread_time() - start < SECONDS:
        views()
        batches += 1
    measured.report(peer=name, images_per_cpu_second=batch * batches / (time.thread_time() - start))


measured.or_missing(main)
