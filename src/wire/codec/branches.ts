import { PAGE_BYTES } from './item.ts';

/**
 * Calls and jumps of x86-64 code say how far away their target is, so two calls of one function differ. Written as the
 * place of their target they are alike, and compress better. Any bytes can be changed and changed back, code or not:
 * a step at one position keeps what decides whether it is taken (the opcode, and a highest byte of 0 or 255), so it can
 * be undone; and where steps overlap they are undone in the opposite order.
 */

/** E8 is a call, E9 a jump. */
const OPCODES = 0xe8;
const OPCODE_MASK = 0xfe;
/** Operands of 25 bits: the highest byte is 0 or 255. */
const SPARE_BITS = 7;
/** The opcode and its operand. */
const INSTRUCTION = 5;
/** Where these many bytes hold fewer candidates than that, it is taken for no code: most other memory has next to none. */
const SAMPLE_BYTES = 1024;
const MIN = 3;

/** Makes operands absolute, in `page`, which lies at `place` (bytes). */
export function makeAbsolute(page: Uint8Array, place: number): void {
  // Only the low 25 bits count, and a place may be above 2^32.
  const low = place % 2 ** 25;
  for (let at = PAGE_BYTES - INSTRUCTION; at >= 0; at -= 1) {
    if (isCandidate(page, at)) add(page, at, low + at);
  }
}

/** The other way, and in the other order. */
export function makeRelative(page: Uint8Array, place: number): void {
  const low = place % 2 ** 25;
  for (let at = 0; at <= PAGE_BYTES - INSTRUCTION; at += 1) {
    if (isCandidate(page, at)) add(page, at, -low - at);
  }
}

/** Whether it looks like machine code. */
export function looksLikeCode(page: Uint8Array): boolean {
  let found = 0;
  for (let at = 0; at < SAMPLE_BYTES; at += 1) {
    if (!isCandidate(page, at)) continue;
    found += 1;
    if (found >= MIN) return true;
    at += INSTRUCTION - 1;
  }
  return false;
}

function isCandidate(page: Uint8Array, at: number): boolean {
  if (((page[at] ?? 0) & OPCODE_MASK) !== OPCODES) return false;
  const highest = page[at + 4] ?? 1;
  return highest === 0 || highest === 0xff;
}

/** Adds to the operand of the instruction at `at`. */
function add(page: Uint8Array, at: number, amount: number): void {
  const operand =
    (page[at + 1] ?? 0) |
    ((page[at + 2] ?? 0) << 8) |
    ((page[at + 3] ?? 0) << 16) |
    ((page[at + 4] ?? 0) << 24);
  const changed = ((operand + amount) << SPARE_BITS) >> SPARE_BITS;
  page[at + 1] = changed;
  page[at + 2] = changed >> 8;
  page[at + 3] = changed >> 16;
  page[at + 4] = changed >> 24;
}
