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
/** Time to release a guest or a port after a request to end, ms. */
const END_MS = 2000;
const COMPLAINT = 512;
/** Time that a process waits for another question, ms: a check of a guest is often followed by its plan. */
const KEPT_MS = 30_000;
/** Questions per process, so that leaks do not add up. */
const MAX_QUESTIONS = 16;
const OWN = '';

export interface PendingQuestion {
  readonly answer: Promise<unknown>;
  /** Resolves when nothing of it is left; a thread that hangs in storage delays it. Never rejects. */
  readonly gone: Promise<void>;
}

/** Asks about things that may hang, outside the agent; `onHost` is called for each examined host. */
export type AskChecker = (
  question: CheckerQuestion,
  onHost: (host: ExaminedHost) => void,
  signal: AbortSignal,
) => PendingQuestion;

export function askHere(deps: CheckDependencies): AskChecker {
  return (question, onHost, signal) => {
    const answer = answerQuestion(deps, question, onHost, signal);
    const over = (): void => undefined;
    return { answer, gone: answer.then(over, over) };
  };
}

export function compileChecker(): void {
  compileAhead(PROGRAM, SMALL_FLAGS, [COMPILES_AHEAD]);
}

/**
 * Asks a separate process, which is killed if it does not end on the signal. A process with nothing hanging waits for
 * the same host's next question: starting a process takes most of a question's time.
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

/** A waiting process may end unnoticed. Its question is then asked once more, of a new process. */
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
  return { answer, gone: first.gone.then(() => second?.gone) };
}

interface TrackedQuestion extends PendingQuestion {
  readonly wasHeard: () => boolean;
}

class CheckerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #keptMs: number;
  #complaint = '';
  #asked = 0;
  #idle: NodeJS.Timeout | undefined;
  #isEnding = false;
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
      // It has released everything; otherwise a hanging thread would prevent its exit.
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

  /** It does not keep the agent alive; when the agent ends, its input ends and so does the process. */
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

function pipesOf({ stdin, stdout, stderr }: ChildProcessByStdio<Writable, Readable, Readable>) {
  return [stdin, stdout, stderr] as unknown as readonly Socket[];
}

function read(text: string): ReturnType<typeof checkerLine.parse> {
  const parsed = checkerLine.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const what = `a process that checks said something else: ${whatIsWrong(parsed.error)}`;
  return { error: toGodwitError(godwitError('GODWIT_INTERNAL', { what })).toJSON() };
}
