import { readFileSync } from 'node:fs';

const SCHEDULED = '/proc/self/schedstat';

/**
 * Time of this process's main thread running or waiting for a processor, ms: if it approaches the elapsed time, the
 * process is saturated. Without kernel support, only the run time.
 */
export function ownWorkMs(file = SCHEDULED): number {
  try {
    const [ranNs = '', waitedNs = ''] = readFileSync(file, 'utf8').split(' ');
    const ms = (Number(ranNs) + Number(waitedNs)) / 1e6;
    if (Number.isFinite(ms) && ms > 0) return ms;
  } catch {
    // The kernel was built without it.
  }
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
