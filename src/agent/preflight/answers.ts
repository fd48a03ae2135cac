import { createHmac, randomBytes } from 'node:crypto';
import type { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { SegmentQuota } from '../../network/segment/quota.ts';
import {
  assessment,
  storageAnswer,
  type Admission,
  type Assessment,
  type StorageAnswer,
} from '../../protocol/peer/migration.ts';
import { knownAnswer, type KnownAnswer } from '../../protocol/wire.ts';
import type {
  PreflightAdmission,
  PreflightAnswer,
  PreflightAssess,
  PreflightKnown,
  PreflightStorage,
} from '../../protocol/peer/preflight.ts';
import type { Caller } from '../../rpc/caller.ts';
import { checkSender, type Incoming } from '../migrations/incoming.ts';
import type { AskChecker } from './checker-process.ts';
import type { CheckerQuestion } from '../../mover/public.ts';

/** Concurrent questions from one host, and from all. Each may have a process or a probe's port. */
const MAX_EACH = 4;
const MAX = 16;
const ANSWER_MS = 13_000;

export interface AnswersDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly apart: AskChecker;
  readonly incoming: Pick<Incoming, 'judge'>;
}

type Running = Map<string, number>;

/**
 * Answers the checks of other hosts' guests with the code of the destination's mover. Nothing is written, built or
 * kept. Access to storage, or to anything else that a peer names, runs in a separate process for each question.
 */
export class PreflightAnswers {
  readonly #deps: AnswersDependencies;
  /** Names this host's places while the agent runs; each migration has its own key. */
  readonly #key = randomBytes(32);
  readonly #segments: SegmentQuota;
  readonly #running: Running = new Map();
  /**
   * Questions about the cache are counted separately: a plan has both kinds running, and one must not refuse the other.
   */
  readonly #telling: Running = new Map();

  constructor(deps: AnswersDependencies) {
    this.#deps = deps;
    this.#segments = new SegmentQuota(deps.config.name, () => deps.clock.monotonicMs());
  }

  admission(body: PreflightAdmission, caller: Caller): Promise<PreflightAnswer> {
    return this.#bounded(body.admission, caller, undefined, () => {
      const answer = this.#deps.incoming.judge(body, caller);
      const over = (): void => undefined;
      return { answer, gone: answer.then(over, over) };
    });
  }

  storage({ admission, proof }: PreflightStorage, caller: Caller): Promise<StorageAnswer> {
    const placeKey = this.placeKey(admission);
    const asked = { what: 'storage', admission, proof, placeKey } as const;
    return this.#apart(asked, caller, undefined, storageAnswer);
  }

  assess(
    { admission, preparation }: PreflightAssess,
    caller: Caller,
    signal: AbortSignal,
    calledAt: string | undefined,
  ): Promise<Assessment> {
    const at = calledAt === undefined ? {} : { calledAt };
    const placeKey = this.placeKey(admission);
    const asked = { what: 'assess', admission, preparation, placeKey, ...at } as const;
    return this.#apart(asked, caller, signal, assessment);
  }

  /** Only for a guest that would be admitted; otherwise the cache's content would leak. */
  known({ cache, ...asked }: PreflightKnown, caller: Caller): Promise<KnownAnswer> {
    const { admission } = asked;
    const work = (within: AbortSignal) => {
      const under = this.#deps.incoming.judge(asked, caller).then(({ checks }) => {
        if (checks.some(({ verdict }) => verdict === 'refuse')) return undefined;
        const question = { what: 'known', admission, cache } as const;
        return this.#deps.apart(question, () => undefined, within);
      });
      const ended = (): void => undefined;
      return {
        answer: under.then(async (it) => knownAnswer.parse((await it?.answer) ?? {})),
        gone: under.then((it) => it?.gone, ended),
      };
    };
    return this.#bounded(admission, caller, undefined, work, this.#telling);
  }

  #apart<T>(
    question: Extract<CheckerQuestion, { what: 'storage' | 'assess' }>,
    caller: Caller,
    signal: AbortSignal | undefined,
    shape: z.ZodType<T>,
  ): Promise<T> {
    const { segmentCheck } = this.#deps.config.network;
    return this.#bounded(question.admission, caller, signal, (within) => {
      if (segmentCheck && question.what === 'assess') {
        this.#segments.take(question.admission.from, question.preparation.networks ?? []);
      }
      const { answer, gone } = this.#deps.apart(question, () => undefined, within);
      return { answer: answer.then((each) => shape.parse(each)), gone };
    });
  }

  placeKey({ id, from }: Pick<Admission, 'id' | 'from'>): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([from, id]))
      .digest('hex');
  }

  /** Answers within the deadline; a process that hangs in storage counts until it is gone. */
  async #bounded<T>(
    { from, guest }: Admission,
    caller: Caller,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => { readonly answer: Promise<T>; readonly gone: Promise<void> },
    running = this.#running,
  ): Promise<T> {
    checkSender(caller, from);
    const all = [...running.values()].reduce((sum, each) => sum + each, 0);
    const own = running.get(from) ?? 0;
    const { name } = this.#deps.config;
    const what = `${name}, in checks of guests of ${from},`;
    if (own >= MAX_EACH) throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_EACH });
    if (all >= MAX) throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX });
    const answer = `to check ${guest} against ${name}`;
    return withDeadline(answer, ANSWER_MS, signal, (within) => {
      const { answer, gone } = work(within);
      running.set(from, own + 1);
      void gone.then(() => over(running, from));
      return answer;
    });
  }
}

function over(running: Running, from: string): void {
  const left = (running.get(from) ?? 1) - 1;
  if (left === 0) running.delete(from);
  else running.set(from, left);
}
