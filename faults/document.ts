/** bench/results/faults.md from the results of cells. Pure. */
import {
  allCells,
  cellId,
  CONTAINER_FAULTS,
  CONTAINER_MODES,
  CONTAINER_PHASES,
  containerCells,
  DISK_FAULTS,
  DISK_MODES,
  DISK_PHASES,
  diskCells,
  FAULT_WORDS,
  FAULTS,
  hasDisks,
  isContainer,
  losesPower,
  MODES,
  PHASES,
  POWER_FAULTS,
  POWER_MODES,
  powerCells,
  type Cell,
  type Fault,
  type Mode,
  type Phase,
} from './cell.ts';
import { isRed } from './judge.ts';
import type { PlayResult } from './play.ts';
import { median } from './recovery.ts';
import { row } from './table.ts';

const PHASE_WORDS: Readonly<Record<Phase, string>> = {
  checking: 'checking',
  preparing: 'preparing',
  'first-round': 'first round',
  'later-round': 'later round',
  'before-switch': 'just before the switch',
  switchover: 'inside the switch',
  'after-commit': 'after commit',
  cleanup: 'cleanup',
  seeding: 'backing file being sent',
  'disks-first-pass': 'disks: first pass',
  'disks-ready': 'disks whole, memory moving',
  'disks-switch': 'inside the switch',
  'box-checking': 'checking',
  'box-preparing': 'preparing',
  'box-memory': 'memory being read',
  'box-dump': 'frozen, being dumped',
  'box-restore': 'being restored',
  'box-after-commit': 'after commit',
  'box-following': 'memory follows',
  'box-cleanup': 'cleanup',
};
const MODE_WORDS: Readonly<Record<Mode, string>> = {
  cold: 'Cold',
  precopy: 'Pre-copy',
  postcopy: 'Post-copy',
  hybrid: 'Hybrid',
};

/** The marks around what a command writes. */
export const BEGIN = '<!-- written by npm run faults -- --write-docs: begin -->';
export const BOX_BEGIN = '<!-- containers, written by npm run faults -- --write-docs: begin -->';
export const BOX_END = '<!-- containers, written by npm run faults -- --write-docs: end -->';
export const POWER_BEGIN = '<!-- power, written by npm run faults -- --write-docs: begin -->';
export const POWER_END = '<!-- power, written by npm run faults -- --write-docs: end -->';
export const END = '<!-- written by npm run faults -- --write-docs: end -->';

const SECTIONS = [
  { group: 'machines', begin: BEGIN, end: END, results: resultsText },
  { group: 'boxes', begin: BOX_BEGIN, end: BOX_END, results: containersText },
  { group: 'power', begin: POWER_BEGIN, end: POWER_END, results: powerText },
] as const;

/** The text between the marks. Of a cell that was played several times the last counts. */
export function resultsText(played: readonly PlayResult[]): string {
  const byCell = new Map(played.map((each) => [each.cell, each]));
  const tables = MODES.flatMap((mode) => [
    `### ${MODE_WORDS[mode]}`,
    '',
    ...table({ mode, faults: FAULTS, phases: PHASES }, byCell),
    '',
  ]);
  const withDisks = diskCells();
  const without = allCells().filter(
    (cell) => !hasDisks(cell) && !isContainer(cell) && !losesPower(cell),
  );
  return [
    summary(without, byCell),
    '',
    ...tables,
    '### Disks that are copied',
    '',
    `${tally(withDisks, byCell)} They are the same guest with two disks of its host alone.`,
    '',
    ...DISK_MODES.flatMap((mode) => [
      `#### ${MODE_WORDS[mode]}, with disks`,
      '',
      ...table({ mode, faults: DISK_FAULTS, phases: DISK_PHASES }, byCell),
      '',
    ]),
    ...reds(byCell),
    '### Why a cell is not played',
    '',
    ...notRun(without, FAULTS.length),
    '',
    'With disks:',
    '',
    ...notRun(withDisks, DISK_FAULTS.length),
  ]
    .join('\n')
    .trimEnd();
}

