import type { HostState } from '../../protocol/controller/fleet.ts';
import type { PowerState } from '../requests/facts.ts';

/** A host that is woken is heard of within this time where no setting names another, ms. */
export const WAKE_MS = 600_000;

/** A host that is not simply on. */
export interface HostPower {
  readonly state: PowerState;
  readonly sinceMs: number;
}

/** What is reported of a host. */
export interface Standing {
  readonly state: string;
  /** ms since 1970. */
  readonly since: number;
  readonly reason: string | null;
}

export interface PowerNow {
  readonly power: ReadonlyMap<string, HostPower>;
  /** The database's clock. */
  readonly nowMs: number;
  readonly wakeMs: number;
}

/** Whoever answers at its address is awake. */
const ANSWERS: ReadonlySet<string> = new Set<HostState>(['up', 'untrusted', 'incompatible']);

/**
 * Reports a host by the state of its power: `asleep` from the moment it was put to sleep until it answers, whichever
 * controller follows it. A host that does not wake in its time is silent, and the reason reports that. Pure.
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
