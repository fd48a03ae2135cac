import { BALANCE, type Level } from '../../planner/balance-options.ts';
import { balance } from '../../planner/balance.ts';
import { CONSOLIDATE, consolidate } from '../../planner/consolidate.ts';
import type { Budget, Inventory, Plan, PlannedMove } from '../../planner/inventory.ts';
import { wattsOf } from '../../planner/power.ts';
import {
  MAX_MOVES_OF_A_PROPOSAL,
  type PolicyKind,
  type PolicySettings,
  type Proposal,
} from '../../protocol/controller/policy.ts';
import { clipped } from '../requests/bounds.ts';

/** A proposal as a look would make it; two with the same subject count as alike. */
export type Draft = Pick<Proposal, 'reason' | 'words' | 'moves' | 'benefit' | 'cost'> & {
  readonly subject: string;
};

export interface DraftResult {
  readonly drafts: readonly Draft[];
  readonly refusals: readonly string[];
  /** Sleeping hosts that are needed: moves to them are proposed once they are awake. */
  readonly wake: readonly string[];
}

const HOUR_S = 3600;

export const subjectOfGuest = (guest: string, from: string): string => `guest ${guest} on ${from}`;
export const subjectOfHost = (host: string): string => `host ${host}`;

export function draftsOf(
  kind: PolicyKind,
  inventory: Inventory,
  settings: PolicySettings,
  isThere: (host: string) => boolean,
): DraftResult {
  const plan =
    kind === 'balance' ? balanced(inventory, settings) : consolidated(inventory, settings);
  const refusals = plan.refusals.map(({ words }) => clipped(words));
  const moves = plan.moves.filter(isOfPolicy).filter(({ to }) => isThere(to));
  const byHost = Map.groupBy(moves, ({ reason, from }) => (reason === 'empty-host' ? from : ''));
  const drafts = [...byHost].flatMap(([host, moves]) =>
    host === '' ? moves.flatMap((move) => ofGuest(move, moves)) : [ofHost(host, moves, inventory)],
  );
  return {
    drafts: drafts.filter(({ moves }) => moves.length <= MAX_MOVES_OF_A_PROPOSAL),
    refusals,
    wake: plan.wake,
  };
}

function balanced(inventory: Inventory, settings: PolicySettings): Plan {
  const { level, residenceMs } = settings;
  return balance(inventory, {
    ...BALANCE,
    level: level as Level,
    // The planner itself subtracts moves of the last hour.
    perHour: leftAfter(underWay(inventory), settings),
    residenceSeconds: residenceMs / 1000,
  });
}

function consolidated(inventory: Inventory, settings: PolicySettings): Plan {
  const { residenceMs } = settings;
  const recent = inventory.guests.flatMap(({ left = [], memoryBytes }) =>
    left.filter(({ secondsAgo }) => secondsAgo < HOUR_S).map(() => memoryBytes),
  );
  const budget = leftAfter([...recent, ...underWay(inventory)], settings);
  // A guest that has moved rests for its time, whatever another move would save.
  const guests = inventory.guests.map((guest) => {
    const rests = guest.left?.some(({ secondsAgo }) => secondsAgo * 1000 < residenceMs) === true;
    return rests ? { ...guest, neverMove: true } : guest;
  });
  return consolidate({ ...inventory, guests }, { ...CONSOLIDATE, budget });
}

const underWay = ({ guests }: Inventory): readonly number[] =>
  guests.flatMap(({ movingTo, memoryBytes }) => (movingTo === undefined ? [] : [memoryBytes]));

function leftAfter(
  moves: readonly number[],
  { movesPerHour, bytesPerHour }: PolicySettings,
): Budget {
  const bytes = moves.reduce((sum, each) => sum + each, 0);
  return {
    moves: Math.max(0, movesPerHour - moves.length),
    ...(bytesPerHour === undefined ? {} : { bytes: Math.max(0, bytesPerHour - bytes) }),
  };
}

type PolicyMove = PlannedMove & Pick<Proposal, 'reason'>;
const isOfPolicy = (move: PlannedMove): move is PolicyMove => move.reason !== 'drain';

/** A swap is one proposal, of the guest that leaves the overloaded host. */
function ofGuest(move: PolicyMove, all: readonly PolicyMove[]): Draft[] {
  const { guest, from, reason, words, worth, swapsWith } = move;
  const both = swapsWith === undefined ? [move] : [move, ...all.filter(isNamed(swapsWith))];
  if (swapsWith !== undefined && (both.length < 2 || worth === undefined)) return [];
  return [
    {
      subject: subjectOfGuest(guest, from),
      reason,
      words: clipped(words),
      moves: both.map(moveOf),
      benefit: worth === undefined ? {} : { processorSeconds: worth.gain },
      cost: costOf(both),
    },
  ];
}

const isNamed =
  (name: string) =>
  ({ guest }: PlannedMove): boolean =>
    guest === name;

function ofHost(host: string, moves: readonly PlannedMove[], { hosts }: Inventory): Draft {
  const found = hosts.find(({ name }) => name === host);
  const watts = found?.watts === undefined ? {} : { watts: wattsOf(found, 0) };
  return {
    subject: subjectOfHost(host),
    reason: 'empty-host',
    words: clipped(moves[0]?.words ?? ''),
    moves: moves.map(moveOf),
    benefit: { emptied: host, ...watts },
    cost: costOf(moves),
  };
}

const moveOf = ({ guest, from, to, words, cost, alternatives }: PlannedMove) => ({
  guest,
  from,
  to,
  words: clipped(words),
  cost: { ...cost },
  alternatives: [...alternatives],
});

function costOf(moves: readonly PlannedMove[]): Proposal['cost'] {
  const sum = (value: (move: PlannedMove) => number): number =>
    moves.reduce((total, move) => total + value(move), 0);
  return {
    bytes: sum(({ cost }) => cost.bytes),
    seconds: sum(({ cost }) => cost.seconds),
    downtimeMs: sum(({ cost }) => cost.downtimeMs),
  };
}
