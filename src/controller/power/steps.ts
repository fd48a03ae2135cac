import type { HostPower } from './shown.ts';

export interface PowerHost {
  readonly name: string;
  /** The site's program may put the host to sleep. */
  readonly isNamed: boolean;
  /** An automatic consolidation policy has the host. */
  readonly maySleep: boolean;
  readonly isUp: boolean;
  readonly isUsed: boolean;
  /** An operator drains it or noted that it needs care, or its manager sets its power. */
  readonly isClosed: boolean;
  readonly memoryBytes: number;
  /** Since when it is seen empty, ms; absent if it has guests. */
  readonly emptySinceMs?: number;
  readonly power?: HostPower;
  /** The program was called after the request to wake it. */
  readonly isCalled: boolean;
}

/**
 * `close`: admit no guests. `open`: admit guests again. `found-asleep` and `found-on`: the observed state, whatever
 * caused it.
 */
export type PowerStep =
  | 'close'
  | 'open'
  | 'put-to-sleep'
  | 'found-asleep'
  | 'ask-to-wake'
  | 'wake'
  | 'found-on';

export interface PowerRules {
  /** Time without guests before a host sleeps, ms. */
  readonly emptyMs: number;
  readonly spare: number;
}

/** The controller now knows of guests that came while the host was being closed. */
export const CLOSED_MS = 60_000;
/** A host that falls asleep still answers for a while. */
export const FALLS_MS = 120_000;

/** The next step of each host; per call at most one more falls asleep, and one is woken as a spare. Pure. */
export function stepsOf(
  hosts: readonly PowerHost[],
  nowMs: number,
  rules: PowerRules,
): Map<string, PowerStep> {
  const steps = new Map<string, PowerStep>();
  for (const host of hosts) {
    const step = stepOf(host, nowMs);
    if (step !== undefined) steps.set(host.name, step);
  }
  const largest = (some: readonly PowerHost[]): PowerHost[] =>
    some.toSorted((left, right) => right.memoryBytes - left.memoryBytes);
  const in_ = (state: HostPower['state']): PowerHost[] =>
    largest(hosts.filter(({ power }) => power?.state === state));
  const spares = largest(hosts.filter((host) => host.power === undefined && isSpare(host)));
  const lacking = rules.spare - spares.length - in_('waking').length;
  if (lacking > 0) {
    const [closing] = in_('falling-asleep').filter(({ name }) => steps.get(name) === undefined);
    const [asleep] = in_('asleep').filter(({ name }) => steps.get(name) === undefined);
    if (closing !== undefined) steps.set(closing.name, 'open');
    else if (asleep !== undefined) steps.set(asleep.name, 'ask-to-wake');
    return steps;
  }
  // The largest ones stay, since they can take the guests of any lost host.
  const next = spares
    .slice(rules.spare)
    .find(
      ({ isNamed, maySleep, emptySinceMs }) =>
        isNamed && maySleep && nowMs - (emptySinceMs ?? nowMs) >= rules.emptyMs,
    );
  if (next !== undefined) steps.set(next.name, 'close');
  return steps;
}

const isSpare = ({ isUp, isUsed, isClosed }: PowerHost): boolean => isUp && !isUsed && !isClosed;

function stepOf(host: PowerHost, nowMs: number): PowerStep | undefined {
  const { power, isUp, isUsed, maySleep, isNamed, isCalled } = host;
  if (power === undefined) return undefined;
  const age = nowMs - power.sinceMs;
  switch (power.state) {
    case 'falling-asleep':
      if (isUsed || !maySleep || !isNamed) return 'open';
      if (!isUp) return 'found-asleep';
      return age >= CLOSED_MS ? 'put-to-sleep' : undefined;
    case 'asleep':
      if (isUp && age >= FALLS_MS) return 'found-on';
      return maySleep && isNamed ? undefined : 'ask-to-wake';
    case 'waking':
      if (!isCalled) return 'wake';
      return isUp ? 'found-on' : undefined;
  }
}
