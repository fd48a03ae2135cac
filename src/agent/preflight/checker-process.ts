import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { godwitError, toGodwitError } from '../../errors.ts';
import { fromSerial, whatIsWrong } from '../../protocol/errors.ts';
import { COMPILES_AHEAD, SMALL_ENVIRONMENT, SMALL_FLAGS } from '../../small-process.ts';
import { checkerLine } from './checker-questions.ts';
import type { CheckerQuestion, ExaminedHost } from './checker-questions.ts';
import { answerQuestion } from './answer-question.ts';
import type { ExamineDependencies } from './examine.ts';
import { jsonOf } from '../../json.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/checker.ts', import.meta.url));
/** For what it holds of a guest or of a port, once it is asked to end, ms. */
const END_MS = 2000;
/** Of what it says at its end without an answer. */
const COMPLAINT = 512;

/** A question under way. */
export interface Asked {
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
) => Asked;

/** In this process: for a test, whose drivers are in its memory. */
export function askHere(parts: ExamineDependencies): AskChecker {
  return (question, onHost, signal) => {
    const answer = answerQuestion(parts, question, onHost, signal);
    const over = (): void => undefined;
    return { answer, gone: answer.then(over, over) };
  };
}

/** Has its sources compiled ahead, so that the first one begins as fast as the others. */
export function compileChecker(): void {
  spawn(process.execPath, [...SMALL_FLAGS, PROGRAM, COMPILES_AHEAD], { stdio: 'ignore' })
    .on('error', () => {})
    .unref();
}

/** In a process for each question, which ends with its answer, and is killed where it does not end on the signal. */
export function askProcess(configFile: string, program: string = PROGRAM): AskChecker {
  return (question, onHost, signal) => {
    const child = spawn(process.execPath, [...SMALL_FLAGS, program, configFile], {
      cwd: '/',
      env: { ...process.env, ...SMALL_ENVIRONMENT },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const gone = Promise.withResolvers<void>();
    const outcome = Promise.withResolvers<unknown>();
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-COMPLAINT);
    });
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = read(text);
      if ('host' in line) return onHost(line.host);
      if ('error' in line) outcome.reject(fromSerial(line.error));
      else outcome.resolve(line.answer);
      // It has released everything; what hangs in it would keep it from its end.
      child.kill('SIGKILL');
    });
    const ended = (why: string): void => {
      const what = `a process that checks ended: ${complaint.trim().split('\n').at(-1) || why}`;
      outcome.reject(godwitError('GODWIT_INTERNAL', { what }));
      gone.resolve();
    };
    child.once('error', ({ message }) => ended(message));
    child.once('close', (_code, by) => ended(by ?? 'without a word'));
    const giveUp = (): void => {
      child.stdin.end();
      const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
      void gone.promise.then(() => clearTimeout(kill));
      outcome.reject(signal.reason as Error);
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    void gone.promise.then(() => signal.removeEventListener('abort', giveUp));
    child.stdin.write(`${JSON.stringify(question)}\n`);
    return { answer: outcome.promise, gone: gone.promise };
  };
}

function read(text: string): ReturnType<typeof checkerLine.parse> {
  const parsed = checkerLine.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const what = `a process that checks said something else: ${whatIsWrong(parsed.error)}`;
  return { error: toGodwitError(godwitError('GODWIT_INTERNAL', { what })).toJSON() };
}
