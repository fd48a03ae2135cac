/**
 * Program for x86-64 that listens on TCP, prints `ready` and waits: a static ELF file with one segment, written
 * here as machine code. It needs no library on the host. Pure.
 */

const BASE = 0x40_0000;
const HEADERS = 64 + 56;
export const SAYS = 'ready';

const CALL = { write: 1, pause: 34, socket: 41, listen: 50, exit: 60 };
const INET = 2;
const STREAM = 1;

const int32 = (value: number): number[] => [0, 8, 16, 24].map((bits) => (value >> bits) & 0xff);
const SYSCALL = [0x0f, 0x05];
/** mov edi, esi or edx, VALUE */
const edi = (value: number): number[] => [0xbf, ...int32(value)];
const esi = (value: number): number[] => [0xbe, ...int32(value)];
const edx = (value: number): number[] => [0xba, ...int32(value)];
/** mov eax, NUMBER; arguments; syscall */
const call = (number: number, ...given: readonly number[][]): number[] => [
  0xb8,
  ...int32(number),
  ...given.flat(),
  ...SYSCALL,
];

function instructions(): number[] {
  // The kernel chooses the port of a socket that listens without bind.
  const opens = [
    ...call(CALL.socket, edi(INET), esi(STREAM), edx(0)),
    0x89, // mov edi, eax
    0xc7,
    ...call(CALL.listen, esi(1)),
    0x85, // test eax, eax
    0xc0,
  ];
  const waits = call(CALL.pause);
  const says = (text: number): number[] => [
    ...call(CALL.write, edi(1), esi(text), edx(SAYS.length)),
    ...waits,
    0xeb, // jmp to the wait
    -(waits.length + 2) & 0xff,
  ];
  const fails = call(CALL.exit, edi(1));
  const bytes = opens.length + 2 + says(0).length + fails.length;
  const whole = [...opens, 0x75, says(0).length, ...says(BASE + HEADERS + bytes), ...fails]; // jnz
  return [...whole, ...Buffer.from(SAYS)];
}

export function canaryProgram(): Buffer {
  const code = Buffer.from(instructions());
  const size = HEADERS + code.length;
  const file = Buffer.alloc(size);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0); // ELF, 64 bits, little-endian, version 1
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(62, 18); // x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(BASE + HEADERS), 24); // entry point
  file.writeBigUInt64LE(64n, 32); // offset of the program headers
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // read and run
  file.writeBigUInt64LE(BigInt(BASE), 64 + 16);
  file.writeBigUInt64LE(BigInt(BASE), 64 + 24);
  file.writeBigUInt64LE(BigInt(size), 64 + 32);
  file.writeBigUInt64LE(BigInt(size), 64 + 40);
  file.writeBigUInt64LE(0x1000n, 64 + 48);
  code.copy(file, HEADERS);
  return file;
}
