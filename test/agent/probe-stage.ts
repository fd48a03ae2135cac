import { GuestProbes, type Others } from '../../src/agent/host/probes.ts';
import type { StartWatcher, WatchLine } from '../../src/agent/processes/watcher-process.ts';
import { systemClock } from '../../src/clock.ts';
import { agentConfig } from '../../src/config.ts';
import {
  probing,
  type AdmittedGuest,
  type WatchEnd,
  type WatchOrder,
} from '../../src/protocol/peer/probe.ts';
import type { Later } from '../../src/protocol/public/probe.ts';
import type { Caller } from '../../src/rpc/caller.ts';

/** An agent c that watches for a and b, with watchers that do nothing. */

export const A: Caller = { role: 'agent', name: 'a' };
export const B: Caller = { role: 'agent', name: 'b' };
const own = { name: 'c', address: '10.0.0.3:7443', stateDir: '/nowhere' };

export const MAC = '52:54:00:00:00:01';
const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
export const nic = (mac: string, ...addresses: string[]) => ({
  id: 'n0',
  port: 'tap0',
  attachment,
  mac,
  addresses,
});

export function order(id: string, given: Partial<WatchOrder> = {}): WatchOrder {
  const common = { guest: 'web1', to: 'd', probing: probing.parse({}), leaseMs: 20_000 };
  return { id, ...common, nics: [nic(MAC, '10.9.0.5')], ...given };
}

/** What d says of each migration: that of the host by whose name its id begins. */
export const said = (id: string): AdmittedGuest => ({
  guest: 'web1',
  from: id.startsWith('m-b') ? 'b' : 'a',
  nics: [{ mac: MAC, addresses: ['10.9.0.5', 'fd00::5'] }],
});

/** Watchers that do nothing, and what they were asked. */
export function stage(
  network: object = {},
  admitted: (id: string) => AdmittedGuest = said,
  later?: Later,
) {
  const started: WatchLine[] = [];
  const reported: string[] = [];
  const ends: (() => void)[] = [];
  const start: StartWatcher = (line) => {
    started.push(line);
    const gone = Promise.withResolvers<void>();
    ends.push(gone.resolve);
    return {
      begun: Promise.resolve(),
      result: gone.promise.then(() => ({ notTried: `it ended by itself` })),
      gone: gone.promise,
      stop: () => reported.push(`stop ${line.owner}`),
      stay: (leaseMs) => reported.push(`stay ${leaseMs}`),
      later: () => later,
      end: async ({ laterMs }: WatchEnd = {}) => {
        if (laterMs !== undefined && later !== undefined) return { goesOnMs: laterMs };
        gone.resolve();
        return { notTried: `ended ${line.owner}` };
      },
    };
  };
  const clock = { ...systemClock, wallMs: () => 5 };
  const asked: string[] = [];
  const others: Others = {
    admittedGuest: async (to, id) => {
      asked.push(`${to} ${id}`);
      return admitted(id);
    },
    addresses: () => ['10.0.0.4:7443'],
  };
  const config = agentConfig.parse({ ...own, network });
  return { probes: new GuestProbes(config, clock, others, start), started, reported, ends, asked };
}
