import { Mutex } from '../../../src/mutex.ts';
import { Policies, type PolicyChange } from '../../../src/controller/store/policies.ts';
import { Proposals } from '../../../src/controller/store/proposals.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import { StoredFleet } from '../../../src/controller/engine/fleet-view.ts';
import { emptyHosts } from '../engine/empty-hosts.ts';
import { noModes } from '../engine/no-modes.ts';
import type { AgentCalls } from '../../../src/controller/engine/ports.ts';
import { LOOK_MS } from '../../../src/controller/inventory/guest-looks.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { PolicyLoop } from '../../../src/controller/policy/loop.ts';
import { lookFor, type LookDependencies } from '../../../src/controller/policy/turn.ts';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import type { PolicyKind } from '../../../src/protocol/controller/policy.ts';

const GIB = 1024 ** 3;
const CORES = 8;

export interface SceneGuest {
  readonly host: string;
  /** Cores that it uses. */
  readonly used: number;
}

/** A fleet in a store, of which each host was watched for `looks` looks; what moves is moved at once by made agents. */
export class Scene {
  readonly store: Store;
  readonly requests: Requests;
  readonly policies: Policies;
  readonly proposals: Proposals;
  readonly guests = new Map<string, SceneGuest>();
  /** Moves that agents were asked to begin. */
  readonly begun: string[] = [];
  readonly #hosts: readonly string[];
  #ids = 0;
  /** Each look stands at its own time; the newest one is over now. */
  #looks: { readonly at: number; readonly guests: ReadonlyMap<string, SceneGuest> }[] = [];

  private constructor(store: Store, hosts: readonly string[]) {
    this.store = store;
    this.#hosts = hosts;
    this.requests = new Requests(store);
    this.policies = new Policies(store);
    this.proposals = new Proposals(store);
  }

  static async open(place: StorePlace, hosts: readonly string[]): Promise<Scene> {
    const scene = new Scene(await openStore(place, silentLog), hosts);
    await scene.#writeHosts();
    return scene;
  }

  /** Guests by host, each with the cores that it uses. */
  put(host: string, guests: Readonly<Record<string, number>>): void {
    for (const [name, used] of Object.entries(guests)) this.guests.set(name, { host, used });
  }

