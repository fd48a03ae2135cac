import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import { isManaged } from '../../drivers/registry.ts';
import type { Driver } from '../../drivers/registry.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { refusal, throwRefusal, warn } from '../../migration/preflight/check.ts';
import { bestFirst, verdictOf } from '../../migration/preflight/rank.ts';
import { inOrder } from '../../migration/preflight/judge.ts';
import type { CheckAnswer, CheckedHost, CheckRequest } from '../../protocol/public/check.ts';
import { migrationRequest } from '../../protocol/public/migration.ts';
import type { Check, MigrationRequest } from '../../protocol/public/migration.ts';
import { driverOf } from '../life.ts';
import type { Looked, Outgoing } from '../outgoing.ts';
import type { Peers } from '../peers.ts';
import type { SourceGuest } from '../../mover/direct/source/guest.ts';

/** Checks of this host's guests at once: each takes hold of a monitor. */
const MOST = 4;
/** Destinations of one guest that are asked at once. */
const HOSTS_AT_ONCE = 4;
/** All questions to one destination, ms. */
const HOST_MS = 40_000;
/** All destinations together, ms: whoever asks waits a little longer. */
const ALL_MS = 100_000;

const NOT_ASKED = warn(
  'destination',
  'a manager moves this guest: it is asked by a migration alone',
  'Start the migration; where its manager refuses, it ends before anything is ordered.',
  'both',
);

/** A destination that is to be asked. */
interface Planned {
  readonly id: string;
  readonly request: MigrationRequest;
  readonly looked: Looked;
}

export interface ChecksParts {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly drivers: readonly Driver[];
  readonly outgoing: Outgoing;
  readonly peers: Peers;
}

/** Makes the checks of a migration without one: nothing is begun, and nothing is left on either host. */
export class Checks {
  readonly #parts: ChecksParts;
  #running = 0;

  constructor(parts: ChecksParts) {
    this.#parts = parts;
  }

  /** Checks one destination, or every peer. Throws where there is no such guest or host. */
  async answer(asked: CheckRequest, signal: AbortSignal): Promise<CheckAnswer> {
    const { config, peers } = this.#parts;
    const names = asked.to === undefined ? peers.names() : [asked.to];
    const hosts = await this.#all(asked, names, signal);
    return { guest: asked.guest, from: config.name, hosts: bestFirst(hosts) };
  }

  /** Every check of a migration, none of which refuses; throws the first refusal, as the migration would end with it. */
  async dryRun(request: MigrationRequest, signal: AbortSignal): Promise<readonly Check[]> {
    const [host] = await this.#all(request, [request.to], signal);
    const checks = host?.checks ?? [];
    throwRefusal(checks);
    return checks;
  }

  async #all(
    asked: CheckRequest,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<CheckedHost[]> {
    const { config } = this.#parts;
    if (this.#running >= MOST) {
      const what = `${config.name}, in checks of its guests at once,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: MOST });
    }
    this.#running += 1;
    const guest = new HeldGuest(this.#parts);
    const until = performance.now() + ALL_MS;
    try {
      const left = await this.#lookForAll(asked, names);
      const done: CheckedHost[] = [];
      const worker = async (): Promise<void> => {
        for (let each = left.shift(); each !== undefined; each = left.shift()) {
          const deadlineMs = Math.min(HOST_MS, until - performance.now());
          const checks = inOrder(await this.#host(each, guest, deadlineMs, signal));
          done.push({
            to: each.request.to,
            verdict: verdictOf(checks),
            checks: checks.slice(0, 256),
          });
        }
      };
      await Promise.all(Array.from({ length: HOSTS_AT_ONCE }, worker));
      return done;
    } finally {
      this.#running -= 1;
      await guest.close();
    }
  }

  /** Before anybody takes hold of the guest: whoever has hold of its monitor keeps a look at it from an answer. */
  async #lookForAll(asked: CheckRequest, names: readonly string[]): Promise<Planned[]> {
    const planned: Planned[] = [];
    for (const to of names) {
      const id = newCheckId();
      const request = migrationRequest.parse({ ...asked, to });
      planned.push({ id, request, looked: await this.#parts.outgoing.look(id, request) });
    }
    return planned;
  }

  /** What one destination cannot answer in time is a check that refuses, and takes nothing from the others. */
  async #host(
    { id, request, looked }: Planned,
    held: HeldGuest,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<readonly Check[]> {
    // Whom nobody may take hold of is asked nothing more.
    const isClosed = looked.checks.some(
      ({ name, verdict }) => verdict === 'refuse' && ['busy', 'guest'].includes(name),
    );
    if (isClosed) return looked.checks;
    if (looked.address === undefined) return [...looked.checks, NOT_ASKED];
    const guest = await held.open(looked, request);
    if (guest === undefined) return looked.checks;
    const { examine } = await import('./examine.ts');
    const what = `to check ${request.guest} against ${request.to}`;
    try {
      const checks = await withDeadline(what, Math.max(0, deadlineMs), signal, (within) =>
        examine({ ...this.#parts, id, request, looked, guest }, within),
      );
      return [...looked.checks, ...checks];
    } catch (thrown) {
      signal.throwIfAborted();
      return [...looked.checks, refusal('destination', toGodwitError(thrown), 'both')];
    }
  }
}

/** One hold of the guest's hypervisor for all destinations: a monitor speaks to one at a time. */
class HeldGuest {
  readonly #parts: ChecksParts;
  #guest: Promise<SourceGuest | undefined> | undefined;

  constructor(parts: ChecksParts) {
    this.#parts = parts;
  }

  open(looked: Looked, request: MigrationRequest): Promise<SourceGuest | undefined> {
    this.#guest ??= this.#openNow(looked, request);
    return this.#guest;
  }

  async #openNow({ handle }: Looked, request: MigrationRequest): Promise<SourceGuest | undefined> {
    const driver = driverOf(this.#parts.drivers, handle);
    if (handle === undefined || driver === undefined || isManaged(driver)) return undefined;
    const { SourceGuest: Guest } = await import('../../mover/direct/source/guest.ts');
    return new Guest(driver, handle, request, () => undefined);
  }

  async close(): Promise<void> {
    await (await this.#guest?.catch(() => undefined))?.close();
  }
}

/** Names a check: no migration has such an id. */
function newCheckId(): string {
  return `c-${randomBytes(8).toString('hex')}`;
}
