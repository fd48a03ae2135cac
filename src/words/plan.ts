import { compressionText } from '../protocol/public/compression-text.ts';
import { costsLines } from '../migration/prediction/own-costs.ts';
import { DECISION_WORDS } from '../migration/steering/steering.ts';
import { cameTo, rehearsedTo, type PredictionFigure } from '../migration/report/outcome-figures.ts';
import type { Report } from '../protocol/public/migration.ts';
import type { PlanAnswer, PlanOption } from '../protocol/public/plan.ts';
import type {
  Effects,
  GuestMeasure,
  LinkMeasure,
  PageMix,
  Prediction,
  Range,
} from '../protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../protocol/quantity.ts';
import { loadPairs } from './guest-load.ts';
import { checkText } from './checks.ts';
import { requestsText } from './disks.ts';
import { printable } from './style.ts';
import { renderPairs, renderTable, type Look } from './table.ts';

type Section = readonly [title: string, text: string];

export function planText(answer: PlanAnswer, look: Look): string {
  const { paint } = look;
  const plan = sectionsText(look, [
    ['Measured', renderPairs(measuredPairs(answer), paint)],
    ...predictedSections(answer, look),
  ]);
  return `${checkText({ ...answer, hosts: [answer.host] }, answer.host, paint)}\n${plan}\n`;
}

function predictedSections({ prediction, others = [], advice }: PlanAnswer, look: Look): Section[] {
  return [
    ['Predicted', prediction === undefined ? '' : predictedText(prediction, look)],
    [
      'What it takes',
      prediction?.effects === undefined
        ? ''
        : renderPairs(effectPairs(prediction.effects), look.paint),
    ],
    ['Side by side', others.length === 0 ? '' : optionsText(prediction, others, look)],
    ['Advice', advice.map((each) => `${printable(each)}\n`).join('')],
  ];
}

function sectionsText({ paint }: Look, sections: readonly Section[]): string {
  return sections
    .filter(([, text]) => text !== '')
    .map(([title, text]) => `${paint.bold(title)}\n${text}`)
    .join('\n');
}

function measuredPairs({
  host,
  measured,
  unmeasured,
  load,
  link,
  linkUnmeasured,
  prediction,
}: PlanAnswer) {
  const pairs: [string, string][] = [];
  if (measured === undefined) pairs.push(['guest', `not measured: ${unmeasured ?? 'not asked'}`]);
  else pairs.push(...guestPairs(measured, host.to));
  if (load !== undefined) pairs.push(...loadPairs(load));
  if (link === undefined) pairs.push(['link', `not known: ${linkUnmeasured ?? ''}`]);
  else pairs.push(['link', linkText(link, linkUnmeasured)]);
  for (const { node, now } of prediction?.diskLatency ?? [])
    pairs.push([`requests to ${printable(node)}`, requestsText(now)]);
  pairs.push(...costsPairs(prediction, host.to));
  return pairs;
}

/** Learned costs of its path, if they differ from the defaults. */
const costsPairs = (found: Prediction | undefined, to: string): [string, string][] =>
  found?.costs === undefined
    ? []
    : costsLines(found.costs, to).map((each) => ['costs', printable(each)]);

const HOW_KNOWN = {
  measured: 'measured',
  seen: 'what an earlier migration came to',
  configured: 'configured',
} as const;

function linkText(
  { rate, how, roundTripMs, isLeast = false }: LinkMeasure,
  unmeasured: string | undefined,
): string {
  const least = isLeast ? 'at least ' : '';
  const trip = roundTripMs === undefined ? '' : `, ${formatDuration(roundTripMs)}`;
  const slower = isLeast && how === 'measured' ? '; the agents may have been slower' : '';
  const why = unmeasured === undefined ? '' : `; not measured now: ${unmeasured}`;
  return `${least}${formatRate(rate)}${trip} (${HOW_KNOWN[how]}${slower}${why})`;
}

