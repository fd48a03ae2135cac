import type { HostState } from '../../../src/protocol/controller/fleet.ts';
import type { HostView } from './model.ts';

export const ORDERS = ['name', 'processor', 'memory', 'pressure', 'guests'] as const;
export type Order = (typeof ORDERS)[number];

/** By what hosts are chosen: a state, `draining`, or `attention`: everything that is not well. */
export type StateFilter = HostState | 'draining' | 'attention' | undefined;

export interface Filter {
  /** Part of the name of a host, or of one of its guests. */
  readonly text: string;
  readonly shown: StateFilter;
  readonly order: Order;
}

/** One that was put to sleep is as it should be. */
export const needsAttention = ({ state }: Pick<HostView, 'state'>): boolean =>
  state !== 'up' && state !== 'asleep';

/** The share of memory in use, 0..1; undefined where nobody knows. */
export function memoryShare(host: {
  readonly memoryBytes?: number | undefined;
  readonly memoryAvailableBytes?: number | undefined;
}): number | undefined {
  const { memoryBytes, memoryAvailableBytes } = host;
  if (memoryBytes === undefined || memoryAvailableBytes === undefined || memoryBytes <= 0)
    return undefined;
  return Math.min(1, Math.max(0, 1 - memoryAvailableBytes / memoryBytes));
}

function isShown(host: HostView, shown: StateFilter): boolean {
  if (shown === undefined) return true;
  if (shown === 'draining') return host.draining;
  if (shown === 'attention') return needsAttention(host);
  return host.state === shown;
}

/** Hosts to show, in their order: by name upwards, by a figure downwards with the unknown last. Pure. */
export function hostsFor(hosts: Iterable<HostView>, { text, shown, order }: Filter): HostView[] {
  const part = text.trim().toLowerCase();
  const found: HostView[] = [];
  for (const host of hosts) {
    if (!isShown(host, shown)) continue;
    const isFound =
      part === '' ||
      host.name.includes(part) ||
      host.guests.some(({ name }) => name.toLowerCase().includes(part));
    if (isFound) found.push(host);
  }
  return found.sort(
    (one, other) => figure(other, order) - figure(one, order) || byName(one, other),
  );
}

const byName = (one: HostView, other: HostView): number => NAMES.compare(one.name, other.name);
/** So that host2 stands before host10. */
const NAMES = new Intl.Collator('en', { numeric: true });

function figure(host: HostView, order: Order): number {
  switch (order) {
    case 'name':
      return 0;
    case 'processor':
      return host.processorShare ?? -1;
    case 'memory':
      return memoryShare(host) ?? -1;
    case 'pressure':
      return host.pressure ?? -1;
    case 'guests':
      return host.guests.length;
  }
}

export interface Totals {
  readonly hosts: number;
  readonly guests: number;
  readonly moving: number;
  readonly draining: number;
  readonly byState: ReadonlyMap<HostState, number>;
  /** Of the hosts that are up and say so. */
  readonly memoryBytes: number;
  readonly memoryUsedBytes: number;
  readonly cores: number;
  readonly coresUsed: number;
}

/** What the fleet comes to. A silent host's figures are of no use: they are left out. Pure. */
export function totalsOf(hosts: Iterable<HostView>): Totals {
  const byState = new Map<HostState, number>();
  const sum = { hosts: 0, guests: 0, moving: 0, draining: 0, memoryBytes: 0, memoryUsedBytes: 0 };
  const processor = { cores: 0, coresUsed: 0 };
  for (const host of hosts) {
    sum.hosts += 1;
    byState.set(host.state, (byState.get(host.state) ?? 0) + 1);
    if (host.draining) sum.draining += 1;
    for (const { state } of host.guests) {
      sum.guests += 1;
      if (state === 'migrating' || state === 'incoming') sum.moving += 1;
    }
    if (host.state !== 'up') continue;
    const used = memoryShare(host);
    if (used !== undefined) {
      sum.memoryBytes += host.memoryBytes ?? 0;
      sum.memoryUsedBytes += used * (host.memoryBytes ?? 0);
    }
    if (host.processorShare !== undefined && host.cores !== undefined) {
      processor.cores += host.cores;
      processor.coresUsed += host.cores * host.processorShare;
    }
  }
  return { ...sum, ...processor, byState };
}
