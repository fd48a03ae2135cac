import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { pids } from '../../system/processes/process.ts';

/** Runs LVM and ZFS programs without a shell, limited in time and output. */

const MAX_BYTES = 4 * 1024 ** 2;
const POLL_MS = 50;
/** Wait for a program of a killed mover; making a volume takes less. */
const AT_WORK_MS = 30_000;

export class ProgramError extends Error {
  readonly isMissing: boolean;
  readonly said: string;

  constructor(what: string, said: string, isMissing: boolean, cause: unknown) {
    super(`${what}: ${said}`, { cause });
    this.said = said;
    this.isMissing = isMissing;
  }
}

/** Resolves to its output; ProgramError if it fails or exceeds `deadlineMs`. */
export function runProgram(
  program: string,
  words: readonly string[],
  deadlineMs: number,
  signal: AbortSignal,
): Promise<string> {
  const what = `\`${program} ${words[0] ?? ''}\``;
  const late = AbortSignal.timeout(deadlineMs);
  // Not SIGKILL, because it may be in the middle of a change.
  const options = {
    signal: AbortSignal.any([signal, late]),
    killSignal: 'SIGTERM',
    maxBuffer: MAX_BYTES,
    env: { ...process.env, LC_ALL: 'C', LVM_SUPPRESS_FD_WARNINGS: '1' },
  } as const;
  return new Promise((resolve, reject) => {
    execFile(program, [...words], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (signal.aborted) return reject(signal.reason as Error);
      if (late.aborted) {
        return reject(
          new ProgramError(what, `it did not end within ${deadlineMs} ms`, false, error),
        );
      }
      if (error.code === 'ENOENT') {
        return reject(new ProgramError(what, 'this host has no such program', true, error));
      }
      const last = stderr.trim().split('\n').at(-1)?.trim() ?? '';
      const said = last.slice(0, 512) || `it ended with ${String(error.code)}`;
      return reject(new ProgramError(what, said, false, error));
    });
  });
}

/**
 * Resolves once no process has `word` among its arguments, since a killed mover's program may still make its volume.
 */
export async function noneAtWork(
  program: string,
  word: string,
  signal: AbortSignal,
): Promise<void> {
  const what = `waiting for ${program} of an earlier mover`;
  await withDeadline(what, AT_WORK_MS, signal, async (inner) => {
    while (await isAtWork(word)) await systemClock.sleep(POLL_MS, inner);
  });
}

async function isAtWork(word: string): Promise<boolean> {
  for (const pid of pids()) {
    // A process that ended meanwhile.
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (words.split('\0').includes(word)) return true;
  }
  return false;
}
