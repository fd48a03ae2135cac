/** Of so many pages one may be written anew: powers of two, so that a mask tells them. */
export const REWRITES = [1, 2, 4, 8, 16, 32, 64] as const;
export type RewriteOf = (typeof REWRITES)[number];

/**
 * A program for x86-64 Linux that dirties memory as a working guest does: it fills a region, and for ever after
 * counts up one word in page after page, so many pages every 50 ms, and writes every so many-th of them anew. A few
 * hundred bytes, made here, since the lab's guest has no compiler, and a shell would dirty more by itself.
 */
export interface DirtyPlan {
  /** Its number: what each guest fills its region with is its own. */
  readonly guest: number;
  readonly regionBytes: number;
  readonly bytesPerSecond: number;
  /** Of so many pages one is written anew as a whole each time, with what compresses as before. Absent: none. */
  readonly rewriteOf?: RewriteOf | undefined;
}

const TICK_MS = 50;
const PAGE_BYTES = 4096;
const BASE = 0x40_0000;
const HEADER_BYTES = 64 + 56;
/** Odd, as all that follow it are. */
const FIRST_STEP = 0x9e37_79b1;

export function dirtyProgram({ guest, regionBytes, bytesPerSecond, rewriteOf }: DirtyPlan): Buffer {
  const step = u32(FIRST_STEP + guest * 2 ** 16);
  const rewrite = rewriteOf === undefined ? Buffer.alloc(0) : rewriteCode(rewriteOf);
  const back = (code: number): Buffer => Buffer.from([256 - code - rewrite.length]);
  const pages = Math.max(1, Math.round((bytesPerSecond * TICK_MS) / 1000 / PAGE_BYTES));
  const region = u32(regionBytes);
  const code = Buffer.concat([
    // mmap(0, region, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0); rbx = it
    hex('b8 09000000 31ff be'),
    region,
    hex('ba 03000000 41ba 22000000 41b8 ffffffff 4531c9 0f05 4889c3 31c9'),
    // fill: [rbx + rcx] = (rcx * step) >> 20; rcx += 8; while rcx < region
    hex('4869d1'),
    step,
    hex('48c1ea14 4889140b 4883c108 4881f9'),
    region,
    hex('72e4 4531e4'),
    // r13 = step
    hex('49c7c5'),
    step,
    // tick: ebp = pages
    hex('bd'),
    u32(pages),
    // page: [rbx + r12 + 16] += 1
    hex('42ff442310'),
    rewrite,
    // r12 += 4096; back to 0 at the region's end
    hex('4981c4 00100000 4981fc'),
    region,
    hex('7203 4531e4 ffcd 75'),
    back(28),
    // nanosleep(times, 0); on with the next tick
    hex('b8 23000000 488d3d 06000000 31f6 0f05 eb'),
    back(51),
    // What it waits: seconds, nanoseconds.
    u64(0),
    u64(TICK_MS * 1e6),
  ]);
  return Buffer.concat([header(HEADER_BYTES + code.length), code]);
}

/** Fills the page at rbx + r12, where it is one of those, as the region was filled, with a larger step. */
function rewriteCode(rewriteOf: RewriteOf): Buffer {
  return Buffer.concat([
    // r12 & mask != 0: past the rest
    hex('41f7c4'),
    u32((rewriteOf - 1) * PAGE_BYTES),
    hex('7528'),
    // r13 += 0x10002; rsi = rbx + r12; rcx = 0
    hex('4981c5 02000100 4a8d3423 31c9'),
    // [rsi + rcx] = ((r12 + rcx) * r13) >> 20; rcx += 8; while rcx < 4096
    hex('498d140c 490fafd5 48c1ea14 4889140e 83c108 81f9 00100000 72e5'),
  ]);
}

/** An ELF executable of one segment. */
function header(fileBytes: number): Buffer {
  return Buffer.concat([
    hex('7f454c46 02010100 0000000000000000 0200 3e00 01000000'),
    u64(BASE + HEADER_BYTES),
    u64(64),
    u64(0),
    hex('00000000 4000 3800 0100 0000 0000 0000'),
    hex('01000000 05000000'),
    u64(0),
    u64(BASE),
    u64(BASE),
    u64(fileBytes),
    u64(fileBytes),
    u64(4096),
  ]);
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
