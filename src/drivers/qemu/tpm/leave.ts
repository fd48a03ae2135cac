import path from 'node:path';
import { readProcess } from '../guest/process.ts';
import { tpmSocketOf } from '../guest/tpm.ts';
import type { QemuHandle } from '../handle.ts';
import { TPM_SOCKET } from '../spec/names.ts';
import { leaveTpmDir } from './directory.ts';
import { endSwtpm } from './start.ts';

/** Where what serves a guest's TPM listens; to be asked while its QEMU lives. Undefined without one. */
export async function tpmBeside({ pid }: QemuHandle): Promise<string | undefined> {
  const process = await readProcess(pid).catch(() => undefined);
  return process === undefined ? undefined : tpmSocketOf(process);
}

/** The guest has left, and its QEMU has ended: so does what served its TPM. What Godwit made for that is set aside. */
export async function leaveTpm(
  socket: string | undefined,
  guestDir: string,
  signal: AbortSignal,
): Promise<void> {
  if (socket === undefined) return;
  await endSwtpm(socket, signal);
  if (socket === path.join(guestDir, TPM_SOCKET)) await leaveTpmDir(guestDir);
}