function guestPairs(
  { memoryBytes, mix, curve, pages, hintedFreeBytes }: GuestMeasure,
  to: string,
): [string, string][] {
  const holds = mix === undefined ? '' : `: ${mixText(mix, to)}`;
  const written = curve.map(
    ({ windowMs, dirtyBytes }) => `${formatBytes(dirtyBytes)} in ${formatDuration(windowMs)}`,
  );
  const by = pages === 0 ? 'as its hypervisor says' : `by ${pages} pages`;
  const free: [string, string][] =
    hintedFreeBytes === undefined
      ? []
      : [['free', `${formatBytes(hintedFreeBytes)}, of which the guest gives hints in pre-copy`]];
  return [
    ['memory', `${formatBytes(memoryBytes)}${holds}`],
    ...free,
    ['writes', `${written.join(', ') || 'nothing'} (${by})`],
  ];
}

function mixText({ zero, duplicate, packed, known }: PageMix, to: string): string {
  const there = known === undefined ? '' : `, ${percent(known.share)} known at ${printable(to)}`;
  return `${percent(zero)} zeros, ${percent(duplicate)} twice${there}, the rest shrinks to ${percent(packed)}`;
}

/** Each figure with its range; in a report with its result. */
export function predictedRows(
  found: Prediction,
): [string, Range, (amount: number) => string, PredictionFigure][] {
  const whole = (amount: number): string => String(Math.round(amount));
  return [
    ['bytes', found.bytes, formatBytes, 'bytes'],
    ['total time', found.totalMs, formatDuration, 'totalMs'],
    ...diskRows(found),
    ['memory', found.memoryMs, formatDuration, 'memoryMs'],
    ['rounds', found.rounds, whole, 'rounds'],
    ['downtime', found.downtimeMs, formatDuration, 'downtimeMs'],
    ['client gap', found.clientGapMs, formatDuration, 'clientGapMs'],
  ];
}

function diskRows({ disks }: Prediction): ReturnType<typeof predictedRows> {
  if (disks === undefined) return [];
  return [
    ['copy of disks', disks.ms, formatDuration, 'diskMs'],
    ['bytes of disks', disks.bytes, formatBytes, 'diskBytes'],
  ];
}

const KINDS = ['reads', 'writes', 'flushes'] as const;
const PERCENTILES = [
  ['p50', 'p50Ms'],
  ['p99', 'p99Ms'],
] as const;

/** Expected latencies of the guest's requests during the copy of its disks; in a report also the measured ones. */
function latencyRows(
  { diskLatency = [] }: Pick<Prediction, 'diskLatency'>,
  { diskLatency: came = [] }: Pick<Report, 'diskLatency'> = {},
): [string, Range, number | undefined][] {
  return diskLatency.flatMap((disk) => {
    const { during } = came.find(({ node }) => node === disk.node) ?? {};
    return KINDS.flatMap((kind) =>
      PERCENTILES.flatMap(([name, at]): [string, Range, number | undefined][] => {
        const found = disk[kind][at];
        if (found === undefined) return [];
        return [[`${printable(disk.node)} ${kind} ${name}`, found, during?.[kind]?.[at]]];
      }),
    );
  });
}

/** A move that never ends has no such figure. */
const isOfItsEnd = (key: PredictionFigure): boolean =>
  key === 'downtimeMs' || key === 'clientGapMs';
const mayEnd = ({ converges }: Prediction): boolean => converges.probability > 0;

export const endsText = ({ converges: { probability, why } }: Prediction): string =>
  `it ends: ${percent(probability)}; ${printable(why)}`;

function predictedText(option: PlanOption, look: Look): string {
  const rows = predictedRows(option).map(([name, { low, middle, high }, format, key]) => {
    const shown = isOfItsEnd(key) && !mayEnd(option) ? () => '-' : format;
    return [name, shown(low), shown(middle), shown(high)];
  });
  for (const [name, { low, middle, high }] of latencyRows(option))
    rows.push([name, ...[low, middle, high].map(formatDuration)]);
  const table = renderTable(['', `LOW (${percent(option.level)})`, 'MIDDLE', 'HIGH'], rows, look);
  const steps = steeredLines(option).map((each) => `  ${each}\n`);
  const steered = steps.length === 0 ? '' : `steered by ${option.steering?.strategy}:\n`;
  return `${table}memory goes by ${wayOf(option)}\n${endsText(option)}\n${steered}${steps.join('')}`;
}

function wayOf({ path, stream }: PlanOption): string {
  const over = stream.streams > 1 ? ` over ${stream.streams} streams` : '';
  const by = stream.compress === 'none' ? '' : `, ${compressionText(stream)}`;
  return `${path === 'wire' ? 'the wire' : 'the native path'}${over}${by}`;
}

