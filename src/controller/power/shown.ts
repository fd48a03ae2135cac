import type { HostState } from '../../protocol/controller/fleet.ts';
import type { PowerState } from '../requests/facts.ts';

/** Default time for a woken host to answer, ms. */
export const WAKE_MS = 600_000;

export interface HostPower {
  readonly state: PowerState;
  readonly sinceMs: number;
}

export interface Standing {
  readonly state: string;
  readonly since: number;
  readonly reason: string | null;
}

export interface PowerNow {
  readonly power: ReadonlyMap<string, HostPower>;
  /** The database's clock. */
  readonly nowMs: number;
  readonly wakeMs: number;
}

/** A host that answers at its address is awake. */
const ANSWERS: ReadonlySet<string> = new Set<HostState>(['up', 'untrusted', 'incompatible']);

/**
 * A host's report by its power state: `asleep` from the order to sleep until it answers, whichever controller follows
 * it. A host that does not wake in time is silent, with that reason. Pure.
 */
export function withPower<T extends Standing>(
  name: string,
  host: T,
  { power, nowMs, wakeMs }: PowerNow,
): T {
  const own = power.get(name);
  if (own === undefined || ANSWERS.has(host.state)) return host;
  const { state, sinceMs } = own;
  if (state !== 'waking') return asleep(host, sinceMs, 'it was put to sleep: no guest needed it');
  if (nowMs - sinceMs <= wakeMs) return asleep(host, sinceMs, 'it is being woken');
  if (host.state !== 'silent') return host;
  const asked = new Date(sinceMs).toISOString();
  return { ...host, reason: `it was asked to wake at ${asked}, and has not been heard of since` };
}

const asleep = <T extends Standing>(host: T, since: number, reason: string): T => ({
  ...host,
  state: 'asleep' satisfies HostState,
  since,
  reason,
});
