import type { Report } from '../protocol/public/migration.ts';
import { haltedWords } from '../migration/guest-changes/run-states.ts';
import type { SiteCheck } from '../protocol/public/site-check.ts';
import { formatBytes, formatDuration, formatRate } from '../protocol/quantity.ts';
import { checkPairs } from './disks.ts';
import { painter, printable, printableCell, type Painter } from './style.ts';
import { renderPairs } from './table.ts';
import { seenGap } from './probes.ts';
import { overTheWire } from './wire.ts';

function whereWords(report: Report): string {
  const { runsAtTold: reported } = report;
  if (reported === undefined) return placeWords(report);
  const other =
    reported.otherwise === 'unknown'
      ? 'does not know'
      : `says: ${placeWords({ ...report, runsAt: reported.otherwise })}`;
  return `${placeWords(report)}, as ${reported.by} says; ${report.from} ${other}`;
}

function placeWords(report: Pick<Report, 'from' | 'to' | 'runsAt' | 'error' | 'halted'>): string {
  switch (report.runsAt) {
    case 'source':
      if (report.error?.code === 'GODWIT_GUEST_HALTED') {
        return `nowhere now: it is stopped on ${report.from} (the source)`;
      }
      return `on ${report.from} (the source)`;
    case 'destination':
      if (report.halted === undefined) return `on ${report.to}`;
      return `nowhere now: it is on ${report.to}, ${printable(haltedWords(report.halted))}`;
    case 'nowhere':
      return report.error?.code === 'GODWIT_GUEST_ENDED' ? 'nowhere: it has ended' : 'nowhere';
    case 'unknown':
      if (report.error?.code === 'GODWIT_RUNS_ELSEWHERE') {
        return `on ${report.error.facts?.['other'] ?? 'another host'}`;
      }
      return 'not known from here; ask the other host too';
  }
}

/** A report's applicable measurements as `name, value`. */
export function measures(report: Report): [string, string][] {
  const optional = (name: string, ms: number | undefined): [string, string][] =>
    ms === undefined ? [] : [[name, formatDuration(ms)]];
  return [
    ['total', formatDuration(report.totalMs)],
    ...optional('downtime (hypervisor)', report.downtimeMs),
    ...optional('blackout (stopped to running)', report.blackoutMs),
    ...blackoutWords(report),
    ...optional('first frame on the new port', report.firstFrameMs),
    ...optional('waited for memory (post-copy)', report.postcopyWaitedMs),
    ...seenGap(report),
    ...standstills(report),
    ...rehearsalWords(report),
    ...sent(report),
    ...balloonWords(report),
    ...checkPairs(report),
    ...verifiedWords(report),
    ...returnWords(report),
    ['runs', whereWords(report)],
  ];
}

/** Memory taken by its balloon for the move, returned afterwards in any case. */
function balloonWords({ balloon }: Report): [string, string][] {
  if (balloon === undefined) return [];
  const { takenBytes, leftBytes } = balloon;
  const left = `${formatBytes(leftBytes)} were left unused`;
  return [['taken by its balloon', `${formatBytes(takenBytes)} for the move; ${left}`]];
}

/** One line: the number of outside checks, and the doubtful ones. */
function verifiedWords({ verified = [] }: Report): [string, string][] {
  if (verified.length === 0) return [];
  const made = verified.filter(({ notTried }) => notTried !== true);
  const doubts = made.filter(({ verdict }) => verdict !== 'pass');
  const names = [...new Set(doubts.map(({ name }) => name))].join(', ');
  const doubt = doubts.length === 0 ? '' : `; in doubt: ${names} (\`godwit report\` says why)`;
  const left = verified.length - made.length;
  const notTried = left === 0 ? '' : ` (${left} more do not apply or were not possible)`;
  if (made.length === 0) return [['verified', `no check was possible${notTried}`]];
  const good = made.length - doubts.length;
  const passed = doubts.length === 0 ? `all ${made.length}` : `${good} of ${made.length}`;
  return [['verified', `${passed} checks passed${notTried}${doubt}`]];
}

function returnWords({
  settings: { returnIfUnhealthy: asked },
  siteCheck,
  returned,
  returns,
  outcome,
}: Report): [string, string][] {
  const back =
    returns === undefined
      ? []
      : [pair('takes the guest back', `after ${returns.migration}: ${printable(returns.why)}`)];
  if (asked === undefined || outcome !== 'done') return back;
  if (returned !== undefined)
    return [...back, pair('returned', `by ${returned.migration}: ${printable(returned.why)}`)];
  return [
    ...back,
    pair(asked.check, siteCheck === undefined ? 'not known from here' : checkWords(siteCheck)),
  ];
}

