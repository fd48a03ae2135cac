import type { FleetView } from '../../../src/controller/engine/ports.ts';
import type { GuestFacts, HostFacts } from '../../../src/controller/requests/facts.ts';
import type { Sight } from '../../../src/controller/requests/settle.ts';
import type { Move } from '../../../src/protocol/controller/fleet-request.ts';

/** What an agent must not do. */
export type AgentFlaw = 'agent-takes-any-epoch' | 'drop-without-epoch';

const GIB = 1024 ** 3;

/** The agent of host a, and what the fleet is seen to be. */
export class ModelAgent {
  readonly migrations = new Map<string, { guest: string; to: string; state: string }>();
  epochSeen = 0;
  /** Where each guest is, and where it was when the fleet was looked at last. */
  readonly home = new Map<string, string>();
  seenHome: ReadonlyMap<string, string>;
  readonly #flaws: ReadonlySet<string>;
  readonly #onBegin: (move: Move) => void;

  constructor(guests: number, flaws: ReadonlySet<string>, onBegin: (move: Move) => void) {
    for (let each = 0; each < guests; each += 1) this.home.set(`g${each}`, 'a');
    this.seenHome = new Map(this.home);
    this.#flaws = flaws;
    this.#onBegin = onBegin;
  }

  /** Without any controller; the fleet lists it from the beginning. */
  arrives(guest: string, host: string): void {
    this.home.set(guest, host);
    this.seenHome = new Map(this.home);
  }

  /** The agent: it takes whatever a controller with the right epoch asks, so that only the engine keeps the rules. */
  async put(move: Move, epoch: number): Promise<Sight> {
    if (this.#isStale(epoch)) return { seen: 'stale' };
    if (this.migrations.has(move.id)) return { seen: 'accepted' };
    this.migrations.set(move.id, { guest: move.guest, to: move.to, state: 'going' });
    this.#onBegin(move);
    return { seen: 'accepted' };
  }

  async cancel(move: Move, epoch: number): Promise<Sight> {
    if (!this.#flaws.has('drop-without-epoch') && this.#isStale(epoch)) return { seen: 'stale' };
    const found = this.migrations.get(move.id);
    if (found?.state === 'going') found.state = 'cancelled';
    return this.look(move.id);
  }

  #isStale(epoch: number): boolean {
    if (this.#flaws.has('agent-takes-any-epoch')) return false;
    if (epoch < this.epochSeen) return true;
    this.epochSeen = epoch;
    return false;
  }

  look(id: string): Sight {
    const state = this.migrations.get(id)?.state;
    return { seen: (state ?? 'unknown') as Sight['seen'] };
  }

  view(): FleetView {
    return {
      look: async () => {
        const hosts = ['a', 'b', 'c'].map((name): [string, HostFacts] => [
          name,
          { name, seenAtMs: 0, cores: 16, memoryBytes: 64 * GIB },
        ]);
        const guests = [...this.seenHome].map(([name, host]): [string, GuestFacts] => [
          name,
          {
            name,
            at: [{ host, state: 'running' }],
            memoryBytes: GIB,
            vcpus: 1,
            demand: [0.1],
            unmovable: [],
          },
        ]);
        return { hosts: new Map(hosts), guests: new Map(guests), labels: new Map() };
      },
    };
  }
}
