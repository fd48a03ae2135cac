import { randomBytes } from 'node:crypto';
import { StreamContext } from '../src/wire/stream/context.ts';
import { parseChannel } from '../src/wire/stream/channel.ts';
import { ReturnPath } from '../test/wire/stream/return-path.ts';
import type { StreamSink } from '../src/wire/stream/types.ts';
import * as writer from '../test/wire/stream/writer.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';

const MIB = 1024 ** 2;
const PAGE = 4096;
const DEFAULT_RUNS = 9;
const STREAM_BYTES = 512 * MIB;
const TARGET_BYTES_PER_SECOND = 1_500_000_000;

export const wireStream: Bench = {
  name: 'wire-stream',
  summary: "How fast QEMU's migration stream is parsed, on one core",
  run: async (options) => {
    const measures: Measure[] = [];
    for (const each of cases()) measures.push(measure(each, options));
    return Promise.resolve(measures);
  },
};

interface Case {
  readonly name: string;
  readonly stream: Buffer;
  readonly chunkBytes: number;
  /** Before the clock runs, on the channel that names the blocks; for channels of their own. */
  readonly ahead?: Buffer;
  readonly pages: number;
  /** The sink copies each page, as into a batch that is compressed: what a codec does at least. */
  readonly copies?: boolean;
  /** It is the other direction's. */
  readonly back?: boolean;
  readonly target?: number;
}

function cases(): Case[] {
  const whole = precopy({ zeroShare: 0, bytes: STREAM_BYTES });
  const mixed = precopy({ zeroShare: 0.5, bytes: STREAM_BYTES / 2 });
  const device = devices(STREAM_BYTES / 8);
  const packets = multifd(STREAM_BYTES / 2);
  return [
    {
      name: 'whole pages, chunks of 1 MiB',
      ...whole,
      chunkBytes: MIB,
      target: TARGET_BYTES_PER_SECOND,
    },
    {
      name: 'whole pages, each copied, chunks of 1 MiB',
      ...whole,
      chunkBytes: MIB,
      copies: true,
      target: TARGET_BYTES_PER_SECOND,
    },
    { name: 'whole pages, chunks of 64 KiB', ...whole, chunkBytes: 65_536 },
    { name: 'whole pages, chunks of 1,448 bytes', ...whole, chunkBytes: 1448 },
    { name: 'every second page zero, chunks of 1 MiB', ...mixed, chunkBytes: MIB },
    { name: 'multifd without compression, chunks of 1 MiB', ...packets, chunkBytes: MIB },
    { name: 'device state, random, chunks of 1 MiB', ...device, chunkBytes: MIB },
    { name: 'not a stream, random, chunks of 1 MiB', ...noise(), chunkBytes: MIB },
    { name: 'return path: requests for pages', ...requests(), chunkBytes: 4096, back: true },
  ];
}

function precopy(plan: { zeroShare: number; bytes: number }): { stream: Buffer; pages: number } {
  const blockBytes = 1024 * MIB;
  const parts = [start(blockBytes)];
  const contents = randomBytes(4 * MIB);
  let bytes = 0;
  let pages = 0;
  for (let number = 0; bytes < plan.bytes; number += 1) {
    const address = (number * PAGE) % blockBytes;
    const block = number === 0 ? 'pc.ram' : undefined;
    const isZero = number % 100 < plan.zeroShare * 100;
    const from = (number * PAGE) % contents.length;
    const record = isZero
      ? writer.zeroPage(address, block)
      : writer.page(address, contents.subarray(from, from + PAGE), block);
    parts.push(record);
    bytes += record.length;
    pages += 1;
    // QEMU ends a section about every 50 ms.
    if (number % 8192 === 8191) parts.push(writer.endOfSection, writer.footer(2), part());
  }
  parts.push(writer.endOfSection, writer.footer(2), writer.description('{}'));
  return { stream: Buffer.concat(parts), pages };
}

const part = (): Buffer => writer.partHeader('part', 2);

