import { readFile } from 'node:fs/promises';
import { systemClock } from '../src/clock.ts';
import type { LabProcess } from '../lab/processes.ts';

/** Resident memory of some processes, bytes: the most that each ever had, as the kernel keeps it. */
export interface Peak {
  readonly pid: number;
  readonly bytes: number;
}

const SAMPLE_MS = 100;

/**
 * Watches the processes that `list` returns, again and again, while `work` is done. A process's peak is read
 * until it ends, so at most the growth of its last tenth of a second is missed.
 */
export async function peaksDuring<T>(
  list: () => Promise<readonly LabProcess[]>,
  work: () => Promise<T>,
): Promise<{ value: T; peaks: Peak[] }> {
  const peaks = new Map<string, Peak>();
  const over = new AbortController();
  const look = async (): Promise<void> => {
    for (const { pid, startTicks } of await list()) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const bytes = peakBytes(status);
      const key = `${pid}/${startTicks}`;
      if (bytes !== undefined) {
        peaks.set(key, { pid, bytes: Math.max(bytes, peaks.get(key)?.bytes ?? 0) });
      }
    }
  };
  const watching = (async () => {
    while (!over.signal.aborted) {
      await look();
      await systemClock.sleep(SAMPLE_MS, over.signal).catch(() => {});
    }
  })();
  try {
    const value = await work();
    await look();
    return { value, peaks: [...peaks.values()] };
  } finally {
    over.abort();
    await watching.catch(() => {});
  }
}

/** VmHWM of /proc/PID/status, bytes. */
export function peakBytes(status: string): number | undefined {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
