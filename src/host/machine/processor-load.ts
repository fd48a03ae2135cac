import { availableParallelism, cpus, loadavg } from 'node:os';

/** Processors of this process, and their share of the last minute's load. */
export function processorLoad(): { readonly cores: number; readonly load: number } {
  const cores = availableParallelism();
  // The load average covers the machine, of which this process may have a part.
  return { cores, load: ((loadavg()[0] ?? 0) * cores) / Math.max(1, cpus().length) };
}
