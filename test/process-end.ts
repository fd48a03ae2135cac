import { until } from './until.ts';

/** Resolves once a process is gone that ends by itself, or should. */
export async function gone(pid: number): Promise<void> {
  await until(`the end of process ${pid}`, 10_000, async () => (lives(pid) ? undefined : true));
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
