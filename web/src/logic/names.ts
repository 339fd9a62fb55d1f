/** Bytes of a name as the device stores it (UTF-8); its limit counts bytes. */
export const nameBytes = (name: string): number => new TextEncoder().encode(name).length;

/** "ward.store" of "/srv/ward.store": a device that is a file is named by its path. */
export const lastPart = (name: string): string => (/^[./\\]|^[A-Za-z]:\\/.test(name) ? name.split(/[\\/]/).pop() || name : name);
