import { closeSync, openSync, readSync } from 'node:fs';
import { PAGE_BYTES, type Pages } from './pages.ts';

export interface Place {
  readonly address: number;
  readonly bytes: number;
}

/** Entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst): bit 63 present, bit 62 swapped. */
const ENTRY_BYTES = 8;
const PRESENT = 0x80;
const SWAPPED = 0x40;

/**
 * Reads pages of another process without stopping it. Only present pages are read, so that none is allocated or swapped
 * in. Throws as Node does (EACCES, EPERM) without permission.
 */
export class ProcessPages implements Pages {
  readonly count: number;
  readonly #address: number;
  readonly #memory: number;
  readonly #map: number;
  readonly #entry = Buffer.alloc(ENTRY_BYTES);

  constructor(pid: number, { address, bytes }: Place) {
    this.count = Math.floor(bytes / PAGE_BYTES);
    this.#address = address;
    this.#memory = openSync(`/proc/${pid}/mem`, 'r');
    try {
      this.#map = openSync(`/proc/${pid}/pagemap`, 'r');
    } catch (error) {
      closeSync(this.#memory);
      throw error;
    }
  }

  state(page: number): 'here' | 'absent' | 'away' {
    const place = (this.#address / PAGE_BYTES + page) * ENTRY_BYTES;
    const read = readSync(this.#map, this.#entry, 0, ENTRY_BYTES, place);
    if (read < ENTRY_BYTES) return 'away';
    const flags = this.#entry[ENTRY_BYTES - 1] ?? 0;
    if ((flags & PRESENT) !== 0) return 'here';
    return (flags & SWAPPED) !== 0 ? 'away' : 'absent';
  }

  read(page: number, into: Buffer): boolean {
    try {
      const place = this.#address + page * PAGE_BYTES;
      return readSync(this.#memory, into, 0, PAGE_BYTES, place) === PAGE_BYTES;
    } catch {
      // It was removed meanwhile.
      return false;
    }
  }

  close(): void {
    closeSync(this.#memory);
    closeSync(this.#map);
  }
}
