import { godwitError, toGodwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { isEnd, type Progress } from '../../protocol/public/migration.ts';
import type { Context, InterruptSignal } from '../context.ts';
import type { Endpoint } from '../connection/agent-set.ts';
import { mindInterrupts } from '../interrupts.ts';
import { isAway, readToEnd } from '../read-to-end.ts';
import { wrap } from '../../words/terminal-width.ts';
import { contextPainter } from '../render/paint.ts';
import { NOTHING_SHOWN, progressBlock, show, type ShownProgress } from '../../words/progress.ts';
import { Screen } from '../screen.ts';
import { jsonLine } from '../../formats/json.ts';

export type Show = 'people' | 'ndjson' | 'nothing';

export interface FollowOptions {
  readonly endpoint: Endpoint;
  readonly id: string;
  readonly show: Show;
  /** Called once after the checks; resolves to lines to print above the view. */
  readonly onChecked?: () => Promise<readonly string[]>;
  readonly cancel?: () => Promise<string>;
}

/** A signal ended the view; the migration, or the cancel, continues. */
export interface WatchInterruption {
  readonly left: InterruptSignal;
  readonly isCancelling: boolean;
}

/**
 * Shows a migration until its end; resolves to its last progress, or to the signal that ended the view. Rejects if its
 * agent is away for a minute.
 */
export async function follow(
  context: Context,
  options: FollowOptions,
): Promise<Progress | WatchInterruption> {
  const leaving = new AbortController();
  const view = makeView(context, options.show);
  const checked = sayChecked(options, view);
  const interrupts = mindInterrupts(context, {
    ...defined({ cancel: options.cancel }),
    cancelled: 'the guest stays where it is',
    say: (line) => view.say(line),
    rest: (isAsking) => view.rest(isAsking),
    leave: () => leaving.abort(),
  });
  const stopResize = context.onResize(() => view.redraw());
  try {
    return await readEvents(context, options, leaving.signal, (now) => {
      checked(now);
      view.show(now);
    });
  } catch (error) {
    const { left, isCancelling } = interrupts;
    if (left !== undefined) return { left, isCancelling };
    throw error;
  } finally {
    interrupts.stop();
    stopResize();
    view.end();
  }
}

/** Prints the checks' warnings once; if unavailable, the report has them. */
function sayChecked({ onChecked }: FollowOptions, view: View): (now: Progress) => void {
  let asked = onChecked === undefined;
  return ({ phase }) => {
    if (asked || phase === 'planned' || phase === 'checking' || isEnd(phase)) return;
    asked = true;
    onChecked?.().then(
      (lines) => lines.forEach((line) => view.say(line)),
      () => undefined,
    );
  };
}

async function readEvents(
  context: Context,
  { endpoint, id }: FollowOptions,
  signal: AbortSignal,
  onLine: (now: Progress) => void,
): Promise<Progress> {
  const open = (inner: AbortSignal): AsyncIterable<Progress> =>
    endpoint.api.events({ params: { id } }, { signal: inner });
  const isLast = ({ phase }: Progress): boolean => isEnd(phase);
  try {
    return await readToEnd(context, { endpoint, open, isLast, onLine }, signal);
  } catch (error) {
    throw isAway(error) ? stillMoving(error, id) : error;
  }
}

function stillMoving(failure: unknown, id: string): Error {
  const { facts } = toGodwitError(failure);
  const { peer = 'the agent', address = '', reason = 'no answer' } = facts;
  return godwitError(
    'GODWIT_UNREACHABLE',
    { peer, address, reason },
    {
      hint: `The migration does not need the agent and goes on; \`godwit watch ${id}\` follows it.`,
      cause: failure,
    },
  );
}

interface View {
  show(now: Progress): void;
  say(line: string): void;
  redraw(): void;
  rest(isAsking: boolean): void;
  end(): void;
}

function makeView(context: Context, show: Show): View {
  const nothing = (): void => {};
  const say = (line: string): void => context.err.write(`${line}\n`);
  if (show === 'nothing')
    return { show: nothing, say, redraw: nothing, rest: nothing, end: nothing };
  if (show === 'ndjson') {
    const print = (now: Progress): void => context.out.write(jsonLine(now));
    return { show: print, say, redraw: nothing, rest: nothing, end: nothing };
  }
  return context.out.isTerminal ? terminalView(context) : logView(context);
}

function logView(context: Context): View {
  let shown: ShownProgress = NOTHING_SHOWN;
  const print = (line: string): void => context.out.write(`${line}\n`);
  return {
    show(now) {
      const step = show(shown, now, 'log');
      ({ shown } = step);
      step.lines.forEach(print);
    },
    say: print,
    redraw() {},
    rest() {},
    end() {},
  };
}

function terminalView(context: Context): View {
  const screen = new Screen(context.out);
  const paint = contextPainter(context);
  let shown: ShownProgress = NOTHING_SHOWN;
  let last: Progress | undefined;
  let isResting = false;
  const draw = (above: readonly string[]): void => {
    if (isResting) return;
    // One column stays free, because some terminals wrap at the last one.
    const columns = context.out.columns() - 1;
    const lines = above.map((line) => wrap(line, columns));
    if (last === undefined) lines.forEach((line) => context.out.write(`${line}\n`));
    else screen.draw(progressBlock(last, columns, paint), lines);
  };
  return {
    show(now) {
      const step = show(shown, now, 'terminal');
      ({ shown } = step);
      last = now;
      draw(step.lines);
    },
    say: (line) => draw([paint.yellow(line)]),
    redraw: () => draw([]),
    rest(isAsking) {
      if (isAsking) screen.clear();
      isResting = isAsking;
      draw([]);
    },
    end: () => screen.clear(),
  };
}
