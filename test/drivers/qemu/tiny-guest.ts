import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { untilSo } from '../../until.ts';

/**
 * A guest of 512 bytes, started by -kernel: it fills a region with a pattern and remembers its sum, then for ever
 * dirties another region, sums the first again and writes `.` to its serial port when the sum is right, `X` when not.
 * It counts both in memory too, for those who start it without a serial port.
 */
const LOAD = 0x10_0000;
export const KEPT = 0x20_0000;
export const MIB = 1024 * 1024;
/** Where it counts, 32 bits each and beside one another: sums that were right, and sums that were not. */
export const TINY_COUNTS = 0x10_8000;

export interface TinyPlan {
  /** Pattern that must survive, MiB. */
  readonly keptMib: number;
  /** Written to all the time, MiB. */
  readonly dirtyMib: number;
}

/** Memory such a guest needs, MiB. */
export function tinyMemoryMib({ keptMib, dirtyMib }: TinyPlan): number {
  return 2 + keptMib + dirtyMib + 30;
}

/** A multiboot image (magic, a.out addresses) with the program right behind its header. */
export function tinyKernel(plan: TinyPlan): Buffer {
  const words = (plan.keptMib * MIB) / 4;
  const dirty = KEPT + plan.keptMib * MIB;
  const fill = program([
    ['bf', KEPT], // mov edi, kept
    ['b9', words], // mov ecx, words
    ['b8', 0x1234_5678], // mov eax, pattern
    ['31ed'], // xor ebp, ebp
    ['8907 01c5 83c704'], // fill: mov [edi], eax; add ebp, eax; add edi, 4
    ['05', 0x9e37_79b9], // add eax, step
    ['49 75f1'], // dec ecx; jnz fill
    ['66baf803 b052 ee'], // mov dx, serial; mov al, 'R'; out
  ]);
  const loop = program([
    ['bf', dirty], // mov edi, dirty
    ['ff07 81c700100000'], // sweep: inc dword [edi]; add edi, page
    ['81ff', dirty + plan.dirtyMib * MIB], // cmp edi, end
    ['72f0'], // jb sweep
    ['be', KEPT], // mov esi, kept
    ['b9', words], // mov ecx, words
    ['31db'], // xor ebx, ebx
    ['031e 83c604 49 75f8'], // sum: add ebx, [esi]; add esi, 4; dec ecx; jnz sum
    ['39eb 740a'], // cmp ebx, ebp; je right
    ['ff05', TINY_COUNTS + 4], // inc dword [wrong]
    ['b058 eb08'], // mov al, 'X'; jmp out
    ['ff05', TINY_COUNTS], // right: inc dword [right]
    ['b02e ee'], // mov al, '.'; out: out
  ]);
  const again = program([['e9', -(loop.length + 5)]]); // jmp loop
  const entry = LOAD + 32;
  const magic = 0x1bad_b002;
  const flags = 0x0001_0000;
  const end = LOAD + 512;
  const header = [magic, flags, -(magic + flags), LOAD, LOAD, end, end, entry].map(littleEndian);
  return Buffer.concat([...header, fill, loop, again], 512);
}

/** Opcodes in hexadecimal, each followed by a 32-bit operand where it has one. */
export function program(lines: readonly (readonly [string, number?])[]): Buffer {
  const parts = lines.flatMap(([opcodes, operand]) => {
    const bytes = Buffer.from(opcodes.replaceAll(' ', ''), 'hex');
    return operand === undefined ? [bytes] : [bytes, littleEndian(operand)];
  });
  return Buffer.concat(parts);
}

export function littleEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export interface TinyGuest {
  readonly process: ChildProcess;
  readonly monitor: string;
  /** What it has written to its serial port so far. */
  serial(): Promise<string>;
  /** Ends the process if it still lives. */
  end(): void;
}

/** Starts it with a QMP socket and resolves once it has checked its pattern for the first time. */
export async function bootTinyGuest(options: {
  readonly binary: string;
  readonly name: string;
  readonly directory: string;
  readonly kernel: string;
  readonly plan: TinyPlan;
  readonly machine: string;
  readonly extra?: readonly string[];
}): Promise<TinyGuest> {
  const { directory, plan, name, machine } = options;
  await writeFile(options.kernel, tinyKernel(plan));
  const monitor = path.join(directory, 'qmp.sock');
  const log = path.join(directory, 'serial.log');
  const words = `-name guest=${name} -machine ${machine} -accel tcg -cpu max -nodefaults -display none`;
  const files = ['-kernel', options.kernel, '-serial', `file:${log}`];
  const memory = ['-m', `${tinyMemoryMib(plan)}`];
  const qmp = ['-qmp', `unix:${monitor},server=on,wait=off`];
  const argv = [...words.split(' '), ...memory, ...files, ...qmp, ...(options.extra ?? [])];
  const child = spawn(options.binary, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  const guest: TinyGuest = {
    process: child,
    monitor,
    serial: () => readFile(log, 'latin1').catch(() => ''),
    end: () => child.kill('SIGKILL'),
  };
  await untilSo(async () => {
    if (child.exitCode !== null) throw new Error(`QEMU ended with ${child.exitCode}`);
    return (await guest.serial()).includes('.');
  });
  return guest;
}
