/**
 * What a piece of a mover's own code does, as a table: it is run again and again with ports that record what it asks
 * and answer as they are told, until every answer to every question has been given. Between two questions it does
 * nothing that anybody could see; so where it stands is what it was answered so far, and two such histories after
 * which it goes on in the same way for ever are one point.
 */

/** A question to a port, with what may be answered. */
export interface PortQuestion {
  readonly name: string;
  readonly answers: readonly string[];
}

type PortAnswer = readonly [name: string, answer: string];

/** Turns of the event loop in which it may do something that no port knows of before it is taken to be stuck. */
const MAX_TURNS = 200;
/** Answers in one run: a loop that no answer ends is no table. */
const MAX_ANSWERS = 24;
/** Virtual time that each answer takes, ms: a loop that waits for a time comes to its end. */
const ANSWER_MS = 4000;

const CUT = new Error('the run is cut off');

/** One run of the code along one history of answers. */
export class Script {
  readonly #given: readonly PortAnswer[];
  readonly #waiting = new Map<
    string,
    PromiseWithResolvers<string> & { readonly asked: PortQuestion }
  >();
  readonly #cut = new AbortController();
  readonly #facts = new Map<string, string>();
  readonly #own = new Set<string>();
  #at = 0;
  #frontier: PortQuestion | undefined;
  #now = 1_000_000;

  constructor(given: readonly PortAnswer[]) {
    this.#given = given;
  }

  /** Aborts when the run is cut off. */
  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  get nowMs(): number {
    return this.#now;
  }

  /** Virtual time passes. */
  async sleep(ms: number): Promise<void> {
    if (this.#cut.signal.aborted) throw CUT;
    this.#now += ms;
    await Promise.resolve();
  }

  /** Something that is so or not: asked once, and so until the code does something or has waited. */
  fact(name: string, answers: readonly [string, ...string[]]): string {
    const known = this.#facts.get(name);
    if (known !== undefined) return known;
    const fact = this.#atOnce(name, answers);
    this.#facts.set(name, fact);
    return fact;
  }

  /** What is known of it, where it was asked for. */
  known(name: string): string | undefined {
    return this.#facts.get(name);
  }

  /** The code has changed what it knows, or what it knew may be so no more (undefined). */
  changed(name: string, to: string | undefined): void {
    if (to === undefined) this.#facts.delete(name);
    else this.#facts.set(name, to);
  }

  /** Nobody but the code itself changes it: waiting does not. */
  owns(...names: string[]): void {
    for (const name of names) this.#own.add(name);
  }

  /** Something that the code does and need not wait for. */
  report(name: string): void {
    this.#atOnce(name, ['ok']);
  }

  #atOnce(name: string, answers: readonly [string, ...string[]]): string {
    const next = this.#given[this.#at];
    if (this.#frontier !== undefined || this.#cut.signal.aborted) return answers[0];
    if (next === undefined) {
      this.#frontier = { name, answers };
      return answers[0];
    }
    if (next[0] !== name) throw new Error(`it reads ${name}, and not ${next[0]} as before`);
    this.#at += 1;
    return next[1];
  }

  /** A question whose answer takes time. */
  ask(name: string, answers: readonly string[]): Promise<string> {
    if (this.#cut.signal.aborted) return Promise.reject(CUT);
    if (this.#waiting.has(name)) throw new Error(`it asks ${name} twice at once`);
    const waiting = Promise.withResolvers<string>();
    waiting.promise.catch(() => {});
    this.#waiting.set(name, { ...waiting, asked: { name, answers } });
    return waiting.promise;
  }

  /** Runs on to where an answer is missing; undefined once all answers that are given are used and nothing is asked. */
  async follow(isOver: () => boolean): Promise<readonly PortQuestion[] | undefined> {
    for (let turns = 0; turns < MAX_TURNS; turns += 1) {
      await turn(turns > 0);
      if (this.#frontier !== undefined) return [this.#frontier];
      if (isOver()) return undefined;
      const next = this.#given[this.#at];
      if (next === undefined) {
        if (this.#waiting.size > 0) return [...this.#waiting.values()].map(({ asked }) => asked);
        continue;
      }
      const waiting = this.#waiting.get(next[0]);
      if (waiting === undefined) continue;
      turns = -1;
      this.#waiting.delete(next[0]);
      for (const name of this.#facts.keys()) if (!this.#own.has(name)) this.#facts.delete(name);
      this.#at += 1;
      this.#now += ANSWER_MS;
      waiting.resolve(next[1]);
    }
    throw new Error('it waits for something that is no port of the model');
  }

  /** What is to be released once the run is over. */
  onClose(listener: () => void): void {
    this.#cut.signal.addEventListener('abort', listener, { once: true });
  }

  /** Lets the code come to its end, unheard. */
  async close(): Promise<void> {
    this.#cut.abort(CUT);
    for (const { reject } of this.#waiting.values()) reject(CUT);
    this.#waiting.clear();
    await turn(false);
  }
}

/** Deeper than the code goes from an answer to its next question. */
const DEEP = 64;

/** All that it can do without an answer; what it does in the event loop is waited for too, now and then. */
async function turn(isWhole: boolean): Promise<void> {
  for (let tick = 0; tick < DEEP; tick += 1) await Promise.resolve();
  if (!isWhole) return;
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Where it stands: what it has asked and waits for, with the point that each answer leads to; or how it ended. */
export type Point =
  | { readonly over: string; readonly asks?: undefined }
  | {
      readonly asks: readonly {
        readonly name: string;
        readonly next: ReadonlyMap<string, number>;
      }[];
      readonly over?: undefined;
    };

/** A run: resolves to how it ended. */
export type Start = (script: Script) => Promise<string>;

/** Points by number. */
export class Points {
  readonly #numbers = new Map<string, number>();
  readonly all: Point[] = [];
  runs = 0;

  /** `known`: points of another table, whose numbers they keep. */
  constructor(known: readonly Point[] = []) {
    for (const point of known) this.#number(point);
  }

  /** Runs it along every history; the number of the point where it begins. */
  async from(start: Start): Promise<number> {
    return this.#after(start, []);
  }

  async #after(start: Start, given: readonly PortAnswer[]): Promise<number> {
    if (given.length > MAX_ANSWERS) {
      throw new Error(`no end after ${given.map((each) => each.join('=')).join(', ')}`);
    }
    const seen = await this.#run(start, given);
    if (typeof seen === 'string') return this.#number({ over: seen });
    const asks = [];
    for (const { name, answers } of seen) {
      const next = new Map<string, number>();
      for (const answer of answers) {
        next.set(answer, await this.#after(start, [...given, [name, answer]]));
      }
      asks.push({ name, next });
    }
    return this.#number({ asks });
  }

  async #run(
    start: Start,
    given: readonly PortAnswer[],
  ): Promise<string | readonly PortQuestion[]> {
    this.runs += 1;
    const script = new Script(given);
    let over = false;
    const run = start(script).finally(() => {
      over = true;
    });
    run.catch(() => undefined);
    const seen = await script.follow(() => over);
    await script.close();
    return seen ?? run;
  }

  #number(point: Point): number {
    const key =
      point.asks === undefined
        ? point.over
        : JSON.stringify(point.asks.map(({ name, next }) => [name, ...next]));
    const found = this.#numbers.get(key);
    if (found !== undefined) return found;
    this.#numbers.set(key, this.all.length);
    return this.all.push(point) - 1;
  }
}
