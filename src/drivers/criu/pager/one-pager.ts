import { appendFileSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { lifeOf, type BootProcess } from '../../../system/processes/life.ts';
import { bootId, ownIdentity } from '../../../system/processes/process.ts';
import * as kernel from './kernel.ts';
import { KernelError } from './libc.ts';

/**
 * Ensures a single pager per container: the last one listed here is valid. It ends the earlier ones and waits
 * for their end before it reads any event, whoever started them.
 */

const SIGTERM = 15;
const SIGKILL = 9;
/** It ends between two messages, without delay unless it is stopped. */
const BY_ITSELF_MS = 5000;
const KILLED_MS = 30_000;

const name = z.strictObject({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  bootId: z.string().max(64),
});

/** Oldest first. Ignores an incomplete line, whose pager did nothing more. */
export function pagersIn(text: string): BootProcess[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [name.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}

/** Records this process and ends earlier ones. Throws if one does not end. */
export async function becomeTheOne(file: string): Promise<void> {
  const own = { ...ownIdentity(), bootId: bootId() };
  appendFileSync(file, `\n${JSON.stringify(own)}\n`, { mode: 0o600 });
  for (const each of pagersIn(readFileSync(file, 'utf8'))) {
    // A later pager ends this one.
    if (each.pid === own.pid && each.startTicks === own.startTicks) return;
    await end(each);
  }
}

async function end(pager: BootProcess): Promise<void> {
  if (lifeOf(pager).state === 'gone') return;
  const fd = descriptorOf(pager.pid);
  if (fd === undefined) return;
  try {
    // Only now is it certain that the pid is not reused.
    const life = lifeOf(pager);
    if (life.state === 'gone') return;
    if (life.state === 'unknown') throw new Error(life.reason);
    for (const [which, withinMs] of [
      [SIGTERM, BY_ITSELF_MS],
      [SIGKILL, KILLED_MS],
    ] as const) {
      kernel.signal(fd, which);
      if ((await kernel.readable([fd], withinMs)).has(fd)) return;
    }
    throw new Error(`the pager ${pager.pid} before this one does not end`);
  } finally {
    kernel.close(fd);
  }
}

function descriptorOf(pid: number): number | undefined {
  try {
    return kernel.pidfd(pid);
  } catch (error) {
    if (error instanceof KernelError && error.errno === kernel.ERRNO.ESRCH) return undefined;
    throw error;
  }
}

/**
 * Ends at once on request, between two messages, so that none is read without being recorded. A normal exit
 * would wait for the thread that waits for messages.
 */
export function endWhenAsked(): void {
  process.on('SIGTERM', () => process.kill(process.pid, 'SIGKILL'));
  process.on('uncaughtException', endWith);
}

/** Another pager replaces it; its log has the reason. */
export function endWith(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.kill(process.pid, 'SIGKILL');
}
