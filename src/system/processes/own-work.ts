import { readFileSync } from 'node:fs';

const SCHEDULED = '/proc/self/schedstat';

/**
 * For how long this process's first thread, which serves and asks, has run or waited for a processor, ms: what is
 * near the time that passed has no time for more. Where the kernel does not say it, what it ran.
 */
export function ownWorkMs(file = SCHEDULED): number {
  try {
    const [ranNs = '', waitedNs = ''] = readFileSync(file, 'utf8').split(' ');
    const ms = (Number(ranNs) + Number(waitedNs)) / 1e6;
    if (Number.isFinite(ms) && ms > 0) return ms;
  } catch {
    // Built without it.
  }
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
