/** MD4 (RFC 1320). NTLM makes its key of it, and OpenSSL 3 has it no more. Pure. */

const SHIFTS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;
const ORDERS = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
] as const;
const ADDED = [0, 0x5a827999, 0x6ed9eba1] as const;
const MIXES: readonly ((x: number, y: number, z: number) => number)[] = [
  (x, y, z) => (x & y) | (~x & z),
  (x, y, z) => (x & y) | (x & z) | (y & z),
  (x, y, z) => x ^ y ^ z,
];

export function md4(message: Buffer): Buffer {
  const blocks = padded(message);
  const state: [number, number, number, number] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < blocks.length; at += 64) addBlock(state, blocks, at);
  const digest = Buffer.alloc(16);
  for (const [index, word] of state.entries()) digest.writeUInt32LE(word >>> 0, index * 4);
  return digest;
}

function padded(message: Buffer): Buffer {
  const blocks = Buffer.alloc(Math.ceil((message.length + 9) / 64) * 64);
  message.copy(blocks);
  blocks[message.length] = 0x80;
  blocks.writeBigUInt64LE(BigInt(message.length) * 8n, blocks.length - 8);
  return blocks;
}

function addBlock(state: [number, number, number, number], blocks: Buffer, at: number): void {
  let [a, b, c, d] = state;
  for (const [round, mix] of MIXES.entries()) {
    for (const [step, index] of (ORDERS[round] ?? []).entries()) {
      const word = blocks.readUInt32LE(at + index * 4);
      const sum = (a + mix(b, c, d) + word + (ADDED[round] ?? 0)) | 0;
      const shift = SHIFTS[round]?.[step % 4] ?? 0;
      [a, b, c, d] = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
    }
  }
  const sums = [a, b, c, d] as const;
  for (const [index, sum] of sums.entries()) state[index] = ((state[index] ?? 0) + sum) | 0;
}