function start(blockBytes: number): Buffer {
  return Buffer.concat([
    writer.fileHeader(),
    writer.sectionHeader('start', 2, 'ram'),
    writer.ramList([{ name: 'pc.ram', bytes: blockBytes }]),
    writer.endOfSection,
    writer.footer(2),
    part(),
  ]);
}

function devices(bytes: number): { stream: Buffer; pages: number } {
  const states = Array.from({ length: 16 }, (_, id) =>
    writer.device(100 + id, `dev${id}`, randomBytes(bytes / 16)),
  );
  const head = [start(MIB), writer.endOfSection, writer.footer(2)];
  return { stream: Buffer.concat([...head, ...states, writer.description('{}')]), pages: 0 };
}

function multifd(bytes: number): { stream: Buffer; ahead: Buffer; pages: number } {
  const content = randomBytes(PAGE);
  const packet = writer.multifdPacket({
    block: 'pc.ram',
    pages: Array.from({ length: 128 }, (_, number) => ({ address: number * PAGE, content })),
  });
  const count = Math.ceil(bytes / packet.length);
  const packets = Array.from({ length: count }, () => packet);
  const stream = Buffer.concat([writer.multifdHello(0), ...packets]);
  return { stream, ahead: start(MIB), pages: 128 * count };
}

function noise(): { stream: Buffer; pages: number } {
  return { stream: randomBytes(STREAM_BYTES / 8), pages: 0 };
}

function requests(): { stream: Buffer; pages: number } {
  const request = writer.message(4, Buffer.concat([writer.be64(PAGE), Buffer.alloc(4)]));
  return { stream: Buffer.concat(Array.from({ length: MIB }, () => request)), pages: 0 };
}

function measure(each: Case, { runs = DEFAULT_RUNS, say, signal }: BenchOptions): Measure {
  const rates: number[] = [];
  // The first one is for the compiler.
  for (let run = 0; run <= runs; run += 1) {
    signal.throwIfAborted();
    const rate = parseOnce(each);
    if (run > 0) rates.push(rate);
  }
  const value = median(rates) / 1e6;
  say(`${each.name}: ${value.toFixed(0)} MB/s`);
  const target = each.target === undefined ? {} : { target: { atLeast: each.target / 1e6 } };
  return { name: each.name, value, unit: 'MB/s', runs, ...target };
}

/** Bytes per second of this thread; throws when the parser lost its place or reported other pages than there are. */
function parseOnce({ name, stream, ahead, chunkBytes, pages, back, copies }: Case): number {
  const context = new StreamContext();
  if (ahead !== undefined) parseChannel(new Counter(), context).push(ahead);
  const sink = copies === true ? new Batch() : new Counter();
  const parser = back === true ? new ReturnPath(sink) : parseChannel(sink, context);
  const begin = process.hrtime.bigint();
  for (let at = 0; at < stream.length; at += chunkBytes) {
    parser.push(stream.subarray(at, Math.min(stream.length, at + chunkBytes)));
  }
  parser.end();
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  if (sink.pages !== pages) throw new Error(`${name}: ${sink.pages} pages of ${pages}`);
  return stream.length / seconds;
}

/** Looks at each item as a codec would before it does anything with the content. */
class Counter implements StreamSink {
  pages = 0;
  bytes = 0;
  mixed = 0;

  span(_kind: string, _bytes: Uint8Array, start: number, end: number): void {
    this.bytes += end - start;
  }

  page(_record: unknown, bytes: Uint8Array, start: number, end: number): void {
    this.pages += 1;
    this.bytes += end - start;
    this.mixed = (this.mixed + (bytes[start] ?? 0)) | 0;
  }

  zero(): void {
    this.pages += 1;
  }

  xbzrle(): void {
    this.pages += 1;
  }

  note(): void {}
}

class Batch extends Counter {
  readonly #batch = Buffer.alloc(MIB);

  override page(record: unknown, bytes: Uint8Array, start: number, end: number): void {
    super.page(record, bytes, start, end);
    this.#batch.set(bytes.subarray(start, end), (this.pages * PAGE) % MIB);
  }
}
