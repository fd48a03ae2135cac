import { Guests } from '../src/agent/guests/guests.ts';
import { sightingOf } from '../src/agent/guests/sightings.ts';
import { Incoming } from '../src/agent/migrations/incoming.ts';
import { Sides } from '../src/agent/migrations/sides.ts';
import { Peers } from '../src/agent/peers.ts';
import type { MoverProcesses } from '../src/agent/processes/mover-process.ts';
import { Supervisor } from '../src/agent/processes/supervision.ts';
import { Resolve, type ResolveSurroundings } from '../src/agent/resolve/resolve.ts';
import { systemClock } from '../src/clock.ts';
import type { AgentConfig } from '../src/config.ts';
import { godwitError } from '../src/errors.ts';
import type { Fence } from '../src/host/fencing.ts';
import { silentLog } from '../src/log.ts';
import type { DestinationMover } from '../src/mover/direct/destination/mover.ts';
import type { Order } from '../src/mover/direct/destination/silent-source.ts';
import type { DirectDriver } from '../src/port/direct.ts';
import { agentContract } from '../src/protocol/contract.ts';
import type { ResolveAnswer } from '../src/protocol/public/resolve.ts';
import { hostFactsOf } from './host-facts.ts';
import type { Network } from './network.ts';
import type { SimProcess } from './process.ts';
import { ADDRESSES, type HostName } from './scenario.ts';
import type { SimStore } from './store.ts';

export type SimPeers = () => Record<string, { address: string; addresses: string[] }>;

export interface AgentDependencies {
  readonly name: HostName;
  readonly process: SimProcess;
  readonly config: AgentConfig;
  readonly network: Network;
  readonly store: SimStore;
  /** Of this host; an agent's looks at it meet no faults. */
  readonly driver: DirectDriver;
  readonly movers: MoverProcesses;
  readonly peers: SimPeers;
  readonly fence: Fence | undefined;
  readonly around: ResolveSurroundings;
}

/** What an agent is asked to do here. */
export interface SimAgent {
  readonly supervisor: Supervisor;
  readonly incoming: Incoming;
  readonly resolve: Resolve;
  readonly peers: Peers;
}

/** The agent's own parts that have to do with a migration and with the right to run, on a simulated host. */
export function openAgent(deps: AgentDependencies): SimAgent {
  const { name, process, config, network, movers, fence, around } = deps;
  const clock = systemClock;
  const log = silentLog;
  const store = deps.store.asStore;
  const drivers = [deps.driver];
  const fleet = { peers: deps.peers };
  const connect = network.connector(process);
  const peers = new Peers(fleet, undefined as never, (peer, address) =>
    connect(agentContract, peer, address),
  );
  const supervisor = new Supervisor(store, movers, clock, log);
  const guests = new Guests(config, drivers, store, clock);
  const inventory = {
    memory: async () => ({ totalBytes: 2 ** 40, availableBytes: 2 ** 40 }),
    freePorts: async () => 256,
  } as never;
  const common = { config, clock, log, store, guests, peers, supervisor, movers };
  const incoming = new Incoming({ ...common, hostFacts: hostFactsOf(name), inventory });
  const { bootTime } = around;
  const sides = new Sides({ config, drivers, store, movers, supervisor, log, bootTime });
  const resolve = new Resolve({ ...common, sides, fence, around });
  network.listen(process, ADDRESSES[name], agentContract, {
    admit: ({ body, caller }) => incoming.admit(body, caller),
    incoming: ({ params, caller }) => incoming.where(params.id, caller),
    side: ({ params, query, caller }) => sides.forPeer(params.id, query.look, caller),
    sighting: ({ params, query, caller }) =>
      sightingOf({ guests, store, host: name }, params.guest, { ...query, asker: caller.name }),
    takeUp: ({ params, body, caller, signal }) => resolve.takeUp(params.id, body, caller, signal),
  });
  supervisor.start();
  return { supervisor, incoming, resolve, peers };
}

/** An agent waits for so long until a mover has ended, as in resolve-lock.ts, ms. */
const LOCK_MS = 6000;

export interface ResolveParts extends Pick<ResolveSurroundings, 'bootTime' | 'openFile'> {
  /** By migration: who holds it. */
  readonly locks: Map<string, { readonly dead: boolean }>;
  readonly moverOf: (
    pid: number,
  ) => { readonly process: SimProcess; readonly destination?: DestinationMover } | undefined;
}

/** How that agent writes an operator's order down. */
export function resolveWith(
  agent: SimProcess,
  { bootTime, openFile, locks, moverOf }: ResolveParts,
): ResolveSurroundings {
  return {
    bootTime,
    openFile,
    hold: async ({ id }, clock, host) => {
      for (const until = clock.monotonicMs() + LOCK_MS; ; await clock.sleep(100)) {
        if (locks.get(id)?.dead !== false) break;
        const what = `a mover of ${host} works on ${id}`;
        if (clock.monotonicMs() > until) throw godwitError('GODWIT_INTERNAL', { what });
      }
      let isFree = false;
      locks.set(id, {
        get dead() {
          return isFree || agent.dead;
        },
      });
      return {
        release: () => {
          isFree = true;
        },
      };
    },
    connectMover: ({ pid }) => {
      const found = moverOf(pid);
      const resolve = async ({ body }: { body: Order }): Promise<ResolveAnswer> => {
        if (found?.destination === undefined) throw new Error('its mover has ended');
        const { process, destination } = found;
        return process.run(() => destination.resolve(body));
      };
      return { api: { resolve }, close: () => {} } as never;
    },
  };
}
