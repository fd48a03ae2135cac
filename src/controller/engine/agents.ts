import type { Clock } from '../../clock.ts';
import { hasCode, toGodwitError, type SerialError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { Move } from '../../protocol/controller/fleet-request.ts';
import { defined } from '../../protocol/defined.ts';
import type { Order } from '../../protocol/public/order.ts';
import { MAX_PER_PAGE } from '../../protocol/public/page.ts';
import type { MigrationSummary, Phase } from '../../protocol/public/migration.ts';
import type { Api } from '../../rpc/client.ts';
import type { MoveAnswer } from '../requests/moves.ts';
import type { Sight } from '../requests/settle.ts';
import { AgentClients, type AgentClientsDependencies } from './agent-clients.ts';
import { askedAbout, HostLooks } from './host-looks.ts';
import { isSilence } from './is-silence.ts';
import { hostCalls } from './host-calls.ts';
import { modeCalls } from './mode-calls.ts';
import { AskedSizes } from './guest-sizes.ts';
import type { AgentCalls, GuestSizes, HostCalls, ModeCalls } from './ports.ts';

/** An agent answers once a mover runs. */
const PUT_MS = 20_000;
const ANSWER_MS = 5000;

export interface AgentsDependencies extends AgentClientsDependencies {
  readonly clock: Clock;
}

export class Agents implements AgentCalls {
  readonly #clients: AgentClients;
  readonly modes: ModeCalls;
  readonly hosts: HostCalls;
  readonly sizes: GuestSizes;
  readonly #looks: HostLooks;

  constructor(deps: AgentsDependencies) {
    this.#clients = new AgentClients(deps);
    this.modes = modeCalls(this.#clients);
    this.hosts = hostCalls(this.#clients);
    this.sizes = new AskedSizes({ clients: this.#clients, clock: deps.clock });
    this.#looks = new HostLooks({
      monotonicMs: () => deps.clock.monotonicMs(),
      one: (move) => this.#ask(move, (api) => look(api, move.id)),
      newest: (host, most) => this.#newest(host, most),
    });
  }

  put(move: Move, order: Order): Promise<Sight> {
    return this.#ask(move, async (api) => {
      const { id, guest, from, to, settings, recovers } = move;
      if (recovers !== undefined) {
        const asked = { params: { id }, query: queryOf(order), body: { guest, from, ...recovers } };
        await api.putRecovery(asked, { deadlineMs: PUT_MS });
        return { seen: 'accepted' };
      }
      const body = { ...settings, guest, to };
      await api.putMigration(
        { params: { id }, query: queryOf(order), body },
        { deadlineMs: PUT_MS },
      );
      return { seen: 'accepted' };
    });
  }

  cancel(move: Move, order: Order): Promise<Sight> {
    return this.#ask(move, async (api) => {
      const asked = { params: { id: move.id }, query: queryOf(order) };
      try {
        await api.cancel(asked, { deadlineMs: ANSWER_MS });
      } catch (thrown) {
        if (!hasCode(thrown, 'GODWIT_CANCEL_TOO_LATE')) throw thrown;
      }
      return look(api, move.id);
    });
  }

  look(move: Move): Promise<Sight> {
    return this.#looks.look(move);
  }

  close(): void {
    this.#clients.close();
  }

  async #newest(host: string, limit: number): Promise<Map<string, Sight>> {
    const api = this.#clients.at(host);
    if (api === undefined) return new Map();
    const query = { limit: Math.min(limit, MAX_PER_PAGE) };
    const { migrations } = await api.migrations({ query }, { deadlineMs: ANSWER_MS });
    return new Map(migrations.map((each) => [each.id, sightIn(each)]));
  }

  async #ask(move: Move, work: (api: Api<typeof agentContract>) => Promise<Sight>): Promise<Sight> {
    const api = this.#clients.at(askedAbout(move));
    if (api === undefined) return { seen: 'silent' };
    try {
      return await work(api);
    } catch (thrown) {
      return sightOf(thrown);
    }
  }
}

const queryOf = ({ request, epoch }: Order): { order: string; epoch: string } => ({
  order: request,
  epoch: String(epoch),
});

async function look(api: Api<typeof agentContract>, id: string): Promise<Sight> {
  return sightIn(await api.migration({ params: { id } }, { deadlineMs: ANSWER_MS }));
}

const sightIn = ({ phase, error }: Pick<MigrationSummary, 'phase' | 'error'>): Sight => ({
  seen: SEEN_AS[phase],
  ...defined({ error }),
});

const SEEN_AS: Readonly<Record<Phase, MoveAnswer>> = {
  planned: 'going',
  checking: 'going',
  seeding: 'going',
  preparing: 'going',
  disks: 'going',
  memory: 'going',
  switchover: 'going',
  handover: 'going',
  draining: 'going',
  verifying: 'going',
  cleanup: 'going',
  undoing: 'going',
  done: 'done',
  // Unreachable, since requests never rehearse; the guest would be at its source.
  rehearsed: 'cancelled',
  failed: 'failed',
  cancelled: 'cancelled',
  held: 'held',
  lost: 'lost',
};

/** Only an agent's own answer refuses; failed transport counts as silence. */
function sightOf(thrown: unknown): Sight {
  const error: SerialError = toGodwitError(thrown).toJSON();
  if (hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN')) return { seen: 'unknown' };
  if (hasCode(thrown, 'GODWIT_ORDER_STALE')) return { seen: 'stale' };
  return isSilence(thrown) ? { seen: 'silent', error } : { seen: 'refused', error };
}
