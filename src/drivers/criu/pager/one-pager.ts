import { appendFileSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { lifeOf, type BootProcess } from '../../../system/processes/life.ts';
import { bootId, ownIdentity } from '../../../system/processes/process.ts';
import * as kernel from './kernel.ts';
import { KernelError } from './libc.ts';

/**
 * Of the pagers of one container the last one that wrote its name here is the one: it ends those before it, and waits for their
 * end, before it reads anything of what the processes do. So there is one at a time, whoever began them.
 */

const SIGTERM = 15;
const SIGKILL = 9;
/** It ends between two messages, which takes no time; one that is stopped does not. */
const BY_ITSELF_MS = 5000;
const KILLED_MS = 30_000;

const name = z.strictObject({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  bootId: z.string().max(64),
});

/** In the order in which they began. A line that is not whole is of one that got no further. */
export function pagersIn(text: string): BootProcess[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [name.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}

/** Writes down this process, and ends those before it. Throws where one does not end. */
export async function becomeTheOne(file: string): Promise<void> {
  const own = { ...ownIdentity(), bootId: bootId() };
  appendFileSync(file, `\n${JSON.stringify(own)}\n`, { mode: 0o600 });
  for (const each of pagersIn(readFileSync(file, 'utf8'))) {
    // One behind it ends this one.
    if (each.pid === own.pid && each.startTicks === own.startTicks) return;
    await end(each);
  }
}

async function end(pager: BootProcess): Promise<void> {
  if (lifeOf(pager).state === 'gone') return;
  const fd = descriptorOf(pager.pid);
  if (fd === undefined) return;
  try {
    // Only now is it sure that nobody else gets its number.
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

/** Undefined once it has ended. */
function descriptorOf(pid: number): number | undefined {
  try {
    return kernel.pidfd(pid);
  } catch (error) {
    if (error instanceof KernelError && error.errno === kernel.ERRNO.ESRCH) return undefined;
    throw error;
  }
}

/**
 * This process ends as soon as it is asked to: between two messages, none of which it has read and not written down. An exit
 * would wait for the thread that waits for the next message.
 */
export function endWhenAsked(): void {
  process.on('SIGTERM', () => process.kill(process.pid, 'SIGKILL'));
  process.on('uncaughtException', endWith);
}

/** Another one takes its place; its log says why. */
export function endWith(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.kill(process.pid, 'SIGKILL');
}
