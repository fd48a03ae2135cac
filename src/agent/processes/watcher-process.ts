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
/** The guest is waited for meanwhile, and ports are taken down. */
const END_MS = 8000;
const LONGEST_LINE = 65_536;
const laterLine = z.object({ later });
const isBegun = z.object({ begun: z.literal(true) });

/** Has its sources compiled ahead, so that the first one begins as fast as the others. */
export function compileWatcher(): void {
  // Without input it ends at once; the word distinguishes it from one that watches.
  compileAhead(PROGRAM, SMALL_FLAGS, [COMPILES_AHEAD]);
}

/** A process that watches one guest. It ends with this one. */
export interface WatcherProcess {
  /** It goes on for so long from now. */
  stay(leaseMs: number): void;
  /** Ends it; what it has seen, or why it has seen nothing. With `laterMs` it may go on for so long. Never rejects. */
  end(of?: WatchEnd): Promise<WatchResult>;
  /** Ends it at once; what it has seen is lost. */
  stop(): void;
  /** What it has reported at its end, whatever ended it. Never rejects. */
  readonly result: Promise<WatchResult>;
  /** What it has seen after its end, as last reported. */
  later(): Later | undefined;
  /** Resolves once it is known what the guest answers; or that it answers nothing, and then the process ends. */
  readonly begun: Promise<void>;
  /** Resolves once the process is gone. */
  readonly gone: Promise<void>;
}

export type WatchLine = Extract<WatcherLine, { verb: 'watch' }>;
export type StartWatcher = (line: WatchLine) => WatcherProcess;

/** `wrap`: the command line that runs another one somewhere else, such as on a host of a lab; `env`: with that. */
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
