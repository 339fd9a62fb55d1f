/** Bytes of a name as the device stores it (UTF-8); its limit counts bytes. */
export const nameBytes = (name: string): number => new TextEncoder().encode(name).length;

/** "ward.store" of "clinic/ward.store": a device that is a file is named by its path, others by their line. */
export const lastPart = (name: string): string => (/^(tcp|serial):/.test(name) ? name : name.split(/[\\/]/).pop() || name);