  /** So many looks pass with the guests as they are; older ones move back in time. */
  async watch(looks: number): Promise<void> {
    const now = Math.floor(Date.now() / LOOK_MS) * LOOK_MS - LOOK_MS;
    const guests = new Map(this.guests);
    this.#looks = [...this.#looks, ...Array.from({ length: looks }, () => ({ at: 0, guests }))]
      .slice(-36)
      .map((look, at, all) => ({ ...look, at: now - (all.length - 1 - at) * LOOK_MS }));
    await this.#writeGuests();
    await this.store.db.deleteFrom('rollups').where('span', '=', 'look').execute();
    for (const look of this.#looks) {
      for (const [shard, hosts] of Map.groupBy(this.#hosts, shardOf)) {
        const body = Object.fromEntries(hosts.map((host) => [host, lookOf(host, look.guests)]));
        await this.store.db
          .insertInto('rollups')
          .values({ shard, span: 'look', at: look.at, body: JSON.stringify(body) })
          .execute();
      }
    }
  }

  loop(owner = 'one', more: Partial<LookDependencies> = {}): PolicyLoop {
    const parts = { ...this.#lookDependencies(), ...more };
    return new PolicyLoop({ ...parts, clock: systemClock, log: silentLog, owner });
  }

  /** What a look that is due finds; nothing is written. */
  look(kind: PolicyKind, scope = 'fleet'): Promise<PolicyChange> {
    return lookFor(this.#lookDependencies(), { kind, scope });
  }

  /** A look that is due, as a controller makes it; false where none was. */
  async turn(kind: PolicyKind, scope = 'fleet'): Promise<void> {
    await this.store.db.updateTable('policies').set({ due_at: 0, lease_until: 0 }).execute();
    await this.loop().turn(kind, scope);
  }

  /** Carries every open request to its end; agents make each move at once. */
  async carry(): Promise<void> {
    const agents: AgentCalls = {
      put: (move) => {
        this.begun.push(`${move.guest} ${move.from}>${move.to}`);
        return Promise.resolve({ seen: 'accepted' });
      },
      look: async (move) => {
        const guest = this.guests.get(move.guest);
        if (guest !== undefined) this.guests.set(move.guest, { ...guest, host: move.to });
        await this.#writeGuests();
        return { seen: 'done' };
      },
      cancel: () => Promise.resolve({ seen: 'unknown' }),
    };
    const unasked = () => Promise.reject(new Error('no roll is asked for'));
    const roll = { host: unasked, program: unasked };
    const fleet = new StoredFleet(this.store, () => (this.#ids += 1000));
    const newId = (): string => `m-${String((this.#ids += 1)).padStart(8, '0')}`;
    for (let claims = 0; claims < 50; claims += 1) {
      const claim = await this.requests.acquire('carrier', 0);
      if (claim === undefined) return;
      const own = { leaseMs: 0, turns: new Mutex() };
      const parts = {
        store: this.requests,
        agents,
        modes: noModes,
        hosts: emptyHosts,
        fleet,
        roll,
        newId,
        ...own,
      };
      const carrier = new Carrier(claim, parts);
      for (let rounds = 0; rounds < 50; rounds += 1) {
        const round = await carrier.round();
        if (round === 'ended' || round === 'idle' || round === 'lost') break;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await this.requests.release(carrier.claim, 0);
    }
  }

  /** An agent reports a migration, which took 40 ms of its guest. */
  async reported(
    migration: { id: string; guest: string; source: string; destination: string },
    startedAtMs: number,
  ): Promise<void> {
    await this.store.db
      .insertInto('migrations')
      .values({
        ...migration,
        mode: 'precopy',
        told_by: migration.source,
        side: 'source',
        started_at: startedAtMs,
        ended_at: startedAtMs + 1000,
        outcome: 'done',
        downtime_ms: 40,
        bytes: 1000,
        epoch: 1,
      })
      .execute();
  }

  #lookDependencies(): LookDependencies {
    const { store, policies, requests } = this;
    const fleet = new StoredFleet(store, () => performance.now());
    const newId = (): string => String((this.#ids += 1)).padStart(16, '0');
    return { store, policies, requests, fleet, newId, setsPower: false, lookMs: LOOK_MS };
  }

  async #writeHosts(): Promise<void> {
    const until = Date.now() + 86_400_000;
    for (const shard of new Set(this.#hosts.map(shardOf)))
      await this.store.db
        .insertInto('host_leases')
        .values({ shard, owner: 'one', epoch: 1, lease_until: until })
        .execute();
    for (const name of this.#hosts)
      await this.store.db
        .insertInto('hosts')
        .values({
          name,
          address: '127.0.0.1:1',
          shard: shardOf(name),
          state: 'up',
          since: 1,
          reason: null,
          version: null,
          cores: CORES,
          memory_bytes: 64 * GIB,
          memory_available_bytes: 60 * GIB,
          site: null,
          guests: 0,
          info: null,
          changed_at: 1,
          epoch: 1,
        })
        .execute();
  }

  async #writeGuests(): Promise<void> {
    await this.store.transaction(async (db) => {
      await db.deleteFrom('guests').execute();
      for (const [name, { host }] of this.guests) {
        const reported = {
          name,
          host,
          driver: 'fake',
          state: 'running',
          memoryBytes: GIB,
          vcpus: 4,
        };
        const row = { name, host, uuid: '', state: 'running', memory_bytes: GIB, vcpus: 4 };
        await db
          .insertInto('guests')
          .values({
            ...row,
            driver: 'fake',
            info: JSON.stringify(reported),
            changed_at: 1,
            epoch: 1,
          })
          .execute();
      }
    });
  }
}

function lookOf(host: string, guests: ReadonlyMap<string, SceneGuest>) {
  const own = [...guests].filter(([, each]) => each.host === host);
  const used = own.reduce((sum, [, each]) => sum + each.used, 0);
  return {
    used: Math.min(1, used / CORES),
    pressure: 0,
    cores: CORES,
    guests: Object.fromEntries(own.map(([name, each]) => [name, each.used])),
  };
}
