import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { godwitError, toGodwitError } from '../../errors.ts';
import { fromSerial, whatIsWrong } from '../../protocol/errors.ts';
import {
  COMPILES_AHEAD,
  SMALL_ENVIRONMENT,
  SMALL_FLAGS,
} from '../../system/processes/small-process.ts';
import {
  answerQuestion,
  checkerLine,
  type CheckDependencies,
  type CheckerLine,
  type CheckerQuestion,
  type ExaminedHost,
} from '../../mover/public.ts';
import { jsonLine, jsonOf } from '../../formats/json.ts';
import { compileAhead } from '../processes/compile-ahead.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/checker.ts', import.meta.url));
/** For what it holds of a guest or of a port, once it is asked to end, ms. */
const END_MS = 2000;
/** Of what it says at its end without an answer. */
const COMPLAINT = 512;
/** One that has answered waits so long for the next question, ms: whoever checks a guest plans it next. */
const KEPT_MS = 30_000;
/** Of one process: what it does not let go of does not add up. */
const MAX_QUESTIONS = 16;
/** In the place of another host's name: this host's own. */
const OWN = '';

/** A question under way. */
export interface PendingQuestion {
  /** Rejects with the error of the one who looked, or with why there is no answer. */
  readonly answer: Promise<unknown>;
  /** Resolves once nothing of it is left: a thread that hangs in storage is held until then. Never rejects. */
  readonly gone: Promise<void>;
}

/** Looks at what may hang, away from the agent; `onHost` is called for each host that is examined. */
export type AskChecker = (
  question: CheckerQuestion,
  onHost: (host: ExaminedHost) => void,
  signal: AbortSignal,
) => PendingQuestion;

/** In this process: for a test, whose drivers are in its memory. */
export function askHere(deps: CheckDependencies): AskChecker {
  return (question, onHost, signal) => {
    const answer = answerQuestion(deps, question, onHost, signal);
    const over = (): void => undefined;
    return { answer, gone: answer.then(over, over) };
  };
}

/** Has its sources compiled ahead, so that the first one begins as fast as the others. */
export function compileChecker(): void {
  compileAhead(PROGRAM, SMALL_FLAGS, [COMPILES_AHEAD]);
}

/**
 * In a process that works at nothing else meanwhile, and is killed where it does not end on the signal. One that has
 * answered, and of which nothing hangs, waits a while for the next question of the same host: most of what a question takes
 * is a process that starts.
 */
export function askProcess(
  configFile: string,
  program: string = PROGRAM,
  keptMs = KEPT_MS,
): AskChecker {
  let waiting: { readonly checker: CheckerProcess; readonly requester: string } | undefined;
  const takeOf = (requester: string): CheckerProcess | undefined => {
    if (waiting?.requester !== requester) return undefined;
    const { checker } = waiting;
    waiting = undefined;
    return checker.canGoOn ? checker : undefined;
  };
  return (question, onHost, signal) => {
    const requester = question.what === 'examine' ? OWN : question.admission.from;
    const askOne = (checker: CheckerProcess): TrackedQuestion => {
      const asked = checker.ask(question, onHost, signal);
      void asked.gone.then(() => {
        if (!checker.canGoOn) return;
        waiting?.checker.end();
        waiting = { checker, requester };
      });
      return asked;
    };
    const askNew = (): TrackedQuestion => askOne(new CheckerProcess(configFile, program, keptMs));
    const kept = takeOf(requester);
    return kept === undefined ? askNew() : orElse(askOne(kept), askNew, signal);
  };
}

/** A process may end while it waits, before anybody hears of it: what it was asked then is asked once more, of a new one. */
function orElse(
  first: TrackedQuestion,
  askNew: () => TrackedQuestion,
  signal: AbortSignal,
): PendingQuestion {
  let second: TrackedQuestion | undefined;
  const answer = first.answer.catch((thrown: unknown) => {
    if (first.wasHeard() || signal.aborted) throw thrown;
    second = askNew();
    return second.answer;
  });
  // It has rejected by then, where it has ended.
  return { answer, gone: first.gone.then(() => second?.gone) };
}

