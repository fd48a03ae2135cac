import { toGodwitError } from '../errors.ts';
import { contextWith, type Context, type InterruptSignal } from './context.ts';
import { printError } from './failure.ts';
import { exitOfSignal } from './interrupts.ts';
import { width } from '../words/terminal-width.ts';
import { Screen } from './screen.ts';

/** Between two looks. */
const EACH_MS = 2000;

/** What one look printed. */
interface ListOutput {
  readonly out: string;
  readonly err: string;
}

type List = (context: Context) => Promise<number | void>;
type Show = (found: ListOutput, before: ListOutput | undefined) => void;

/**
 * Lists again and again until a signal comes, and prints what has changed: on a terminal in place, elsewhere as a further
 * list or JSON value. The first look ends it where it fails; a later one only where trying again cannot help.
 * Resolves to the exit code of the signal.
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
      // A look that nobody waits for any more may fail.
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

/** A look that fails leaves the list as it was `before`, with the error. */
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

/** The list where it differs from the one before, and so the messages. */
function appending({ out, err }: Context): Show {
  return (found, before) => {
    if (found.out !== before?.out) out.write(found.out);
    if (found.err !== before?.err) err.write(found.err);
  };
}

/** For each line how many rows of the terminal it and those before it take: what is longer than a row is wrapped. */
function lastRows(lines: readonly string[], columns: number): number[] {
  let rows = 0;
  return lines.map((line) => (rows += Math.max(1, Math.ceil(width(line) / columns))));
}

/** The newest list where the one before stood, as far as the terminal has rows. */
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
