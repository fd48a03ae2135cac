import { COSTS } from '../../../migration/prediction/parameters.ts';
import { expected, type Outcome } from '../../../migration/prediction/predict.ts';
import { LINK_BYTES_PER_SECOND } from '../../cost.ts';
import { shareOut, type Flow } from '../../flow.ts';

export interface Transfer {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly memoryBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** It fails after this part; absent: it succeeds, if the guest writes no faster than the link. */
  readonly failsAfter?: number;
}

export interface EndedTransfer extends Transfer {
  readonly sentBytes: number;
  readonly pausedSeconds: number;
  readonly failed: boolean;
}

interface Running extends Flow {
  readonly transfer: Transfer;
  /** Completed part of the modelled duration at each rate, 0 to 1. */
  part: number;
  sentBytes: number;
  outcome: Outcome;
}

/** Limit of one mover's processor on any link. */
const MAX_BYTES_PER_SECOND = 1e9 / COSTS.plain.secondsPerGb;
/** Default settings; large guests get three times the time of one pass. */
const SETTINGS = { mode: 'precopy', maxDowntimeMs: 100, hybridRounds: 3 } as const;
const TIMEOUT_MS = 600_000;
const TIMEOUT_PASSES = 3;
/** More cores do not speed up one guest's move. */
const CORES = 4;
const HAIR = 1e-9;

/**
 * Moves take the predicted time for the guest's dirty rate at their rate; a changed rate changes the pace of the rest.
 */
export class Transfers {
  readonly #capacity: number[];
  readonly #resources = new Map<string, number>();
  #running: Running[] = [];

  /** `hosts`: link rate in either direction, bytes/s; default: the planner's. */
  constructor(hosts: readonly { readonly name: string; readonly linkBytesPerSecond?: number }[]) {
    this.#capacity = hosts.flatMap(({ name, linkBytesPerSecond = LINK_BYTES_PER_SECOND }, at) => {
      this.#resources.set(`out ${name}`, 2 * at);
      this.#resources.set(`in ${name}`, 2 * at + 1);
      return [linkBytesPerSecond, linkBytesPerSecond];
    });
  }

  begin(transfer: Transfer): void {
    const resources = [`out ${transfer.from}`, `in ${transfer.to}`].flatMap(
      (each) => this.#resources.get(each) ?? [],
    );
    this.#running.push({
      transfer,
      resources,
      most: MAX_BYTES_PER_SECOND,
      rate: 0,
      part: 0,
      sentBytes: 0,
      outcome: outcomeOf(transfer, MAX_BYTES_PER_SECOND),
    });
    this.#share();
  }

  abort(isOver: (transfer: Transfer) => boolean): EndedTransfer[] {
    return this.#end(({ transfer }) => isOver(transfer), true);
  }

  until(): number {
    return this.#running.reduce((least, each) => Math.min(least, leftOf(each)), Infinity);
  }

  advance(seconds: number): EndedTransfer[] {
    for (const each of this.#running) {
      const done = (seconds * 1000) / each.outcome.totalMs;
      each.part += done;
      each.sentBytes += each.outcome.rounds.bytes * done;
    }
    return this.#end((each) => each.part >= lastPart(each) - HAIR, false);
  }

  #end(isOver: (each: Running) => boolean, aborted: boolean): EndedTransfer[] {
    const over = this.#running.filter(isOver);
    if (over.length === 0) return [];
    this.#running = this.#running.filter((each) => !over.includes(each));
    this.#share();
    return over.map(({ transfer, sentBytes, outcome }) => ({
      ...transfer,
      sentBytes,
      pausedSeconds: outcome.downtimeMs / 1000,
      failed: aborted || transfer.failsAfter !== undefined || outcome.rounds.ends === 'never',
    }));
  }

  #share(): void {
    const before = this.#running.map(({ rate }) => rate);
    shareOut(this.#running, this.#capacity);
    for (const [at, each] of this.#running.entries()) {
      if (each.rate !== before[at]) each.outcome = outcomeOf(each.transfer, each.rate);
    }
  }
}

const lastPart = ({ transfer }: Running): number => transfer.failsAfter ?? 1;

const leftOf = (each: Running): number =>
  (Math.max(0, lastPart(each) - each.part) * each.outcome.totalMs) / 1000;

const outcomeOf = ({ memoryBytes, dirtyBytesPerSecond }: Transfer, rate: number): Outcome =>
  expected({
    memoryBytes,
    curve: dirtyBytesPerSecond > 0 ? [{ windowMs: 1000, dirtyBytes: dirtyBytesPerSecond }] : [],
    link: { rate, how: 'measured', roundTripMs: 0 },
    processors: [{ cores: CORES }],
    memoryPath: 'plain',
    settings: {
      ...SETTINGS,
      timeoutMs: Math.max(TIMEOUT_MS, (1000 * TIMEOUT_PASSES * memoryBytes) / rate),
    },
  });
