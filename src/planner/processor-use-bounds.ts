/** What a guest can use at all. What is said beyond that is nonsense, and nothing may rest on it. Pure. */

/** A hypervisor's own threads come on top of its guest's processors. */
const OWN_THREADS = 1;
/** A sample is over a time that two processes measured: it may lie above what its host has, by this part and this much. */
const ROUNDING = 1.25;

/** Cores: twice its own, and a thread. */
export const mostCoresOf = (vcpus: number): number => vcpus * 2 + OWN_THREADS;

/** Whether a guest of so many processors, where that is known, can have used so much on a host of so many. */
export function isPossibleUse(
  cores: number,
  { vcpus = 0, hostCores }: { readonly vcpus?: number | undefined; readonly hostCores: number },
): boolean {
  if (!Number.isFinite(cores) || cores < 0) return false;
  if (cores > hostCores * ROUNDING + OWN_THREADS) return false;
  return vcpus <= 0 || cores <= mostCoresOf(vcpus);
}
