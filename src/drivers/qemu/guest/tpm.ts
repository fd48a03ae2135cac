import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { bootId, pids, startTicksOf } from '../../../system/processes/process.ts';
import type { BootProcess } from '../../../system/processes/life.ts';
import { parseCommandLine, type CommandLine } from '../spec/cmdline.ts';
import { readSwtpm, swtpmSocket, tpmBackend, type TpmFacts } from '../spec/tpm.ts';
import { splitCommandLine, type QemuProcess } from './process.ts';

export interface SwtpmProcess extends BootProcess {
  readonly argv: readonly string[];
}

const COMMAND = 'swtpm';

/** The swtpm whose command line names that socket; undefined if none is visible. */
export async function findSwtpm(socket: string): Promise<SwtpmProcess | undefined> {
  const wanted = path.resolve(socket);
  for (const each of await listSwtpm()) {
    const listens = swtpmSocket(each.argv);
    if (listens !== undefined && path.resolve(listens) === wanted) return each;
  }
  return undefined;
}

export async function listSwtpm(): Promise<SwtpmProcess[]> {
  const found = await Promise.all(
    pids().map(async (pid): Promise<SwtpmProcess | undefined> => {
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
      if (name.trim() !== COMMAND) return undefined;
      const startTicks = startTicksOf(pid);
      const raw = await readFile(`/proc/${pid}/cmdline`).catch(() => undefined);
      if (startTicks === undefined || raw === undefined) return undefined;
      return { pid, startTicks, bootId: bootId(), argv: splitCommandLine(raw) };
    }),
  );
  return found.filter((each) => each !== undefined);
}

export function tpmSocketOf({ argv, cwd }: Pick<QemuProcess, 'argv' | 'cwd'>): string | undefined {
  const socket = tpmBackend(parseCommandLine(argv))?.socket;
  return socket === undefined || socket === '' ? undefined : path.resolve(cwd, socket);
}

export async function readTpm(line: CommandLine, cwd: string): Promise<{ tpm?: TpmFacts }> {
  const backend = tpmBackend(line);
  if (backend === undefined) return {};
  if (backend.socket === '') {
    return { tpm: { problem: 'QEMU does not reach what serves it by a unix socket' } };
  }
  const socket = path.resolve(cwd, backend.socket);
  const found = await findSwtpm(socket);
  if (found !== undefined) return { tpm: readSwtpm(found.argv) };
  const problem = `no swtpm that listens at ${socket} is to be seen here: its state cannot be asked for`;
  return { tpm: { problem } };
}
