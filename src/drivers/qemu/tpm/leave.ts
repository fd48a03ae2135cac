import path from 'node:path';
import { readProcess } from '../guest/process.ts';
import { tpmSocketOf } from '../guest/tpm.ts';
import type { QemuHandle } from '../handle.ts';
import { TPM_SOCKET } from '../spec/names.ts';
import { leaveTpmDir } from './directory.ts';
import { endSwtpm } from './start.ts';

/** Socket of a guest's swtpm; must be read while its QEMU lives. Undefined without a TPM. */
export async function tpmBeside({ pid }: QemuHandle): Promise<string | undefined> {
  const process = await readProcess(pid).catch(() => undefined);
  return process === undefined ? undefined : tpmSocketOf(process);
}

/** The guest has left and its QEMU ended: ends swtpm and sets aside a directory that Godwit made. */
export async function leaveTpm(
  socket: string | undefined,
  guestDir: string,
  signal: AbortSignal,
): Promise<void> {
  if (socket === undefined) return;
  await endSwtpm(socket, signal);
  if (socket === path.join(guestDir, TPM_SOCKET)) await leaveTpmDir(guestDir);
}
