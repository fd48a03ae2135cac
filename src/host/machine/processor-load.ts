import { availableParallelism, cpus, loadavg } from 'node:os';

/** The processors that this process may use, and how many would have work by the load of the last minute. */
export function processorLoad(): { readonly cores: number; readonly load: number } {
  const cores = availableParallelism();
  // The kernel counts for all of the machine, of which this process may have a part.
  return { cores, load: ((loadavg()[0] ?? 0) * cores) / Math.max(1, cpus().length) };
}
