import { toGodwitError } from '../errors.ts';
import { contextWith, type Context, type InterruptSignal } from './context.ts';
import { printError } from './failure.ts';
import { exitOfSignal } from './interrupts.ts';
import { width } from '../words/terminal-width.ts';
import { Screen } from './screen.ts';

const EACH_MS = 2000;

interface ListOutput {
  readonly out: string;
  readonly err: string;
}

type List = (context: Context) => Promise<number | void>;
type Show = (found: ListOutput, before: ListOutput | undefined) => void;

/**
 * Lists repeatedly until a signal comes, and prints changes: in place on a terminal, otherwise as another list or JSON
 * value. A failed first look ends it; a later one only if a retry cannot help. Resolves to the signal's exit code.
 */
export async function watchList(context: Context, json: boolean, list: List): Promise<number> {
  const over = new AbortController();
  let left: InterruptSignal | undefined;
  const stop = context.onInterrupt((signal) => {
    left = signal;
    over.abort();
  });
  const ended = new Promise<undefined>((resolve) => {
    over.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const show = context.out.isTerminal && !json ? inPlace(context) : appending(context);
  try {
    for (let before: ListOutput | undefined; ;) {
      const looking = look(context, list, before);
      // An abandoned look may fail.
      looking.catch(() => undefined);
      const found = await Promise.race([looking, ended]);
      if (found !== undefined) {
        show(found, before);
        before = found;
        await context.clock.sleep(EACH_MS, over.signal).catch(() => undefined);
      }
      if (left !== undefined) return exitOfSignal(left);
    }
  } finally {
    stop();
  }
}

async function look(
  context: Context,
  list: List,
  before: ListOutput | undefined,
): Promise<ListOutput> {
  const said = { out: '', err: '' };
  const keep = (name: keyof ListOutput): Context['out'] => ({
    write: (text) => void (said[name] += text),
    isTerminal: context[name].isTerminal,
    columns: () => context[name].columns(),
    rows: () => context[name].rows(),
  });
  const within = contextWith(context, { out: keep('out'), err: keep('err') });
  try {
    await list(within);
  } catch (thrown) {
    const error = toGodwitError(thrown);
    if (before === undefined || !error.retryable) throw error;
    printError(within, error);
    return { out: before.out, err: said.err };
  }
  return said;
}

function appending({ out, err }: Context): Show {
  return (found, before) => {
    if (found.out !== before?.out) out.write(found.out);
    if (found.err !== before?.err) err.write(found.err);
  };
}

/** Cumulative number of terminal rows after each line, with wrapping. */
function lastRows(lines: readonly string[], columns: number): number[] {
  let rows = 0;
  return lines.map((line) => (rows += Math.max(1, Math.ceil(width(line) / columns))));
}

function inPlace({ out }: Context): Show {
  const screen = new Screen(out);
  return (found) => {
    const lines = `${found.out}${found.err}`.split('\n').slice(0, -1);
    const most = Math.max(2, out.rows() - 1);
    const columns = Math.max(1, out.columns());
    const ends = lastRows(lines, columns);
    if ((ends.at(-1) ?? 0) <= most) return screen.draw(lines);
    const shown = ends.filter((row) => row < most).length;
    screen.draw([...lines.slice(0, shown), `… ${lines.length - shown} more lines`]);
  };
}
