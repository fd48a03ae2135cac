import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { balance } from '../../planner/balance.ts';
import { consolidate } from '../../planner/consolidate.ts';
import type { Inventory, Plan } from '../../planner/inventory.ts';
import { RIGHTSIZE, rightsize } from '../../planner/rightsize.ts';
import { readHistory, TableError, type History } from '../../planner/sim/history/history.ts';
import { replay, type ReplayOptions } from '../../planner/sim/history/replay.ts';
import { FAILING, troubled } from '../../planner/sim/history/trouble.ts';
import { placeOfSetting } from '../../config/settings.ts';
import { defined } from '../../protocol/defined.ts';
import { printJson, type Context } from '../context.ts';
import { tableLook } from '../render/paint.ts';
import { printable } from '../../words/style.ts';
import { renderTable } from '../../words/table.ts';
import type { replaySpec } from './policy-specs.ts';
import {
  linesOf,
  MAX_LISTED_MOVES,
  pageOf,
  refusedLines,
  type PageFacts,
  type ReplayedMove,
} from './replay-page.ts';
import type { Run } from '../verb.ts';

/** Files are read whole; a longer history is refused. */
const MAX_BYTES = 512 * 1024 ** 2;

const POLICIES: Readonly<Record<'balance' | 'consolidate', (inventory: Inventory) => Plan>> = {
  balance: (inventory) => balance(inventory),
  consolidate: (inventory) => consolidate(inventory),
};

export const run: Run<typeof replaySpec> = (input, context) => {
  const { trace, policy = 'balance', html, trouble } = input.flags;
  const price = priceOf(input.flags.price);
  if (trace === undefined) {
    throw godwitError('GODWIT_USAGE', { what: 'godwit advise replay needs --trace, a directory' });
  }
  const history = historyIn(trace);
  if (policy === 'rightsize') return propose(history, context, input.json);
  const scene = trouble === undefined ? history : troubled(history, trouble);
  const world = trouble === undefined ? {} : { seed: trouble, failing: FAILING };
  const was = replay(scene, undefined, { ...world, sleep: false });
  const moves: ReplayedMove[] = [];
  const watch = moveList(moves);
  const would = replay(scene, POLICIES[policy], {
    ...world,
    sleep: policy === 'consolidate',
    watch,
  });
  const facts: PageFacts = { policy, was, would, moves, ...defined({ price }) };
  if (html !== undefined) write(html, pageOf(facts));
  if (input.json) printJson(context, { policy, was, would });
  else {
    const head = ['', 'as it was', `with ${policy}`];
    context.out.write(renderTable(head, linesOf(facts), tableLook(context)));
    context.out.write(
      refusedLines(facts)
        .map((line) => `${printable(line)}\n`)
        .join(''),
    );
  }
  return Promise.resolve();
};

/** Records moves as they begin. A moving guest begins no other move. */
function moveList(moves: ReplayedMove[]): NonNullable<ReplayOptions['watch']> {
  return ({ guests, now: atS }, begun, plan) => {
    if (!begun || plan.moves.length === 0 || moves.length >= MAX_LISTED_MOVES) return;
    const going = new Map(guests.map((each) => [each.recorded.name, each.going]));
    for (const { guest, from, to, words } of plan.moves) {
      const move = going.get(guest);
      if (move?.since === atS && move.to === to) moves.push({ atS, guest, from, to, words });
    }
  };
}

function priceOf(text: string | undefined): PageFacts['price'] {
  if (text === undefined) return undefined;
  const [, amount, currency] = /^(\d{1,6}(?:\.\d{1,6})?) ?([A-Za-z]{3})$/.exec(text) ?? [];
  if (amount === undefined || currency === undefined) {
    throw godwitError('GODWIT_USAGE', {
      what: `--price ${text}: expected an amount and a currency, such as 0.30EUR`,
    });
  }
  return { perKwh: Number(amount), currency: currency.toUpperCase() };
}

function historyIn(folder: string): History {
  const read = (name: string): string => {
    const file = path.join(folder, name);
    try {
      if (statSync(file).size > MAX_BYTES) {
        throw new TableError(`${name}: is larger than 512 MiB; give a shorter history`);
      }
      return readFileSync(file, 'utf8');
    } catch (error) {
      if (error instanceof TableError) throw error;
      const cause = error instanceof Error ? error : undefined;
      throw configError(folder, `${name}: can not be read: ${cause?.message ?? ''}`, cause);
    }
  };
  try {
    const hasEvents = existsSync(path.join(folder, 'events.csv'));
    const of = {
      'hosts.csv': read('hosts.csv'),
      'guests.csv': read('guests.csv'),
      ...(hasEvents ? { 'events.csv': read('events.csv') } : {}),
    };
    return readHistory({ ...of, ...loadIn(folder, read) }, placeOfSetting);
  } catch (error) {
    if (error instanceof TableError) throw configError(folder, error.message, error);
    throw error;
  }
}

function loadIn(
  folder: string,
  read: (name: string) => string,
): { 'load.csv': string } | { 'load.json': string } {
  const isThere = (name: string): boolean => existsSync(path.join(folder, name));
  if (!isThere('load.json')) return { 'load.csv': read('load.csv') };
  if (isThere('load.csv')) {
    throw new TableError(
      'load.csv and load.json both exist: only one of them may give the load of the guests',
    );
  }
  return { 'load.json': read('load.json') };
}

const configError = (file: string, what: string, cause: Error | undefined): Error =>
  godwitError(
    'GODWIT_CONFIG',
    { file, what },
    { cause, hint: 'Correct the file; docs/history-replay.md has the columns of a history.' },
  );

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    const cause = error instanceof Error ? error : undefined;
    throw configError(file, `can not be written: ${cause?.message ?? ''}`, cause);
  }
}

function propose({ guests }: History, context: Context, json: boolean): Promise<void> {
  const proposals = rightsize(
    {
      hosts: [],
      guests: guests.map(({ name, host, cores, memoryBytes, recorded }) => ({
        name,
        host,
        cpu: cores,
        memoryBytes,
        demand: recorded,
      })),
    },
    RIGHTSIZE,
  );
  if (json) printJson(context, { policy: 'rightsize', proposals });
  else if (proposals.length === 0) context.out.write('no guest asks for much more than it uses\n');
  else context.out.write(proposals.map(({ words }) => `${printable(words)}\n`).join(''));
  return Promise.resolve();
}
