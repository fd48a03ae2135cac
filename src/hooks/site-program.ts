import { spawn } from 'node:child_process';
import { killGroup } from '../system/processes/process.ts';
import { formatDuration } from '../protocol/quantity.ts';

export interface SiteProgram {
  readonly file: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** The program's last line of output, if any; `why` it did not exit with 0. */
export type SiteAnswer =
  | { readonly ok: true; readonly words: string }
  | {
      readonly ok: false;
      readonly words: string;
      readonly why: string;
      readonly code?: number;
      readonly unstarted?: true;
      readonly late?: boolean;
    };

const MAX_WORDS = 500;
/** Time for the last output to pass the pipes after the end, ms. */
const LAST_WORDS_MS = 500;

/** Never rejects. Resolves soon after the signal aborts. */
export async function runSiteProgram(program: SiteProgram): Promise<SiteAnswer> {
  const { file, args = [], environment = {}, input = '', deadlineMs, signal } = program;
  if (signal.aborted) return { ok: false, words: '', why: 'nobody waited for it' };
  // A separate process group, so that its children end with it.
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
        // Output may be unread; children that keep running may hold the pipes open.
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
