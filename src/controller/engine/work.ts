import { randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { Credentials } from '../../rpc/tls.ts';
import { PolicyLoop } from '../policy/loop.ts';
import type { Store } from '../store/store.ts';
import { Policies } from '../store/policies.ts';
import { Proposals } from '../store/proposals.ts';
import { Requests } from '../store/requests.ts';
import { reached, type AgentAddress } from './agent-clients.ts';
import { Agents } from './agents.ts';
import type { ControllerConfig } from '../config.ts';
import { StoredFleet, type HostAgent } from './fleet-view.ts';
import { RequestLoop } from './loop.ts';
import type { GuestSizes, HostCalls, ModeCalls } from './ports.ts';
import { rollCalls } from './roll-calls.ts';
import { Poller } from '../../poller.ts';
import { CLOSED_MS } from './host-calls.ts';

export interface WorkDependencies {
  readonly config: Pick<ControllerConfig, 'programs' | 'siteLinks' | 'power' | 'policies'>;
  readonly store: Store;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Log;
  readonly socketOf: (manager: string) => string;
  readonly owner: string;
}

export interface Work {
  readonly requests: Requests;
  readonly modes: ModeCalls;
  readonly sizes: GuestSizes;
  readonly hosts: HostCalls;
  readonly fleet: StoredFleet;
  readonly policies: Policies;
  readonly proposals: Proposals;
  readonly policyLoop: PolicyLoop;
  readonly loops: readonly (RequestLoop | PolicyLoop | KeptClosed)[];
  /** Migrations continue at their agents. */
  close(): Promise<void>;
}

export function workOn(deps: WorkDependencies): Work {
  const { config, store, credentials, clock, log, owner, socketOf } = deps;
  const requests = new Requests(store);
  const fleet = new StoredFleet(store, () => clock.monotonicMs(), config.siteLinks);
  const agentOf = (host: string): HostAgent | undefined => fleet.agentOf(host);
  const addressOf = (host: string): AgentAddress | undefined => {
    const agent = agentOf(host);
    return agent === undefined ? undefined : reached(agent, socketOf);
  };
  const agents = new Agents({ credentials, agentOf: addressOf, clock });
  const roll = rollCalls({ programs: config.programs, credentials, agentOf });
  const newId = (): string => migrationIdAt(clock.wallMs());
  const { modes, sizes, hosts } = agents;
  const loop = new RequestLoop({
    store: requests,
    agents,
    modes,
    hosts,
    fleet,
    roll,
    newId,
    clock,
    log,
    owner,
  });
  const [policies, proposals] = [new Policies(store), new Proposals(store)];
  const newPolicyId = (): string => randomBytes(8).toString('hex');
  // Separate from the requests' look, so that a request that comes right afterwards gets a new one.
  const seen = new StoredFleet(store, () => clock.monotonicMs(), config.siteLinks);
  const setsPower = config.power !== undefined;
  const { lookMs } = config.policies;
  const looking = { store, policies, requests, fleet: seen, newId: newPolicyId, setsPower, lookMs };
  const policyLoop = new PolicyLoop({ ...looking, clock, log, owner });
  const keptClosed = new KeptClosed({ store, hosts, clock, log });
  const close = async (): Promise<void> => {
    await keptClosed.close();
    await policyLoop.close();
    await loop.close();
    agents.close();
  };
  const loops = [loop, policyLoop, keptClosed];
  const asked = { modes, sizes, hosts };
  return { requests, ...asked, fleet, loops, policies, proposals, policyLoop, close };
}

/** Sorts by time; the random part prevents collisions between controllers. */
function migrationIdAt(nowMs: number): string {
  const random = randomInt(36 ** 8)
    .toString(36)
    .padStart(8, '0');
  return `m-${nowMs.toString(36)}${random}`;
}

const LOOK_MS = 1000;
const AGAIN_MS = CLOSED_MS / 4;
const AT_ONCE = 16;

interface KeptClosedDependencies {
  readonly store: Pick<Store, 'db'>;
  readonly hosts: Pick<HostCalls, 'close' | 'open'>;
  readonly clock: Clock;
  readonly log: Log;
}

interface CloseRecord {
  readonly request: string;
  readonly calledAtMs: number;
}

/**
 * Keeps the hosts of draining requests closed, because migrations that no controller ordered could come otherwise.
 * Every controller calls all of them; the calls are idempotent.
 */
class KeptClosed {
  readonly #deps: KeptClosedDependencies;
  readonly #looks: Poller;
  readonly #kept = new Map<string, CloseRecord>();

  constructor(deps: KeptClosedDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  start(): void {
    this.#looks.start(LOOK_MS, () => this.look(), 'hosts that are drained were not kept closed');
  }

  async close(): Promise<void> {
    await this.#looks.close();
  }

  async look(): Promise<void> {
    const { store, hosts, clock } = this.#deps;
    const rows = await store.db
      .selectFrom('host_marks')
      .select(['host', 'draining_for as request'])
      .where('draining_for', 'is not', null)
      .execute();
    const marked = new Map(rows.map(({ host, request }) => [host, request ?? '']));
    const nowMs = clock.monotonicMs();
    const opened = [...this.#kept].filter(([host, { request }]) => marked.get(host) !== request);
    for (const [host] of opened) this.#kept.delete(host);
    const due = [...marked].filter(
      ([host]) => nowMs - (this.#kept.get(host)?.calledAtMs ?? -Infinity) >= AGAIN_MS,
    );
    for (const [host, request] of due) this.#kept.set(host, { request, calledAtMs: nowMs });
    await inParts([
      ...opened.map(
        ([host, { request }]) =>
          () =>
            hosts.open(host, request),
      ),
      ...due.map(
        ([host, request]) =>
          () =>
            hosts.close(host, request),
      ),
    ]);
  }
}

async function inParts(calls: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (let at = 0; at < calls.length; at += AT_ONCE)
    await Promise.all(calls.slice(at, at + AT_ONCE).map((call) => call()));
}
