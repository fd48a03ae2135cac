import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { seeded } from './wire-seeded.ts';

/**
 * The heap of a real program: a process of its own keeps orders of a shop as a service does (objects, maps, strings, some
 * of it as JSON) until its heap is large enough, and writes out its own private memory, pages of zeros left out.
 */
export function processHeap(bytes: number, seed: number): Buffer {
  const file = fileURLToPath(import.meta.url);
  const words = [String(bytes), String(seed)];
  const heap = execFileSync(process.execPath, [file, ...words], { maxBuffer: bytes + 1 });
  if (heap.length !== bytes) throw new Error(`a heap of ${heap.length} bytes, not of ${bytes}`);
  return heap;
}

const PAGE_BYTES = 4096;
const STATES = ['new', 'paid', 'packed', 'sent', 'returned'];
/** More than is asked for: zeros and shared memory are left out. */
const SPARE = 1.2;

interface Order {
  readonly id: string;
  readonly user: string;
  readonly at: number;
  readonly state: string | undefined;
  readonly items: readonly {
    readonly sku: string;
    readonly count: number;
    readonly price: number;
  }[];
}

function orderOf(random: () => number): Order {
  const below = (most: number): number => Math.floor(random() * most);
  const hex = (): string =>
    below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return {
    id: `${hex()}-${hex()}-${hex()}`,
    user: `customer-${below(50_000)}`,
    at: 1.7e12 + below(1e10),
    state: STATES[below(STATES.length)],
    items: Array.from({ length: 1 + below(6) }, () => ({
      sku: `SKU-${below(5000)}`,
      count: 1 + below(4),
      price: random() * 100,
    })),
  };
}

function fill(bytes: number, seed: number): readonly unknown[] {
  const random = seeded(seed);
  const orders = new Map<string, Order>();
  const reported: string[] = [];
  while (process.memoryUsage().heapUsed < bytes * SPARE) {
    for (let count = 0; count < 1000; count += 1) {
      const order = orderOf(random);
      orders.set(order.id, order);
      if (count % 3 === 0) reported.push(JSON.stringify(order));
    }
  }
  return [orders, reported];
}

/** Writes pages of this process's private memory that are not zeros to its output. */
function writeOut(bytes: number): void {
  const memory = openSync('/proc/self/mem', 'r');
  const page = Buffer.alloc(PAGE_BYTES);
  const out = Buffer.alloc(bytes);
  let at = 0;
  for (const [from, to] of privateRanges()) {
    for (let place = from; place < to && at < bytes; place += PAGE_BYTES) {
      if (!read(memory, page, place)) break;
      if (page.every((byte) => byte === 0)) continue;
      page.copy(out, at);
      at += PAGE_BYTES;
    }
  }
  closeSync(memory);
  for (let written = 0; written < at;) written += writeSync(1, out, written, at - written);
}

/** False where the memory went after it had been listed: the collector gives some back meanwhile. */
function read(memory: number, page: Buffer, place: number): boolean {
  try {
    return readSync(memory, page, 0, PAGE_BYTES, place) === PAGE_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return false;
    throw error;
  }
}

function privateRanges(): [number, number][] {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return lines.flatMap((line): [number, number][] => {
    const found = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s*$/.exec(line);
    return found === null ? [] : [[Number(`0x${found[1]}`), Number(`0x${found[2]}`)]];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [bytes, seed] = process.argv.slice(2).map(Number);
  const kept = fill(bytes ?? 0, seed ?? 0);
  writeOut(bytes ?? 0);
  if (kept.length === 0) process.exit(1);
}
