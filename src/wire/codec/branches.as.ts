/**
 * x86-64 calls and jumps contain the distance to their target, so two calls of one function differ. With the
 * target's place they are equal and compress better. The change is reversible for any bytes: a step preserves
 * the bytes that decide whether it is taken (the opcode, and a highest byte of 0 or 255), and overlapping steps
 * are undone in the opposite order.
 *
 * `tools/wasm.ts` compiles this AssemblyScript to branches.wasm for branches.ts.
 */

const PAGE_BYTES: i32 = 4096;
/** E8 is a call, E9 a jump. */
const OPCODES: i32 = 0xe8;
const OPCODE_MASK: i32 = 0xfe;
/** 25-bit operands: the highest byte is 0 or 255. */
const SPARE_BITS: i32 = 7;
const INSTRUCTION: i32 = 5;
const LAST: i32 = PAGE_BYTES - INSTRUCTION;
/** A page with fewer candidates in this many bytes is not treated as code; other memory has almost none. */
const SAMPLE_BYTES: i32 = 1024;
const MIN: i32 = 3;
const LANES: i32 = 16;

/** The page, with space for the vector at its last byte. */
const BASE: i32 = <i32>memory.data(4112, 16);

export function pageAt(): i32 {
  return BASE;
}

/** Makes operands absolute in the page; only the low 25 bits of its place count. */
export function makeAbsolute(place: i32): void {
  for (let block = PAGE_BYTES - LANES; block >= 0; block -= LANES) {
    // A step changes only bytes above its position, so lower opcodes stay as loaded.
    for (let mask = opcodes(block); mask != 0;) {
      const lane = 31 - clz(mask);
      mask ^= 1 << lane;
      const at = block + lane;
      if (at <= LAST && isNear(at)) add(at, place + at);
    }
  }
}

/** Reverse of makeAbsolute, in the opposite order. */
export function makeRelative(place: i32): void {
  let at = 0;
  while (at <= LAST) {
    const mask = opcodes(at);
    if (mask == 0) {
      at += LANES;
      continue;
    }
    at += ctz(mask);
    // The rest is loaded again, because a step may have changed it.
    if (at <= LAST && isNear(at)) add(at, -place - at);
    at += 1;
  }
}

export function looksLikeCode(): i32 {
  let found = 0;
  let at = 0;
  while (at < SAMPLE_BYTES) {
    const mask = opcodes(at);
    if (mask == 0) {
      at += LANES;
      continue;
    }
    at += ctz(mask);
    if (at >= SAMPLE_BYTES) break;
    if (isNear(at)) {
      found += 1;
      if (found >= MIN) return 1;
      at += INSTRUCTION - 1;
    }
    at += 1;
  }
  return 0;
}

/** Bit mask of the opcodes among the 16 bytes at `at`. */
function opcodes(at: i32): i32 {
  const bytes = v128.load(BASE + at);
  const masked = v128.and(bytes, i8x16.splat(<i8>OPCODE_MASK));
  return i8x16.bitmask(i8x16.eq(masked, i8x16.splat(<i8>OPCODES)));
}

/** True if the instruction at `at` has a 25-bit operand. */
function isNear(at: i32): bool {
  const highest = load<u8>(BASE + at, 4);
  return highest == 0 || highest == 0xff;
}

function add(at: i32, amount: i32): void {
  const changed = ((load<i32>(BASE + at, 1) + amount) << SPARE_BITS) >> SPARE_BITS;
  store<i32>(BASE + at, changed, 1);
}