function effectPairs({ guest, link, hosts }: Effects): [string, string][] {
  const slowed =
    guest.throttlePercent === undefined
      ? ''
      : `, slowed down by up to ${Math.round(guest.throttlePercent)} %`;
  const share = link.share === undefined ? 'an unknown share' : percent(link.share);
  return [
    ['the guest', `loses ${formatDuration(guest.lostMs)} of its work${slowed}`],
    ['the link', `${share} of it for ${formatDuration(link.forMs)}`],
    [
      'the hosts',
      `up to ${formatDuration(hosts.processorMs)} of a processor on each, and ${formatBytes(hosts.memoryBytes)} of memory at the destination`,
    ],
  ];
}

function steeredLines({ steering }: Prediction): string[] {
  const steps = steering?.steps ?? [];
  return steps.map(({ round, atMs, what, change }) => {
    const unit = change?.of === 'downtimeMs' ? 'ms' : '%';
    const by = change === undefined ? '' : ` from ${change.from} to ${change.to} ${unit}`;
    return `round ${round}, after ${formatDuration(atMs)}: ${DECISION_WORDS[what]}${by}`;
  });
}

export function besideText(report: Report, look: Look): string {
  const [head, ...rows] = besideRows(report);
  const { unpredicted, prediction, to } = report;
  const costs = costsPairs(prediction, to).map(([, line]) => `${line}\n`);
  const ends = prediction === undefined ? '' : `${endsText(prediction)}\n`;
  if (head !== undefined) return `${renderTable(head, rows, look)}${ends}${costs.join('')}`;
  return unpredicted === undefined ? '' : `not known: ${printable(unpredicted)}\n`;
}

/** The same as cells, head first; empty without a prediction. */
export function besideRows(report: Report): string[][] {
  const { prediction } = report;
  if (prediction === undefined) return [];
  const came = { ...cameTo(report), ...rehearsedTo(report) };
  const rows = predictedRows(prediction).map(([name, { low, middle, high }, format, key]) => {
    const outcome = came[key];
    if (isOfItsEnd(key) && !mayEnd(prediction))
      return [name, '-', '-', outcome === undefined ? '-' : format(outcome), ''];
    const within = outcome === undefined ? '' : outcome >= low && outcome <= high ? 'yes' : 'no';
    const shown = outcome === undefined ? '-' : format(outcome);
    return [name, `${format(low)} to ${format(high)}`, format(middle), shown, within];
  });
  for (const [name, { low, middle, high }, outcome] of latencyRows(prediction, report)) {
    const within = outcome === undefined ? '' : outcome >= low && outcome <= high ? 'yes' : 'no';
    const shown = outcome === undefined ? '-' : formatDuration(outcome);
    const span = `${formatDuration(low)} to ${formatDuration(high)}`;
    rows.push([name, span, formatDuration(middle), shown, within]);
  }
  const range = `RANGE (${percent(prediction.level)})`;
  return [['', range, 'MIDDLE', 'CAME TO', 'WITHIN'], ...rows];
}

/** The requested option first, then the others in the plan's order. */
function optionsText(
  asked: PlanOption | undefined,
  others: readonly PlanOption[],
  look: Look,
): string {
  const span = ({ low, high }: Range, format: (amount: number) => string): string =>
    `${format(low)} to ${format(high)}`;
  const options = asked === undefined ? others : [asked, ...others];
  const rows = options.map((option, at) => [
    at === 0 && asked !== undefined ? `${option.mode} (as asked)` : option.mode,
    option.path,
    `${option.stream.streams} x ${compressionText(option.stream)}`,
    percent(option.converges.probability),
    span(option.totalMs, formatDuration),
    span(option.bytes, formatBytes),
    mayEnd(option) ? span(option.downtimeMs, formatDuration) : '-',
    mayEnd(option) ? span(option.clientGapMs, formatDuration) : '-',
    option.effects === undefined ? '-' : formatDuration(option.effects.guest.lostMs),
  ]);
  const head = ['MODE', 'PATH', 'STREAMS', 'ENDS', 'TIME', 'BYTES', 'DOWNTIME', 'CLIENT GAP'];
  return renderTable([...head, 'WORK LOST'], rows, look);
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
