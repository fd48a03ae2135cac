import type { Report } from '../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { checkPairs } from './disks.ts';
import { printable, printableCell } from './style.ts';
import type { Painter } from './style.ts';
import { renderPairs } from './table.ts';
import { seenGap } from './probes.ts';
import { overTheWire } from './wire.ts';

/** Where the guest runs, in words. */
export function whereWords(report: Report): string {
  switch (report.runsAt) {
    case 'source':
      return `on ${report.from} (the source)`;
    case 'destination':
      return `on ${report.to}`;
    case 'nowhere':
      return 'nowhere';
    case 'unknown':
      return 'not known from here; ask the other host too';
  }
}

/** The measurements of a report as `name, value`, those that do not apply left out. */
export function measures(report: Report): [string, string][] {
  const optional = (name: string, ms: number | undefined): [string, string][] =>
    ms === undefined ? [] : [[name, formatDuration(ms)]];
  return [
    ['total', formatDuration(report.totalMs)],
    ...optional('downtime (hypervisor)', report.downtimeMs),
    ...optional('blackout (stopped to running)', report.blackoutMs),
    ...blackoutWords(report),
    ...optional('first frame on the new port', report.firstFrameMs),
    ...seenGap(report),
    ...standstills(report),
    ['sent', `${formatBytes(report.bytes)} for ${formatBytes(report.memoryBytes)} of memory`],
    ...overTheWire(report),
    ['rounds', String(report.rounds)],
    ['throughput', formatRate(report.throughput)],
    ...(report.pageRequests === 0
      ? []
      : [['page requests', String(report.pageRequests)] satisfies [string, string]]),
    ...checkPairs(report),
    ['runs', whereWords(report)],
  ];
}

const PARTS = {
  stop: 'stop',
  state: 'last pages and devices',
  commit: 'commit',
  resume: 'resume',
} as const;

function blackoutWords({ blackoutParts = [] }: Report): [string, string][] {
  if (blackoutParts.length === 0) return [];
  const words = blackoutParts.map(({ part, ms }) => `${PARTS[part]} ${formatDuration(ms)}`);
  return [['of which', words.join(', ')]];
}

function standstills({ postcopyStalledMs, postcopyStalls = 1 }: Report): [string, string][] {
  if (postcopyStalledMs === undefined) return [];
  const times = postcopyStalls === 1 ? 'once' : `${postcopyStalls} times`;
  return [['post-copy stood still', `${formatDuration(postcopyStalledMs)}, ${times}`]];
}

/** The end of `godwit migrate`: one line of what happened, then the measurements. */
export function summaryText(report: Report, paint: Painter): string {
  const name = paint.bold(printable(report.guest));
  return `${printableCell(headline(report, name, paint))}\n${renderPairs(measures(report), paint)}`;
}

function headline(report: Report, name: string, paint: Painter): string {
  const { from, to, id } = report;
  switch (report.outcome) {
    case 'done':
      return `${paint.green('✔')} ${name} moved from ${from} to ${to} (${report.finished}, ${id})`;
    case 'running':
      return `${paint.cyan('…')} ${name} is moving from ${from} to ${to} (${id})`;
    case 'failed':
      return `${paint.red('✘')} ${name} did not move from ${from} to ${to} (${id})`;
    case 'cancelled':
      return `${paint.yellow('✘')} the move of ${name} from ${from} to ${to} was cancelled (${id})`;
    case 'held':
      return `${paint.red('✘')} ${name} is held paused between ${from} and ${to} (${id})`;
    case 'lost':
      return `${paint.red('✘')} ${name} was lost between ${from} and ${to} (${id})`;
  }
}
