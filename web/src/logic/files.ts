const IMAGE = /\.(png|jpe?g|jfif|tiff?|bmp|webp|gif|pgm|ppm|pnm|dcm|dicom|avif|heic)$/i;

/** Whether a file of a folder is worth sending; other files (notes, hidden files) are passed over. */
export function looksLikeImage(file: { name: string; type: string }): boolean {
  return !file.name.startsWith(".") && (file.type.startsWith("image/") || IMAGE.test(file.name));
}

async function walk(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  // A reader gives its entries in portions; an empty one is the end.
  for (;;) {
    const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (portion.length === 0) return found;
    for (const child of portion) found.push(...(await walk(child)).filter(looksLikeImage));
  }
}

/** The files of a drop or a paste; folders are opened. */
export async function filesOf(data: DataTransfer | null): Promise<File[]> {
  if (!data) return [];
  // Entries must be taken before the first pause: the list is emptied when the event is over.
  const entries = [...data.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry?.() ?? null : null));
  const plain = [...data.files];
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const lists = await Promise.all(entries.map((entry) => (entry ? walk(entry) : [])));
  return lists.flat().sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}
