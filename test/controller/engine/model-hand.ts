import type { HostCalls } from '../../../src/controller/engine/ports.ts';
import type { HostHeard } from '../../../src/controller/requests/occupancy.ts';
import type { ModelAgent } from './model-agent.ts';
import type { Choice } from './model-context.ts';

/** What a controller must not do: believe its list. */
export type HandFlaw = 'host-is-not-asked';

type Call = <T>(to: 'agent', what: string, execute: () => Promise<T>) => Promise<T>;

const MIGRATION = 'm-byhand00';

/** A person who moves a guest from b to a without a controller, and the hosts that report what is on them. */
export class ModelHand {
  readonly guest = 'h0';
  readonly #flaws: ReadonlySet<string>;
  #move: 'none' | 'to-come' | 'going' | 'done' | 'refused';
  readonly #closed = new Set<string>();

  /** `agent`: where the guest is at first; absent: there is none. */
  constructor(flaws: ReadonlySet<string>, agent?: ModelAgent) {
    this.#flaws = flaws;
    this.#move = agent === undefined ? 'none' : 'to-come';
    agent?.arrives(this.guest, 'b');
  }

  get isComing(): boolean {
    return this.#move === 'going';
  }

  /** How many guests that were on that host are elsewhere. */
  movedFrom(host: string, { home }: ModelAgent): number {
    const wasThere = (guest: string): boolean => guest !== this.guest || this.#move === 'done';
    return [...home].filter(([guest, at]) => wasThere(guest) && at !== host).length;
  }

  key(): unknown {
    return [this.#move, [...this.#closed].toSorted()];
  }

  choices(agent: ModelAgent): Choice[] {
    const choice = (name: string, act: () => void): Choice => ({ name, isFault: false, act });
    switch (this.#move) {
      case 'to-come':
        return [
          choice('a person moves a guest to a', () => {
            this.#move = this.#closed.has('a') ? 'refused' : 'going';
          }),
        ];
      case 'going':
        return [
          choice('the guest of that person is on a', () => {
            this.#move = 'done';
            agent.home.set(this.guest, 'a');
          }),
        ];
      case 'none':
      case 'done':
      case 'refused':
        return [];
    }
  }

  calls(call: Call, agent: ModelAgent): HostCalls {
    const change = (host: string, isClosed: boolean) => async (): Promise<boolean> => {
      if (isClosed) this.#closed.add(host);
      else this.#closed.delete(host);
      return true;
    };
    return {
      occupancy: (host) =>
        call('agent', `look at what is on ${host}`, async () => this.#occupancy(host, agent)),
      close: (host) => call('agent', `look: close ${host}`, change(host, true)),
      open: (host) => call('agent', `look: open ${host}`, change(host, false)),
    };
  }

  #occupancy(host: string, { home }: ModelAgent): HostHeard {
    const nothing = { guests: [], underWay: [] };
    if (this.#flaws.has('host-is-not-asked')) return { of: 'host', occupancy: nothing };
    this.#closed.add(host);
    const guests = [...home].filter(([, at]) => at === host).map(([guest]) => guest);
    const isTo = this.isComing && (host === 'a' || host === 'b');
    const underWay = [{ guest: this.guest, migration: MIGRATION, from: 'b', to: 'a' }];
    return { of: 'host', occupancy: { guests, underWay: isTo ? underWay : [] } };
  }
}