/** The same of containers. */
export function containersText(played: readonly PlayResult[]): string {
  const byCell = new Map(played.map((each) => [each.cell, each]));
  const cells = containerCells();
  return [
    tally(cells, byCell),
    '',
    ...CONTAINER_MODES.flatMap((mode) => [
      `### ${MODE_WORDS[mode]}, with a container`,
      '',
      ...table(tried(mode, cells), byCell),
      '',
    ]),
    ...reds(byCell),
    'Not played:',
    '',
    ...notRun(cells, CONTAINER_FAULTS.length),
  ]
    .join('\n')
    .trimEnd();
}

/** The same of hosts that lose their power. */
export function powerText(played: readonly PlayResult[]): string {
  const byCell = new Map(played.map((each) => [each.cell, each]));
  const cells = powerCells();
  return [
    tally(cells, byCell),
    '',
    ...POWER_MODES.flatMap((mode) => [
      `### ${MODE_WORDS[mode]}, with a loss of power`,
      '',
      ...table({ mode, faults: POWER_FAULTS, phases: PHASES }, byCell),
      '',
    ]),
    ...reds(byCell),
    'Not played:',
    '',
    ...notRun(cells, POWER_FAULTS.length),
  ]
    .join('\n')
    .trimEnd();
}

/** Of containers, what is tried in a mode at all. */
function tried(mode: Mode, cells: readonly Cell[]): Table {
  const played = cells.filter((cell) => cell.mode === mode && row(cell).run);
  return {
    mode,
    faults: CONTAINER_FAULTS.filter((fault) => played.some((cell) => cell.fault === fault)),
    phases: CONTAINER_PHASES.filter((phase) => played.some((cell) => cell.phase === phase)),
  };
}

/** `text` with the results of those kinds of cells in it that were played: each kind between its own marks. */
export function withResults(text: string, played: readonly PlayResult[]): string {
  const boxes = new Set(containerCells().map(cellId));
  const powers = new Set(powerCells().map(cellId));
  const groups = Map.groupBy(played, ({ cell }) =>
    boxes.has(cell) ? 'boxes' : powers.has(cell) ? 'power' : 'machines',
  );
  return SECTIONS.reduce((before, { group, begin, end, results }) => {
    const own = groups.get(group);
    return own === undefined ? before : between(before, begin, end, results(own));
  }, text);
}

function between(text: string, begin: string, end: string, results: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error('the document has lost its marks');
  return `${text.slice(0, from + begin.length)}\n\n${results}\n\n${text.slice(to)}`;
}

/** How many cells there are, how many were played, and how they ended. */
function tally(cells: readonly Cell[], byCell: ReadonlyMap<string, PlayResult>): string {
  const all = playedOf(cells, byCell);
  const green = all.filter(({ ok }) => ok);
  const red = all.filter(isRed).length;
  const others = all.length - green.length - red;
  const missed = others === 0 ? '' : `, ${others} not struck`;
  const minutes = Math.round(playedMs(all) / 60_000);
  const makesSense = cells.filter((cell) => row(cell).run).length;
  if (all.length === 0)
    return `The table has no results yet: ${makesSense} cells are to be played.`;
  return `${all.length} of ${makesSense} cells played in ${minutes} minutes: **${green.length} green, ${red} red${missed}**.`;
}

/** How long the runs took in which these were played; where they do not say, the cells themselves. */
function playedMs(all: readonly PlayResult[]): number {
  const runs = new Map<string, { fromMs: number; toMs: number }>();
  let otherMs = 0;
  for (const { run, tookMs } of all) {
    if (run === undefined) {
      otherMs += tookMs;
      continue;
    }
    const { fromMs, toMs } = runs.get(run.id) ?? { fromMs: Number.POSITIVE_INFINITY, toMs: 0 };
    runs.set(run.id, {
      fromMs: Math.min(fromMs, run.elapsedMs - tookMs),
      toMs: Math.max(toMs, run.elapsedMs),
    });
  }
  return [...runs.values()].reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, otherMs);
}

