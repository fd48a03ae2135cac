import { compressionText } from '../protocol/public/compression-text.ts';
import type { Report } from '../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatMoment, formatRate } from '../protocol/quantity.ts';
import { checkLine } from './checks.ts';
import { diskPairs } from './disks.ts';
import { besideText } from './plan.ts';
import { printable, type Painter } from './style.ts';
import { summaryText } from './summary.ts';
import { renderPairs, renderTable, type Look } from './table.ts';
import { probePairs } from './probes.ts';
import { wirePairs } from './wire.ts';

const ROUNDS_SHOWN = 24;

/** A report for the terminal: the events, the measurements, and their sources. */
export function reportText(report: Report, look: Look): string {
  const { paint } = look;
  const sections: [string, string][] = [
    ['', summaryText(report, paint)],
    ['Asked for', renderPairs(askedFor(report), paint)],
    [
      'Phases',
      renderPairs(
        report.phases.map((each) => [each.phase, formatDuration(each.ms)]),
        paint,
      ),
    ],
    ['Predicted', besideText(report, look)],
    ['Seen from other hosts', renderPairs(probePairs(report), paint)],
    ['Verified', (report.verified ?? []).map((each) => checkLine(each, paint)).join('')],
    ['Disks', renderPairs(diskPairs(report), paint)],
    ['Rounds', roundsText(report, look)],
    ['Wire', renderPairs(wirePairs(report), paint)],
    ['Checks', report.checks.map((each) => checkLine(each, paint)).join('')],
    ['Decisions', decisionsText(report)],
    ['Error', errorText(report, paint)],
    ['Left behind', leftoversText(report)],
  ];
  return sections
    .filter(([, text]) => text !== '')
    .map(([title, text]) => (title === '' ? text : `\n${paint.bold(title)}\n${text}`))
    .join('');
}

export function askedFor(report: Report): [string, string][] {
  const { settings, startedAt, endedAt, takeovers, timedCap } = report;
  const share =
    settings.linkShare === undefined
      ? ''
      : ` (${Math.round(settings.linkShare * 100)} % of the link)`;
  const cap =
    settings.maxBandwidth === undefined ? 'none' : formatRate(settings.maxBandwidth) + share;
  const pairs: [string, string][] = [
    ['mode', settings.mode],
    ['longest downtime', formatDuration(settings.maxDowntimeMs)],
    ['bandwidth cap', cap],
    ...(timedCap === undefined
      ? []
      : [['least by the time of day', formatRate(timedCap)] as [string, string]]),
    ['streams', String(settings.streams)],
    ['compression', compressionText(settings)],
    ['timeout', formatDuration(settings.timeoutMs)],
  ];
  const { steering, deadlineAt, notBefore, whenQuiet, noticeMs } = settings;
  if (noticeMs !== undefined) pairs.push(['notice', formatDuration(noticeMs)]);
  if (whenQuiet !== undefined)
    pairs.push(['waits for a quiet moment', `${formatDuration(whenQuiet.withinMs)} at most`]);
  if (notBefore !== undefined) pairs.push(['not before', notBefore]);
  if (steering !== undefined)
    pairs.push(['steering', typeof steering === 'string' ? steering : steering.name]);
  if (deadlineAt !== undefined) pairs.push(['deadline', deadlineAt]);
  if (settings.mode === 'hybrid' && steering === undefined)
    pairs.push(['rounds before post-copy', String(settings.hybridRounds)]);
  const { path = 'native', linkGraceMs } = settings;
  if (path !== 'native') pairs.push(['path', path]);
  if (path !== 'native' && linkGraceMs !== undefined)
    pairs.push(['longest hidden cut', formatDuration(linkGraceMs)]);
  const { returnIfUnhealthy: check } = settings;
  if (check !== undefined)
    pairs.push(['goes back if', `${check.check} fails within ${formatDuration(check.withinMs)}`]);
  if (settings.rehearse === true) pairs.push(['rehearsal', 'everything up to the switch, undone']);
  if (settings.balloon !== undefined) pairs.push(['memory taken by its balloon', settings.balloon]);
  if (settings.unplug !== undefined)
    pairs.push(['unplugged for the move', settings.unplug.join(', ')]);
  if (settings.plug !== undefined) pairs.push(['plugged in there', settings.plug.join(', ')]);
  if (settings.keepSource === true) pairs.push(['disks at the source', 'kept']);
  if (settings.diskWrites === 'refuse') pairs.push(['disks that it writes too fast', 'refuse']);
  if (settings.pathAddresses !== undefined)
    pairs.push(['further addresses', settings.pathAddresses.join(', ') || 'none']);
  pairs.push(['started', formatMoment(startedAt)]);
  if (endedAt !== undefined) pairs.push(['ended', formatMoment(endedAt)]);
  if (takeovers > 0)
    pairs.push(['taken over by a new mover', takeovers === 1 ? 'once' : `${takeovers} times`]);
  return pairs;
}

function roundsText(report: Report, look: Look): string {
  const rounds = report.roundList;
  if (rounds.length === 0) return '';
  const shown = rounds.slice(-ROUNDS_SHOWN);
  const left = rounds.length - shown.length;
  const note = left === 0 ? '' : `(${left} earlier ones: see --json)\n`;
  const rows = shown.map((each) => [
    String(each.round),
    formatDuration(each.atMs),
    formatBytes(each.transferredBytes),
    formatBytes(each.remainingBytes),
    formatRate(each.rate),
    formatRate(each.dirtyRate),
  ]);
  return (
    note + renderTable(['ROUND', 'ENDED AT', 'SENT', 'LEFT', 'RATE', 'DIRTY RATE'], rows, look)
  );
}

function decisionsText({ decisions }: Report): string {
  return decisions
    .map(({ atMs, what, hint }) => {
      const line = `${formatDuration(atMs).padStart(9)}  ${printable(what)}\n`;
      return hint === undefined ? line : `${line}${' '.repeat(11)}${printable(hint)}\n`;
    })
    .join('');
}

function leftoversText({ leftovers = [] }: Report): string {
  return leftovers
    .map(({ code, message, hint }) => `${code}: ${printable(message)}\nhint: ${printable(hint)}\n`)
    .join('');
}

function errorText({ error }: Report, paint: Painter): string {
  if (error === undefined) return '';
  return `${paint.red(error.code)}: ${printable(error.message)}\n${paint.dim('hint:')} ${printable(error.hint)}\n`;
}
