import { readFileSync } from 'node:fs';
import { Places, placesDigest } from '../../../src/wire/cache/places.ts';

/**
 * What both movers do with the places of a guest of 16 GiB that has touched 6, in a process of its own: prints how much
 * memory that took at the most, bytes. Its argument is where the places are kept.
 */

const PAGES = (16 * 2 ** 30) / 4096;
const TOUCHED = (6 * 2 ** 30) / 4096;
const file = process.argv[2] ?? '';

function peakBytes(): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) * 1024;
}

const name = Buffer.alloc(16, 1);
const before = peakBytes();
const places = Places.empty(PAGES);
for (let page = 0; page < TOUCHED; page += 1) {
  name.writeUInt32LE(page, 4);
  places.set(0, page, name);
}
places.save(file);
const farDigest = placesDigest(file, PAGES);
const afterwards = peakBytes();
const again = Places.agreed({ file, cells: PAGES, farDigest });
const found = again.get(0, TOUCHED - 1);
process.stdout.write(
  JSON.stringify({
    savedBytes: afterwards - before,
    bytes: peakBytes() - before,
    same: found?.equals(name) === true && again.get(0, TOUCHED) === undefined,
  }),
);
