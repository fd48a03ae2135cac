/** Plausible limits of a guest's processor use; higher reports are ignored. Pure. */

const OWN_THREADS = 1;
/** Two processes measure a sample's time, so it may exceed the host by this factor. */
const ROUNDING = 1.25;

/** Cores: twice its own, and a thread. */
export const mostCoresOf = (vcpus: number): number => vcpus * 2 + OWN_THREADS;

export function isPossibleUse(
  cores: number,
  { vcpus = 0, hostCores }: { readonly vcpus?: number | undefined; readonly hostCores: number },
): boolean {
  if (!Number.isFinite(cores) || cores < 0) return false;
  if (cores > hostCores * ROUNDING + OWN_THREADS) return false;
  return vcpus <= 0 || cores <= mostCoresOf(vcpus);
}