const CHECK_STATES: Record<SiteCheck['state'], string> = {
  watching: 'the guest is looked after',
  returning: 'the guest is being taken back',
  returned: 'the guest was taken back',
  passed: 'nothing was found',
  failed: 'the guest stays',
  cancelled: 'the guest stays',
  'moved-on': 'the guest is looked after no more',
};

function checkWords({ state, untilAt, runs, failures, why, migration }: SiteCheck): string {
  const until = state === 'watching' ? ` until ${untilAt}` : '';
  const by = state === 'returning' && migration !== undefined ? ` by ${migration}` : '';
  const because = why === undefined ? '' : `: ${printable(why)}`;
  return `${CHECK_STATES[state]}${until}${by}${because} (${failures} of ${runs} runs failed)`;
}

function rehearsalWords({ rehearsal }: Report): [string, string][] {
  if (rehearsal === undefined) return [];
  const { switches, expectedDowntimeMs, maxDowntimeMs, stoodStillMs } = rehearsal;
  const asked = formatDuration(maxDowntimeMs);
  const expected =
    expectedDowntimeMs === undefined ? 'not known' : `about ${formatDuration(expectedDowntimeMs)}`;
  const how = switches === 'postcopy' ? 'would go over to post-copy' : 'memory converges';
  return [
    ['came to the switch', switches === undefined ? 'no' : `yes: ${how}`],
    ...(switches === undefined
      ? []
      : [
          pair(
            'downtime of a move',
            `${expected} (as measured at the switch; at most ${asked} is asked for)`,
          ),
        ]),
    ...(stoodStillMs === undefined
      ? []
      : [pair('paused in the rehearsal', formatDuration(stoodStillMs))]),
  ];
}

/** Transferred data. Figures that a manager does not report are left out and named in one line. */
function sent(report: Report): [string, string][] {
  const { bytes, memoryBytes, rounds, throughput, pageRequests = 0, notKnown } = report;
  const memory = memoryBytes === undefined ? '' : ` for ${formatBytes(memoryBytes)} of memory`;
  const silent = Object.entries({ 'bytes sent': bytes, rounds, throughput })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  return [
    ...(bytes === undefined ? [] : [pair('sent', `${formatBytes(bytes)}${memory}`)]),
    ...overTheWire(report),
    ...(rounds === undefined ? [] : [pair('rounds', String(rounds))]),
    ...(throughput === undefined ? [] : [pair('throughput', formatRate(throughput))]),
    ...(pageRequests === 0 ? [] : [pair('page requests', String(pageRequests))]),
    ...(silent.length === 0 || notKnown !== undefined
      ? []
      : [pair('not reported by its manager', silent.join(', '))]),
    ...(notKnown === undefined ? [] : [pair(`not known to ${report.to}`, notKnown.join(', '))]),
  ];
}

const pair = (name: string, value: string): [string, string] => [name, value];

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
  return [['post-copy was stalled', `${formatDuration(postcopyStalledMs)}, ${times}`]];
}

/** The end of `godwit migrate`: one line with the outcome, then the measurements. */
export function summaryText(report: Report, paint: Painter): string {
  const name = paint.bold(printable(report.guest));
  return `${printableCell(headline(report, name, paint))}\n${renderPairs(measures(report), paint)}`;
}

export function headlineWords(report: Report): string {
  return headline(report, report.guest, painter(false));
}

function howWords({ finished, mode }: Report): string {
  if (finished === 'unknown') return 'by its manager';
  return finished === 'none' ? mode : finished;
}

function headline(report: Report, name: string, paint: Painter): string {
  const { from, to, id } = report;
  switch (report.outcome) {
    case 'done':
      return `${paint.green('✔')} ${name} moved from ${from} to ${to} (${howWords(report)}, ${id})`;
    case 'rehearsed':
      return `${paint.green('✔')} ${name} would move from ${from} to ${to}; it stayed on ${from}, and nothing is left on ${to} (${id})`;
    case 'running':
      return `${paint.cyan('…')} ${name} is moving from ${from} to ${to} (${id})`;
    case 'failed':
      return `${paint.red('✘')} ${name} did not move from ${from} to ${to} (${id})`;
    case 'cancelled':
      return `${paint.yellow('✘')} the move of ${name} from ${from} to ${to} was cancelled (${id})`;
    case 'held':
      if (report.error?.code === 'GODWIT_TASK_UNKNOWN') {
        return `${paint.red('✘')} nobody says where ${name} runs: its manager was asked to move it from ${from} to ${to} (${id})`;
      }
      return `${paint.red('✘')} ${name} is held between ${from} and ${to} (${id})`;
    case 'lost':
      return `${paint.red('✘')} ${name} was lost between ${from} and ${to} (${id})`;
  }
}
