import { KEPT, MIB, TINY_COUNTS, littleEndian, program, type TinyPlan } from './tiny-guest.ts';

/**
 * The tiny guest as a program of UEFI, for machines whose firmware starts no other: in 64 bits, and with interrupts off,
 * so that nothing of the firmware runs any more. The memory that it takes is free under OVMF.
 */
export function tinyEfi(plan: TinyPlan): Buffer {
  const words = (plan.keptMib * MIB) / 4;
  const dirty = KEPT + plan.keptMib * MIB;
  const fill = program([
    ['fa bf', KEPT], // cli; mov edi, kept
    ['b9', words], // mov ecx, words
    ['b8', 0x1234_5678], // mov eax, pattern
    ['31ed'], // xor ebp, ebp
    ['8907 01c5 83c704'], // fill: mov [rdi], eax; add ebp, eax; add edi, 4
    ['05', 0x9e37_79b9], // add eax, step
    ['ffc9 75f0'], // dec ecx; jnz fill
    ['66baf803 b052 ee'], // mov dx, serial; mov al, 'R'; out
  ]);
  const loop = program([
    ['bf', dirty], // mov edi, dirty
    ['ff07 81c700100000'], // sweep: inc dword [rdi]; add edi, page
    ['81ff', dirty + plan.dirtyMib * MIB], // cmp edi, end
    ['72f0'], // jb sweep
    ['be', KEPT], // mov esi, kept
    ['b9', words], // mov ecx, words
    ['31db'], // xor ebx, ebx
    ['031e 83c604 ffc9 75f7'], // sum: add ebx, [rsi]; add esi, 4; dec ecx; jnz sum
    ['39eb 740b'], // cmp ebx, ebp; je right
    ['ff0425', TINY_COUNTS + 4], // inc dword [wrong]
    ['b058 eb09'], // mov al, 'X'; jmp out
    ['ff0425', TINY_COUNTS], // right: inc dword [right]
    ['b02e ee'], // mov al, '.'; out: out
  ]);
  const again = program([['e9', -(loop.length + 5)]]); // jmp loop
  return peImage(Buffer.concat([fill, loop, again]));
}

const HEADERS = 0x400;
const CODE_AT = 0x1000;
/** QEMU takes a kernel apart into its first 2560 bytes and the rest, and firmware puts the two together. */
const FILE_BYTES = 0x1000;

/** A PE32+ image of one section, which runs wherever it is loaded. */
function peImage(code: Buffer): Buffer {
  const file = Buffer.alloc(FILE_BYTES);
  const put = (at: number, ...values: readonly number[]): void => {
    for (const [index, value] of values.entries()) littleEndian(value).copy(file, at + index * 4);
  };
  file.write('MZ', 0, 'latin1');
  put(0x3c, 0x40);
  file.write('PE', 0x40, 'latin1');
  file.writeUInt16LE(0x8664, 0x44); // x86-64
  file.writeUInt16LE(1, 0x46); // sections
  file.writeUInt16LE(0xf0, 0x54); // bytes of the optional header
  file.writeUInt16LE(0x0226, 0x56);
  file.writeUInt16LE(0x020b, 0x58); // PE32+
  put(0x5c, FILE_BYTES - HEADERS);
  put(0x68, CODE_AT, CODE_AT); // entry, base of code
  put(0x78, 0x1000, 0x200); // alignment in memory, in the file
  put(0x90, CODE_AT + 0x1000, HEADERS); // bytes of the image, of its headers
  file.writeUInt16LE(10, 0x9c); // a program of UEFI
  put(0xc4, 16); // directories, all empty
  file.write('.text', 0x148, 'latin1');
  put(0x150, FILE_BYTES - HEADERS, CODE_AT, FILE_BYTES - HEADERS, HEADERS);
  put(0x16c, 0x6000_0020); // code: read and run
  code.copy(file, HEADERS);
  return file;
}
