import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { withDeadline } from '../../deadline.ts';
import { toGodwitError } from '../../errors.ts';
import { later, type Later } from '../../protocol/public/probe.ts';
import {
  watchResult,
  type WatcherLine,
  type WatchEnd,
  type WatchResult,
} from '../../protocol/peer/probe.ts';
import {
  COMPILES_AHEAD,
  SMALL_ENVIRONMENT,
  SMALL_FLAGS,
} from '../../system/processes/small-process.ts';
import { jsonLine, jsonOf } from '../../formats/json.ts';
import { compileAhead } from './compile-ahead.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/watcher.ts', import.meta.url));
/** Time for the guest's last answers and the removal of ports. */
const END_MS = 8000;
const LONGEST_LINE = 65_536;
const laterLine = z.object({ later });
const isBegun = z.object({ begun: z.literal(true) });

export function compileWatcher(): void {
  // Without input it ends at once; the argument distinguishes it from a watch.
  compileAhead(PROGRAM, SMALL_FLAGS, [COMPILES_AHEAD]);
}

export interface WatcherProcess {
  stay(leaseMs: number): void;
  /**
   * Ends it and returns its result, or why there is none. With `laterMs` it may continue for that time. Never rejects.
   */
  end(of?: WatchEnd): Promise<WatchResult>;
  stop(): void;
  readonly result: Promise<WatchResult>;
  later(): Later | undefined;
  /** Resolves when the guest's answers are known. Without any answer the process ends. */
  readonly begun: Promise<void>;
  readonly gone: Promise<void>;
}

export type WatchLine = Extract<WatcherLine, { verb: 'watch' }>;
export type StartWatcher = (line: WatchLine) => WatcherProcess;

/** `wrap`: prefix of the command line that runs it elsewhere, such as on a host of a lab; `env`: its environment. */
export function watcherProcess(
  line: WatchLine,
  wrap: (argv: string[]) => string[] = (argv) => argv,
  env: NodeJS.ProcessEnv = process.env,
): WatcherProcess {
  const [command = '', ...words] = wrap([process.execPath, ...SMALL_FLAGS, PROGRAM]);
  const child = spawn(command, words, {
    cwd: '/',
    env: { ...env, ...SMALL_ENVIRONMENT },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const begun = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const outcome = Promise.withResolvers<WatchResult>();
  let complaint = '';
  let seenLater: Later | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-512);
  });
  child.on('error', ({ message }) => {
    outcome.resolve({ notTried: `its process could not be started: ${message}` });
    gone.resolve();
    begun.resolve();
  });
  child.on('close', (_code, signal) => {
    const last = complaint.trim().split('\n').at(-1) || signal || 'without a word';
    outcome.resolve({ notTried: `its process ended: ${last}` });
    gone.resolve();
    begun.resolve();
  });
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', (text) => {
    const json = jsonOf(text.slice(0, LONGEST_LINE));
    if (isBegun.safeParse(json).success) return begun.resolve();
    const news = laterLine.safeParse(json);
    if (news.success) {
      seenLater = news.data.later;
      return undefined;
    }
    const parsed = watchResult.safeParse(json);
    begun.resolve();
    outcome.resolve(
      parsed.success ? parsed.data : { notTried: 'its process reported something else' },
    );
  });
  const say = (news: WatcherLine): void => {
    child.stdin.write(jsonLine(news));
  };
  say(line);
  return {
    stay: (leaseMs) => say({ verb: 'stay', leaseMs }),
    stop: () => void child.stdin.end(),
    later: () => seenLater,
    result: outcome.promise,
    begun: begun.promise,
    gone: gone.promise,
    end: async (of = {}) => {
      say({ verb: 'end', ...of });
      try {
        return await withDeadline('the end of a watch', END_MS, undefined, () => outcome.promise);
      } catch (thrown) {
        child.kill('SIGKILL');
        return { notTried: toGodwitError(thrown).message };
      }
    },
  };
}
