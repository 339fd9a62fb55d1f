import { Failure } from "../api/failure.ts";

/** Pixels of the longer side above which a camera photograph is made smaller. */
export const CAMERA_PIXELS = 2000;

/** The size of an image whose longer side is at most `longest`. */
export function fit(width: number, height: number, longest: number): { width: number; height: number } {
  const scale = Math.min(1, longest / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

export function toBlob(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Failure("image", "canvas.toBlob"))), "image/jpeg", 0.92));
}

async function draw(image: Blob, longest: number): Promise<Blob> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(image);
  } catch {
    throw new Failure("image", image instanceof File ? image.name : "");
  }
  const { width, height } = fit(bitmap.width, bitmap.height, longest);
  if (width === bitmap.width && image.type === "image/jpeg" && longest === CAMERA_PIXELS) return image;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return toBlob(canvas);
}

/** An image for a prediction: as it is if the server takes it, otherwise made smaller here. */
export async function forPrediction(image: Blob, limit: number): Promise<Blob> {
  if (image.size <= limit) return image;
  for (const longest of [CAMERA_PIXELS, 1000, 500]) {
    const smaller = await draw(image, longest);
    if (smaller.size <= limit) return smaller;
  }
  throw new Failure("too-large", `${image.size} > ${limit}`);
}

/** A photograph of this device's camera: at most `CAMERA_PIXELS` on the longer side. */
export async function forCamera(photograph: Blob, limit: number): Promise<Blob> {
  return forPrediction(await draw(photograph, CAMERA_PIXELS), limit);
}

/** Refuses a file for teaching that the server would refuse: it is never changed, because its pixels identify the sample. */
export function checkForTeaching(file: Blob, limit: number): void {
  if (file.size > limit) throw new Failure("too-large", `${file.size} > ${limit}`, { limit });
}