function playedOf(cells: readonly Cell[], byCell: ReadonlyMap<string, PlayResult>): PlayResult[] {
  return cells.flatMap((cell) => byCell.get(cellId(cell)) ?? []);
}

function summary(cells: readonly Cell[], byCell: ReadonlyMap<string, PlayResult>): string {
  const all = playedOf(cells, byCell);
  const precopy = medianOf(all, (cell) => cell.endsWith('/precopy'));
  const streaming = medianOf(all, (cell) => /^link.*\/after-commit\/(postcopy|hybrid)$/.test(cell));
  return [
    tally(cells, byCell),
    '',
    '| recovery, median | measured | target |',
    '| --- | --- | --- |',
    `| pre-copy: the guest runs and the migration is on its way, forward or back | ${precopy} | 3 s |`,
    `| post-copy: streaming again after the link returned | ${streaming} | 2 s |`,
  ].join('\n');
}

function medianOf(all: readonly PlayResult[], wanted: (cell: string) => boolean): string {
  const times = all.flatMap(({ cell, ok, recoveryMs }) =>
    ok && recoveryMs !== undefined && wanted(cell) ? [recoveryMs] : [],
  );
  const middle = median(times);
  return middle === undefined ? 'not measured' : `${seconds(middle)} (${times.length} cells)`;
}

interface Table {
  readonly mode: Mode;
  readonly faults: readonly Fault[];
  readonly phases: readonly Phase[];
}

function table({ mode, faults, phases }: Table, byCell: ReadonlyMap<string, PlayResult>): string[] {
  const lines = faults.map((fault) => {
    const cells = phases.map((phase) => shown({ fault, phase, mode }, byCell));
    return `| ${FAULT_WORDS[fault]} | ${cells.join(' | ')} |`;
  });
  return [
    `| fault | ${phases.map((phase) => PHASE_WORDS[phase]).join(' | ')} |`,
    `| --- |${phases.map(() => ' --- |').join('')}`,
    ...lines,
  ];
}

function shown(cell: Cell, byCell: ReadonlyMap<string, PlayResult>): string {
  if (!row(cell).run) return '·';
  const played = byCell.get(cellId(cell));
  if (played === undefined) return '?';
  if (!played.ok) return isRed(played) ? '**red**' : '**not struck**';
  const time = played.recoveryMs === undefined ? '' : ` ${seconds(played.recoveryMs)}`;
  // Of a guest that was killed there is nothing to go back to.
  if (played.outcome === 'failed' && played.runningOn?.length === 0) return 'reported dead';
  const { recovered } = played;
  if (recovered !== undefined && recovered !== 'no host') return `recovered${time}`;
  return `${WORDS[played.outcome] ?? played.outcome}${time}`;
}

const WORDS: Readonly<Record<string, string>> = {
  done: 'done',
  failed: 'back',
  lost: 'reported lost',
};

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function reds(byCell: ReadonlyMap<string, PlayResult>): string[] {
  const red = [...byCell.values()].filter(isRed);
  if (red.length === 0) return [];
  const lines = red.map(({ cell, problems, struck }) => {
    const text = problems.join('; ').replaceAll('|', '/').slice(0, 400);
    return `- \`${cell}\`: ${text}${struck === undefined ? '' : ` (${struck.replace(/, pid \d+/, '')})`}`;
  });
  return ['### Red cells', '', ...lines, ''];
}

/** Each reason once, with the faults that it keeps out; `every`: so many faults are all. */
function notRun(cells: readonly Cell[], every: number): string[] {
  const reasons = new Map<string, Set<Fault>>();
  for (const cell of cells) {
    const found = row(cell);
    if (found.run) continue;
    reasons.set(found.why, (reasons.get(found.why) ?? new Set()).add(cell.fault));
  }
  return [...reasons].map(([why, faults]) => {
    const who = faults.size === every ? 'every fault' : [...faults].map((f) => `\`${f}\``);
    return `- ${why} (${typeof who === 'string' ? who : who.join(', ')})`;
  });
}
