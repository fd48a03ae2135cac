/**
 * Calls and jumps of x86-64 code say how far away their target is, so two calls of one function differ. Written as the
 * place of their target they are alike, and compress better. Any bytes can be changed and changed back, code or not:
 * a step at one position keeps what decides whether it is taken (the opcode, and a highest byte of 0 or 255), so it can
 * be undone; and where steps overlap they are undone in the opposite order.
 *
 * AssemblyScript, which `tools/wasm.ts` compiles to branches.wasm. branches.ts calls it.
 */

const PAGE_BYTES: i32 = 4096;
/** E8 is a call, E9 a jump. */
const OPCODES: i32 = 0xe8;
const OPCODE_MASK: i32 = 0xfe;
/** Operands of 25 bits: the highest byte is 0 or 255. */
const SPARE_BITS: i32 = 7;
/** The opcode and its operand. */
const INSTRUCTION: i32 = 5;
/** The last position that an instruction begins at. */
const LAST: i32 = PAGE_BYTES - INSTRUCTION;
/** If this many bytes hold fewer candidates, the page counts as no code: most other memory has next to none. */
const SAMPLE_BYTES: i32 = 1024;
const MIN: i32 = 3;
const LANES: i32 = 16;

/** The page, and room for the vector that begins at its last byte. */
const BASE: i32 = <i32>memory.data(4112, 16);

/** Where the page lies in the memory. */
export function pageAt(): i32 {
  return BASE;
}

/** Makes operands absolute in the page, whose place counts by its low 25 bits. */
export function makeAbsolute(place: i32): void {
  for (let block = PAGE_BYTES - LANES; block >= 0; block -= LANES) {
    // A step changes bytes above its own position alone, so the opcodes below it are as they were loaded.
    for (let mask = opcodes(block); mask != 0;) {
      const lane = 31 - clz(mask);
      mask ^= 1 << lane;
      const at = block + lane;
      if (at <= LAST && isNear(at)) add(at, place + at);
    }
  }
}

/** The other way, and in the other order. */
export function makeRelative(place: i32): void {
  let at = 0;
  while (at <= LAST) {
    const mask = opcodes(at);
    if (mask == 0) {
      at += LANES;
      continue;
    }
    at += ctz(mask);
    // What follows is loaded again: a step may have changed it.
    if (at <= LAST && isNear(at)) add(at, -place - at);
    at += 1;
  }
}

/** 1 if the page looks like machine code. */
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

/** A bit for each of the 16 bytes from `at` that is an opcode. */
function opcodes(at: i32): i32 {
  const bytes = v128.load(BASE + at);
  const masked = v128.and(bytes, i8x16.splat(<i8>OPCODE_MASK));
  return i8x16.bitmask(i8x16.eq(masked, i8x16.splat(<i8>OPCODES)));
}

/** Whether the operand of the instruction at `at` has 25 bits. */
function isNear(at: i32): bool {
  const highest = load<u8>(BASE + at, 4);
  return highest == 0 || highest == 0xff;
}

/** Adds to the operand of the instruction at `at`. */
function add(at: i32, amount: i32): void {
  const changed = ((load<i32>(BASE + at, 1) + amount) << SPARE_BITS) >> SPARE_BITS;
  store<i32>(BASE + at, changed, 1);
}
