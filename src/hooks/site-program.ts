import { spawn } from 'node:child_process';
import { killGroup } from '../system/processes/process.ts';
import { formatDuration } from '../protocol/quantity.ts';

/** A program of the site's own, such as a hook: started, listened to for as long as it may take, and ended with all it started. */
export interface SiteProgram {
  readonly file: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What it gets on its standard input; it need not read it. */
  readonly input?: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Its last line of words, where it said any; `why` it did not end with 0. */
export type SiteAnswer =
  | { readonly ok: true; readonly words: string }
  | {
      readonly ok: false;
      readonly words: string;
      readonly why: string;
      /** Its exit code, where it ended by itself. */
      readonly code?: number;
      /** It did not run at all. */
      readonly unstarted?: true;
      /** Its time was over. */
      readonly late?: boolean;
    };

const MAX_WORDS = 500;
/** How long the words of a program that is over may still be on their way through its pipes, ms. */
const LAST_WORDS_MS = 500;

/** Never rejects. Resolves soon after the signal aborts. */
export async function runSiteProgram(program: SiteProgram): Promise<SiteAnswer> {
  const { file, args = [], environment = {}, input = '', deadlineMs, signal } = program;
  if (signal.aborted) return { ok: false, words: '', why: 'nobody waited for it' };
  // A process group of its own: it can be ended with all that it started.
  const child = spawn(file, [...args], {
    cwd: '/',
    env: { ...process.env, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-MAX_WORDS);
    });
  }
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const end = (): void => killGroup(child.pid);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, deadlineMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await new Promise<SiteAnswer>((resolve) => {
      const no = (
        why: string,
        more: { words?: string; code?: number; late?: boolean; unstarted?: true } = {},
      ): void => resolve({ ok: false, words: '', why, ...more });
      child.once('error', ({ message }) =>
        no(`cannot be started: ${message}`, { unstarted: true }),
      );
      child.once('exit', (code, killed) => {
        // Its last words may be unread yet; what it left running may keep the pipes open for good.
        const lastWords = setTimeout(() => over(code, killed), LAST_WORDS_MS);
        child.once('close', () => {
          clearTimeout(lastWords);
          over(code, killed);
        });
      });
      const over = (code: number | null, killed: NodeJS.Signals | null): void => {
        const words = said.trim().split('\n').at(-1) ?? '';
        if (code === 0) resolve({ ok: true, words });
        else if (late) no(`took longer than ${formatDuration(deadlineMs)}`, { late });
        else {
          const why = `ended with ${code ?? killed ?? 'nothing'}${words === '' ? '' : `: ${words}`}`;
          no(why, code === null ? { words } : { words, code });
        }
      };
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
