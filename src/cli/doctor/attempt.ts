import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import type { Attempt } from './facts.ts';

const MAX_OUTPUT = 64 * 1024;

export interface Outcome {
  /** Absent if the program could not be started or was killed at its deadline. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly problem: string | undefined;
}

/** Never rejects. */
export function tryProgram(
  argv: readonly string[],
  options: { readonly input?: string; readonly deadlineMs?: number } = {},
): Promise<Outcome> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    const output = { stdout: '', stderr: '' };
    let problem: string | undefined;
    const child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } });
    const timer = setTimeout(() => {
      problem = 'it did not end in time';
      child.kill('SIGKILL');
    }, options.deadlineMs ?? 5000);
    const settle = (status: number | undefined): void => {
      clearTimeout(timer);
      resolve({ status, ...output, problem });
    };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < MAX_OUTPUT) output[name] += text;
      });
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      problem = error.code === 'ENOENT' ? `${program} is not installed` : error.message;
      settle(undefined);
    });
    child.on('close', (status) => {
      if (status === null) problem ??= 'it was ended by a signal';
      settle(status ?? undefined);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

export function reasonOf({ problem, status, stderr }: Outcome): string {
  const lines = stderr.trim().split('\n');
  return problem ?? (lines.at(-1) || `it ended with status ${status}`).slice(0, 300);
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  EACCES: 'this user may not open it',
  EPERM: 'this user may not open it',
  ENODEV: 'the kernel has no such device',
  ENXIO: 'the kernel has no such device',
};

export async function tryOpen(device: string): Promise<Attempt> {
  try {
    const handle = await open(device, 'r+');
    await handle.close();
    return { ok: true };
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    return { ok: false, reason: WORDS[code] ?? message };
  }
}
