import { setTimeout as sleep } from 'node:timers/promises';
import { withDeadline } from '../src/deadline.ts';

/** Resolves once a process is gone that ends by itself, or should. */
export async function gone(pid: number): Promise<void> {
  await withDeadline(`the end of process ${pid}`, 10_000, undefined, async (signal) => {
    while (lives(pid)) await sleep(10, undefined, { signal });
  });
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
