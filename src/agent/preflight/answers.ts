import { createHmac, randomBytes } from 'node:crypto';
import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import type { DirectDriver } from '../../drivers/port/direct.ts';
import { driverSaid, isManaged } from '../../drivers/registry.ts';
import type { Driver } from '../../drivers/registry.ts';
import { godwitError } from '../../errors.ts';
import type { Admission, Assessment, StorageAnswer } from '../../protocol/peer/migration.ts';
import type {
  PreflightAdmission,
  PreflightAnswer,
  PreflightAssess,
  PreflightStorage,
} from '../../protocol/peer/preflight.ts';
import type { Caller } from '../../rpc/caller.ts';
import { checkSender } from '../incoming.ts';
import type { Incoming } from '../incoming.ts';

/** Questions from one host that are answered at once, and from all: each may start a program, or hold a probe’s port. */
const MOST_OF_ONE = 4;
const MOST = 16;
/** Less than the asker waits, ms. */
const ANSWER_MS = 13_000;

export interface AnswersParts {
  readonly config: AgentConfig;
  readonly drivers: readonly Driver[];
  readonly incoming: Pick<Incoming, 'judge'>;
}

/**
 * Answers the checks of other hosts’ guests. The code is that of the destination’s mover, which has not been started:
 * nothing is written, built or kept for a question.
 */
export class PreflightAnswers {
  readonly #parts: AnswersParts;
  /** Names the places of this host for as long as this agent runs; those of a migration have a key of their own. */
  readonly #key = randomBytes(32);
  readonly #running = new Map<string, number>();

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  admission(body: PreflightAdmission, caller: Caller): Promise<PreflightAnswer> {
    return this.#bounded(body.admission, caller, undefined, () =>
      this.#parts.incoming.judge(body, caller),
    );
  }

  storage({ admission, proof }: PreflightStorage, caller: Caller): Promise<StorageAnswer> {
    return this.#bounded(admission, caller, undefined, async () => {
      const { answerStorage } = await import('../../mover/direct/destination/storage.ts');
      const naming = { config: this.#parts.config, placeIds: await this.#placeIds(admission) };
      return answerStorage(naming, admission.id, proof);
    });
  }

  assess(
    { admission, preparation }: PreflightAssess,
    caller: Caller,
    signal: AbortSignal,
    calledAt: string | undefined,
  ): Promise<Assessment> {
    return this.#bounded(admission, caller, signal, async (within) => {
      const { assess } = await import('../../mover/direct/destination/assess.ts');
      const { GuestPorts } = await import('../../mover/direct/destination/ports.ts');
      const { destinationOptions } = await import('../../mover/direct/destination/parts.ts');
      const ports = new GuestPorts(this.#parts.config);
      const config = { ...this.#parts.config, bridges: ports.bridges };
      // It is not made: only its name is used, for a probe's port.
      const dir = path.join(config.stateDir, 'migrations', admission.id);
      const known = { config, ports, dir, placeIds: await this.#placeIds(admission) };
      const options = destinationOptions(config, { admission, handle: undefined }, calledAt);
      const session = await this.#driver(admission).openDestination(options);
      try {
        return await assess(known, admission, session, preparation, within);
      } finally {
        await session.close();
      }
    });
  }

  #driver({ driver: said }: Admission): DirectDriver {
    const found = this.#parts.drivers.find(({ name }) => {
      return name === said || driverSaid(name).driver === said;
    });
    if (found !== undefined && !isManaged(found)) return found;
    const { name } = this.#parts.config;
    const reason = `${name} has no driver ${said ?? ''} that takes hold of guests itself`;
    throw godwitError('GODWIT_CAPABILITY', { what: 'to take the guest', reason });
  }

  /** The same for all questions of one check, and for no other. */
  async #placeIds({ id, from }: Admission) {
    const { PlaceIds } = await import('../../mover/direct/destination/place-ids.ts');
    const key = createHmac('sha256', this.#key).update(JSON.stringify([from, id]));
    return new PlaceIds(() => key.digest());
  }

  /** Answers in time; what storage that hangs still keeps busy is counted until it is over. */
  async #bounded<T>(
    { from, guest }: Admission,
    caller: Caller,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    checkSender(caller, from);
    const all = [...this.#running.values()].reduce((sum, each) => sum + each, 0);
    const own = this.#running.get(from) ?? 0;
    const { name } = this.#parts.config;
    const what = `${name}, in checks of guests of ${from},`;
    if (own >= MOST_OF_ONE) throw godwitError('GODWIT_OVERLOADED', { what, limit: MOST_OF_ONE });
    if (all >= MOST) throw godwitError('GODWIT_OVERLOADED', { what, limit: MOST });
    const answer = `to check ${guest} against ${name}`;
    return withDeadline(answer, ANSWER_MS, signal, (within) => {
      // Not before: for a question that was given up already, no work begins that would end.
      this.#running.set(from, own + 1);
      return work(within).finally(() => this.#over(from));
    });
  }

  #over(from: string): void {
    const left = (this.#running.get(from) ?? 1) - 1;
    if (left === 0) this.#running.delete(from);
    else this.#running.set(from, left);
  }
}