interface TrackedQuestion extends PendingQuestion {
  /** It has said something to this question. */
  readonly wasHeard: () => boolean;
}

/** Answers one question after the other. */
class CheckerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #keptMs: number;
  #complaint = '';
  #asked = 0;
  #idle: NodeJS.Timeout | undefined;
  #isEnding = false;
  /** Of the question under way. */
  #onLine: (line: CheckerLine) => void = () => undefined;
  #onEnd: (why: string) => void = () => undefined;

  constructor(configFile: string, program: string, keptMs: number) {
    this.#keptMs = keptMs;
    this.#child = spawn(process.execPath, [...SMALL_FLAGS, program, configFile], {
      cwd: '/',
      env: { ...process.env, ...SMALL_ENVIRONMENT },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT);
    });
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (text) => this.#onLine(read(text)));
    this.#child.once('error', ({ message }) => this.#ended(message));
    this.#child.once('close', (_code, by) => this.#ended(by ?? 'without a word'));
  }

  /** It waits for a question. */
  get canGoOn(): boolean {
    return this.#idle !== undefined;
  }

  ask(
    question: CheckerQuestion,
    onHost: (host: ExaminedHost) => void,
    signal: AbortSignal,
  ): TrackedQuestion {
    this.#wake();
    let isHeard = false;
    const gone = Promise.withResolvers<void>();
    const outcome = Promise.withResolvers<unknown>();
    this.#onLine = (line) => {
      isHeard = true;
      if ('host' in line) return onHost(line.host);
      if ('error' in line) outcome.reject(fromSerial(line.error));
      else outcome.resolve(line.answer);
      const goesOn = 'answer' in line && line.isClear === true && this.#asked < MAX_QUESTIONS;
      // It has released everything; what hangs in it would keep it from its end.
      if (!goesOn || signal.aborted || this.#isEnding) return this.end();
      this.#rest();
      gone.resolve();
    };
    this.#onEnd = (why) => {
      const last = this.#complaint.trim().split('\n').at(-1);
      const what = `a process that checks ended: ${last || why}`;
      outcome.reject(godwitError('GODWIT_INTERNAL', { what }));
      gone.resolve();
    };
    const giveUp = (): void => {
      this.#child.stdin.end();
      const kill = setTimeout(() => this.end(), END_MS);
      void gone.promise.then(() => clearTimeout(kill));
      outcome.reject(signal.reason as Error);
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    void gone.promise.then(() => signal.removeEventListener('abort', giveUp));
    this.#child.stdin.write(jsonLine(question));
    return { answer: outcome.promise, gone: gone.promise, wasHeard: () => isHeard };
  }

  end(): void {
    this.#isEnding = true;
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#child.kill('SIGKILL');
  }

  #ended(why: string): void {
    this.end();
    this.#onEnd(why);
  }

  /** Nobody waits for it: an agent that ends takes it along, as its input ends. */
  #rest(): void {
    this.#idle = setTimeout(() => this.end(), this.#keptMs).unref();
    this.#child.unref();
    for (const pipe of pipesOf(this.#child)) pipe.unref();
  }

  #wake(): void {
    this.#asked += 1;
    this.#complaint = '';
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#child.ref();
    for (const pipe of pipesOf(this.#child)) pipe.ref();
  }
}

/** As node makes them. */
function pipesOf({ stdin, stdout, stderr }: ChildProcessByStdio<Writable, Readable, Readable>) {
  return [stdin, stdout, stderr] as unknown as readonly Socket[];
}

function read(text: string): ReturnType<typeof checkerLine.parse> {
  const parsed = checkerLine.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const what = `a process that checks said something else: ${whatIsWrong(parsed.error)}`;
  return { error: toGodwitError(godwitError('GODWIT_INTERNAL', { what })).toJSON() };
}
