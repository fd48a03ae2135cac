import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cameFile } from '../../../../src/drivers/criu/pager/pages.ts';
import type { StreamSetup } from '../../../../src/port/direct.ts';

/** Images as CRIU writes them, of a process whose memory is made up. */

export const PAGE = 4096;
/** Of a container whose memory follows it. */
export const SETUP: StreamSetup = {
  mode: 'postcopy',
  streams: 1,
  compress: 'none',
  maxDowntimeMs: 300,
  tls: false,
};
/** Where a toucher has its memory. */
export const BASE = 0x100_0000_0000;

export interface MadeEntry {
  readonly from: number;
  readonly pages: number;
  readonly flags: number;
}

/** `pagemap-N.img`, of CRIU 4.2. */
export function pagemapImage(file: number, entries: readonly MadeEntry[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x5456_4319, 0);
  head.writeUInt32LE(0x5608_4025, 4);
  const messages = entries.map(({ from, pages, flags }) =>
    message([
      [1, from],
      [2, pages],
      [4, flags],
      [5, pages],
    ]),
  );
  return Buffer.concat([head, message([[1, file]]), ...messages]);
}

function message(fields: readonly (readonly [field: number, value: number])[]): Buffer {
  const body = fields.flatMap(([field, value]) => [field << 3, ...varint(value)]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return Buffer.concat([length, Buffer.from(body)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

/** One process, task 1, of so many pages, none of which is there. */
export async function writeImages(images: string, pages: number): Promise<void> {
  const entry = { from: BASE, pages, flags: 6 };
  await writeFile(path.join(images, 'pagemap-1.img'), pagemapImage(1, [entry]));
  await writeFile(path.join(images, 'pages-1.img'), Buffer.alloc(pages * PAGE));
  await writeFile(cameFile(images, 1), Buffer.alloc(pages));
}
