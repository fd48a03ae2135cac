import type { Answer, Resolution } from '../src/protocol/public/resolve.ts';
import type { SimHost } from './host.ts';
import type { Observer } from './observer.ts';
import type { Scheduler } from './scheduler.ts';

/** The source is looked at again after an answer was taken, ms. */
const AGAIN_MS = 60_000;
/** Answers in a row, each of which may lead to a question that was not there before. */
const MAX_ANSWERS = 5;
/** Waits for the answer, however long it takes. */
const PATIENT = new AbortController().signal;

export interface OperatorDependencies {
  readonly scheduler: Scheduler;
  readonly source: SimHost;
  readonly observer: Observer;
  readonly report: (text: string) => void;
}

/**
 * An operator of a migration that is held, once every host is on and reachable again: follows the safe answer, and where
 * there is none knows which host runs the guest, and insists. `broken`: no answer was accepted.
 */
export class Operator {
  readonly #deps: OperatorDependencies;
  #answered = 0;
  #isBusy = false;
  #lookAgainMs = 0;

  constructor(deps: OperatorDependencies) {
    this.#deps = deps;
  }

  get hasAnswered(): boolean {
    return this.#answered > 0;
  }

  /** Called now and then while the migration is held. */
  look(id: string): void {
    const { scheduler, source, observer } = this.#deps;
    if (this.#isBusy || scheduler.now < this.#lookAgainMs) return;
    if (this.#answered >= MAX_ANSWERS) {
      observer.broken('held, and no answer of resolve brings it to its end');
      return;
    }
    const answering = source.asAgent(({ resolve }) =>
      resolve
        .show(id)
        .then((known) => this.#answer(id, known))
        .catch((thrown: Error) => this.#refused(thrown)),
    );
    if (answering === undefined) return;
    this.#isBusy = true;
    this.#answered += 1;
    void answering.finally(() => {
      this.#isBusy = false;
      this.#lookAgainMs = scheduler.now + AGAIN_MS;
    });
  }

  async #answer(id: string, known: Resolution): Promise<void> {
    const { source, observer, report } = this.#deps;
    const found = rightAnswer(known, observer.running()[0], observer.ranAtDestination);
    if (found === undefined) {
      const all = known.answers.map(({ runAt, verdict, why }) => `${runAt} is ${verdict}: ${why}`);
      report(`resolve answers: ${all.join('; ')}`);
      observer.broken('held, and resolve has no answer that is accepted');
      return;
    }
    const { runAt, verdict } = found;
    report(`an operator resolves it: ${runAt}, which is ${verdict}`);
    const { guest: confirm, inDoubt: answersFor = [] } = known;
    const iKnow = verdict !== 'safe';
    await source.asAgent(({ resolve }) =>
      resolve.resolve(id, { runAt, confirm, iKnow, answersFor }, 'ann', PATIENT),
    );
  }

  #refused(thrown: Error): void {
    const { observer, report } = this.#deps;
    report(`resolve refuses: ${thrown.message}`);
    if (this.#answered >= MAX_ANSWERS) {
      observer.broken(`held, and resolve refuses what it shows: ${thrown.message}`);
    }
  }
}

/** Of one who knows where the guest runs, or where it was last. */
function rightAnswer(
  { answers, safe, from, to }: Resolution,
  running: string | undefined,
  ranAtDestination: boolean,
): Answer | undefined {
  const open = answers.filter(({ verdict }) => verdict !== 'wrong' && verdict !== 'waits');
  const last = ranAtDestination ? 'destination' : 'source';
  const at = running === from ? 'source' : running === to ? 'destination' : 'elsewhere';
  const wanted = safe ?? (running === undefined ? last : at);
  const found = open.find(({ runAt }) => runAt === wanted);
  if (found !== undefined || running === from) return found;
  // It may run at the destination in another process than the migration's.
  return running === undefined ? open[0] : open.find(({ runAt }) => runAt === 'elsewhere');
}
