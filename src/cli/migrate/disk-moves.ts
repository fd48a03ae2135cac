import { ERRORS, godwitError } from '../../errors.ts';
import { isMoveEnd, type DiskMoveProgress } from '../../protocol/public/disk-move.ts';
import { fromSerial } from '../../protocol/errors.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { printJson, type Context } from '../context.ts';
import { exitOfSignal, leftWords, mindInterrupts } from '../interrupts.ts';
import { printError } from '../failure.ts';
import type { Endpoint, AgentSet } from '../connection/agent-set.ts';
import { readToEnd } from '../read-to-end.ts';
import { truncate } from '../../words/terminal-width.ts';
import { printView } from '../render/paint.ts';
import { printable } from '../../words/style.ts';
import { Screen } from '../screen.ts';
import { jsonLine } from '../../formats/json.ts';

const LINE_MS = 10_000;

/** GODWIT_DISK_MOVE_UNKNOWN if no agent has it. */
export async function findDiskMove(fleet: AgentSet, id: string): Promise<Endpoint> {
  for (const endpoint of fleet.endpoints) {
    const { moves } = await endpoint.api.diskMoves();
    if (moves.some((move) => move.id === id)) return endpoint;
  }
  const host = fleet.endpoints.map(({ label }) => label).join(', ');
  throw godwitError('GODWIT_DISK_MOVE_UNKNOWN', { id: id.slice(0, 80), host });
}

export interface FollowMove {
  readonly endpoint: Endpoint;
  readonly id: string;
  readonly show: 'people' | 'ndjson' | 'nothing';
  /** Ctrl-C at a terminal asks whether to cancel. */
  readonly mayCancel: boolean;
}

export async function followDiskMove(context: Context, options: FollowMove): Promise<number> {
  const { endpoint, id, show, mayCancel } = options;
  const leaving = new AbortController();
  const view = viewOf(context, show);
  let isResting = false;
  const interrupts = mindInterrupts(context, {
    ...(mayCancel
      ? { cancel: async () => (await endpoint.api.cancelDiskMove({ params: { id } })).what }
      : {}),
    cancelled: 'the disk stays where it is',
    say: (line) => view.say(line),
    rest: (isAsking) => (isResting = isAsking),
    leave: () => leaving.abort(),
  });
  try {
    const open = (signal: AbortSignal): AsyncIterable<DiskMoveProgress> =>
      endpoint.api.diskMoveEvents({ params: { id } }, { signal });
    const isLast = ({ state }: DiskMoveProgress): boolean => isMoveEnd(state);
    const onLine = (now: DiskMoveProgress): void => void (isResting || view.show(now));
    const last = await readToEnd(context, { endpoint, open, isLast, onLine }, leaving.signal);
    view.end();
    return printEnd(context, last, show);
  } catch (error) {
    view.end();
    const { left, isCancelling } = interrupts;
    if (left === undefined) throw error;
    context.err.write(leftWords('move', id, isCancelling));
    return exitOfSignal(left);
  } finally {
    interrupts.stop();
  }
}

function printEnd(context: Context, last: DiskMoveProgress, show: FollowMove['show']): number {
  if (show === 'people') printView(context, `${endWords(last)}\n`);
  else if (show === 'nothing') printJson(context, last);
  if (last.error === undefined) return 0;
  printError(context, fromSerial(last.error));
  return ERRORS[last.error.code].exit;
}

function endWords(last: DiskMoveProgress): string {
  const { guest, disk, from, to, state, kept, note, copiedBytes, elapsedMs, waitedMs } = last;
  if (state !== 'done') return printable(`${disk} of ${guest}: ${state}; it is ${from} as before`);
  const took = `${formatBytes(copiedBytes)} in ${formatDuration(elapsedMs)}`;
  const waited =
    waitedMs === undefined
      ? ''
      : `, in which its writes waited for ${formatDuration(waitedMs)} at most`;
  const old = kept === undefined ? 'the old image is removed' : `the old image is kept as ${kept}`;
  const more = note === undefined ? '' : `\n${note}`;
  return printable(`${disk} of ${guest} is ${to} now (${took}${waited}); ${old}`) + printable(more);
}

export function moveLine(now: DiskMoveProgress): string {
  const { disk, guest, state, copiedBytes, totalBytes, rate, etaMs, note } = now;
  const percent = totalBytes === 0 ? 0 : Math.floor((copiedBytes / totalBytes) * 100);
  const numbers = `${percent} % of ${formatBytes(totalBytes)}, ${formatRate(rate)}`;
  const eta = etaMs === undefined ? '' : `, ETA ${formatDuration(etaMs)}`;
  const figures = state === 'copying' && totalBytes > 0 ? ` ${numbers}${eta}` : '';
  const word = now.held === true ? 'held' : state;
  return printable(
    `${disk} of ${guest}: ${word}${figures}${note === undefined ? '' : `; ${note}`}`,
  );
}

interface View {
  show(now: DiskMoveProgress): void;
  say(line: string): void;
  end(): void;
}

function viewOf(context: Context, show: FollowMove['show']): View {
  const nothing = (): void => {};
  const say = (line: string): void => context.err.write(`${line}\n`);
  if (show === 'nothing') return { show: nothing, say, end: nothing };
  if (show === 'ndjson') {
    return {
      show: (now) => context.out.write(jsonLine(now)),
      say,
      end: nothing,
    };
  }
  if (!context.out.isTerminal) return logView(context);
  const screen = new Screen(context.out);
  let line = '';
  return {
    show(now) {
      line = truncate(moveLine(now), context.out.columns() - 1);
      screen.draw([line]);
    },
    say: (said) => screen.draw([line], [said]),
    end: () => screen.clear(),
  };
}

function logView(context: Context): View {
  let shown: DiskMoveProgress | undefined;
  return {
    show(now) {
      const isNew = shown?.state !== now.state || shown.note !== now.note;
      if (isMoveEnd(now.state)) return;
      if (!isNew && now.elapsedMs - (shown?.elapsedMs ?? 0) < LINE_MS) return;
      shown = now;
      context.out.write(`${formatDuration(now.elapsedMs).padStart(8)}  ${moveLine(now)}\n`);
    },
    say: (line) => context.out.write(`${line}\n`),
    end() {},
  };
}
