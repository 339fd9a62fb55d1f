/** Bytes of a name as the device stores it (UTF-8); its limit counts bytes. */
export const nameBytes = (name: string): number => new TextEncoder().encode(name).length;
