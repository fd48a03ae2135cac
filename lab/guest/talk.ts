import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { godwitError } from '../../src/errors.ts';
import { runCommand } from '../command.ts';
import { inHost } from '../entry.ts';
import { COMMAND_PORT } from '../plan.ts';
import type { Lab } from '../state.ts';
import { labGuest } from './registry.ts';

const count = z.number().int().nonnegative();

const guestStats = z.object({
  ready: z.boolean(),
  /** Another one would mean that the guest was booted again. */
  bootId: z.string().max(64),
  uptimeMs: count,
  dirtiedBytes: count,
  /** How long it took to dirty them: what the guest achieved is the quotient. */
  dirtyingMs: count,
  /** The rate that it aims at. */
  dirtyBytesPerSecond: count,
  /** Written to its disks since it was booted, and what they refused. */
  diskBytes: count,
  diskErrors: count,
  /** Transactions that its database has committed, and those that failed. */
  commits: count,
  commitErrors: count,
});
export type GuestStats = z.infer<typeof guestStats>;

const verification = z.object({
  /** Memory and disks are what was written, the rewritten part too. */
  ok: z.boolean(),
  hash: z.string().max(64),
  badChunks: count,
  /** Places of its disks that were read again, and those that did not hold what was written. */
  diskChunks: count,
  badDiskChunks: count,
  /** Of a guest that runs a database: what it committed, read from its disk again. */
  database: z
    .object({
      commits: count,
      /** Those that the table still keeps, and those of them that are missing or not as they were committed. */
      rows: count,
      badRows: count,
      /** SQLite's own word; `ok`. */
      integrity: z.string().max(1024),
    })
    .optional(),
});
export type GuestVerification = z.infer<typeof verification>;

export interface AskOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export async function readGuestStats(
  lab: Lab,
  name: string,
  options: AskOptions = {},
): Promise<GuestStats> {
  return guestStats.parse(await ask(lab, name, 'stats', { deadlineMs: 10_000, ...options }));
}

/** Has the guest read its whole working set and its disks again and compare; the writing rests meanwhile. */
export async function verifyGuest(
  lab: Lab,
  name: string,
  options: AskOptions = {},
): Promise<GuestVerification> {
  return verification.parse(await ask(lab, name, 'verify', { deadlineMs: 120_000, ...options }));
}

/** Changes the rate at which a guest that was started with a dirty rate dirties its memory; 0 rests. */
export async function setDirtyRate(
  lab: Lab,
  name: string,
  bytesPerSecond: number,
  options: AskOptions = {},
): Promise<GuestStats> {
  const line = `rate ${Math.round(bytesPerSecond)}`;
  return guestStats.parse(await ask(lab, name, line, { deadlineMs: 10_000, ...options }));
}

/**
 * Has a guest work for so many percent of the time, as long as it gets its processor whole; 0 rests. Where it does not, it
 * asks for more than it gets.
 */
export async function setBusy(lab: Lab, name: string, percent: number): Promise<GuestStats> {
  const line = `busy ${Math.round(percent)}`;
  return guestStats.parse(await ask(lab, name, line, { deadlineMs: 10_000 }));
}

/** Makes a variable of a guest's UEFI firmware, where a value is given, and reads it; empty: there is none of that name. */
export async function firmwareVariable(
  lab: Lab,
  name: string,
  variable: string,
  value = '',
): Promise<string> {
  const line = `variable ${variable} ${value}`.trim();
  const answer = await ask(lab, name, line, { deadlineMs: 10_000 });
  return z.object({ value: z.string().max(4096) }).parse(answer).value;
}

/** Has a guest give its TPM one command, and returns its answer; the bytes of both are those of TPM 2.0. */
export async function tpmCommand(lab: Lab, name: string, command: Buffer): Promise<Buffer> {
  const line = `tpm ${command.toString('hex')}`;
  const answer = await ask(lab, name, line, { deadlineMs: 20_000 });
  const { answer: hex } = z.object({ answer: z.string().max(8192) }).parse(answer);
  return Buffer.from(hex, 'hex');
}

const filled = z.object({
  freeBytes: count,
  availableBytes: count,
  /** Of its disks, in its page cache. */
  cachedBytes: count,
});

/** Has a guest read its disks into its page cache, and write `bytes` and give them back: they are free then, and not zeros. */
export async function fillMemory(
  lab: Lab,
  name: string,
  bytes: number,
  options: AskOptions = {},
): Promise<z.infer<typeof filled>> {
  const line = `fill ${Math.floor(bytes / 1024)}`;
  return filled.parse(await ask(lab, name, line, { deadlineMs: 120_000, ...options }));
}

async function ask(
  lab: Lab,
  name: string,
  line: string,
  { deadlineMs, signal }: AskOptions & { deadlineMs: number },
): Promise<unknown> {
  const guest = await labGuest(lab, name);
  const program = fileURLToPath(new URL('ask-main.ts', import.meta.url));
  const argv = [
    process.execPath,
    program,
    guest.address,
    String(COMMAND_PORT),
    String(deadlineMs),
    line,
  ];
  const output = await runCommand(inHost(lab, 'client', argv), {
    deadlineMs: deadlineMs + 5000,
    signal,
  });
  const answer: unknown = JSON.parse(output);
  if (typeof answer === 'object' && answer !== null && 'error' in answer) {
    throw godwitError('GODWIT_LAB', { what: `guest ${name} answered: ${String(answer.error)}` });
  }
  return answer;
}
