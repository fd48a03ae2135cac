import type { Report } from '../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../protocol/quantity.ts';
import { html, type Markup } from '../formats/html.ts';

/** Width of the drawing, which the page stretches; labels stay outside, so that their size does not change. */
export const WIDTH = 720;
export const HEIGHT = 200;
const MAX_BARS = 120;
const TICKS = [1, 0.5, 0] as const;

export interface Axes {
  readonly title: string;
  readonly top: number;
  readonly show: (value: number) => string;
  /** Labels of the horizontal axis: beginning, middle and end. */
  readonly below: readonly string[];
}

export function chart({ title, top, show, below }: Axes, drawn: readonly Markup[]): Markup {
  const lines = TICKS.map((share) => {
    const y = round((1 - share) * HEIGHT);
    return html`<line class="grid" x1="0" y1="${y}" x2="${WIDTH}" y2="${y}" />`;
  });
  return html`<figure>
    <figcaption>${title}</figcaption>
    <div class="plot">
      <ol class="y" aria-hidden="true">
        ${TICKS.map((share) => html`<li>${show(share * top)}</li>`)}
      </ol>
      <svg
        viewBox="0 0 ${WIDTH} ${HEIGHT}"
        preserveAspectRatio="none"
        role="img"
        aria-label="${title}"
      >
        ${lines}${drawn}
      </svg>
    </div>
    <ol class="x" aria-hidden="true">
      ${below.map((text) => html`<li>${text}</li>`)}
    </ol>
  </figure>`;
}

/** Durations of the phases as one segmented bar with a legend. Each phase has one colour everywhere. */
export function phasesChart(report: Report): Markup {
  const total = report.phases.reduce((sum, each) => sum + each.ms, 0);
  if (total === 0) return html`<p class="none">no phase has ended yet</p>`;
  let x = 0;
  const pieces = report.phases.map((each) => {
    const columns = (each.ms / total) * WIDTH;
    const from = x;
    x += columns;
    return html`<rect
      class="ph-${each.phase}"
      x="${round(from)}"
      y="0"
      width="${round(Math.max(1, columns))}"
      height="28"
      ><title>${each.phase}: ${formatDuration(each.ms)}</title></rect
    >`;
  });
  const legend = report.phases.map(
    (each) =>
      html`<li>
        <i class="ph-${each.phase}"></i>${each.phase} <b>${formatDuration(each.ms)}</b>
      </li>`,
  );
  return html`<figure>
    <figcaption>Time by phase</figcaption>
    <svg
      viewBox="0 0 ${WIDTH} 28"
      preserveAspectRatio="none"
      class="phases"
      role="img"
      aria-label="Time by phase"
    >
      ${pieces}
    </svg>
    <ol class="x" aria-hidden="true">
      ${[0, 0.5, 1].map((share) => html`<li>${formatDuration(share * total)}</li>`)}
    </ol>
    <ul class="legend">
      ${legend}
    </ul>
  </figure>`;
}

/**
 * Chart of the rounds: bytes sent and bytes remaining, rate of the link and dirty rate, and the throttle if the guest
 * was slowed down. Decisions are marks.
 */
export function roundsChart(report: Report): Markup {
  const rounds = thin(report.roundList);
  if (rounds.length === 0) return html`<p class="none">no round has ended</p>`;
  const below = roundNames(rounds);
  const marks = decisionMarks(report, rounds);
  const isSlowed = rounds.some((each) => (each.throttlePercent ?? 0) > 0);
  const top = niceTop(Math.max(...rounds.map((each) => Math.max(each.rate, each.dirtyRate))));
  const rates = { title: 'Rates by round', top, show: formatRate, below };
  return html`${memoryChart(rounds, below, marks)}
    ${chart(rates, [
      line(rounds, 'rate', (each) => each.rate / top),
      line(rounds, 'dirtyRate', (each) => each.dirtyRate / top),
      ...marks,
    ])}
    <ul class="legend">
      <li><i class="rate"></i>rate</li>
      <li><i class="dirtyRate"></i>dirty rate</li>
      ${marks.length > 0 ? html`<li><i class="decision"></i>decision</li>` : ''}
    </ul>
    ${isSlowed ? slowedChart(rounds, below) : ''}`;
}

type RoundLine = Report['roundList'][number];

function memoryChart(
  rounds: readonly RoundLine[],
  below: readonly string[],
  marks: readonly Markup[],
): Markup {
  const sent = rounds.map((each, index) => {
    return Math.max(0, each.transferredBytes - (rounds[index - 1]?.transferredBytes ?? 0));
  });
  const top = niceTop(Math.max(...sent, ...rounds.map((each) => each.remainingBytes)));
  const step = WIDTH / rounds.length;
  const bars = rounds.map((each, index) => {
    const bar = (name: 'sent' | 'left', from: number, bytes: number): Markup => {
      const tall = (bytes / top) * HEIGHT;
      return html`<rect
        class="${name}"
        x="${round((index + from) * step)}"
        y="${round(HEIGHT - tall)}"
        width="${round(step * 0.4)}"
        height="${round(tall)}"
        ><title>
          round ${each.round}, ended at ${formatDuration(each.atMs)}:
          ${formatBytes(sent[index] ?? 0)} sent, ${formatBytes(each.remainingBytes)} left, rate
          ${formatRate(each.rate)}, dirty ${formatRate(each.dirtyRate)}, slowed down by
          ${each.throttlePercent ?? 0} %
        </title></rect
      >`;
    };
    return html`${bar('sent', 0.1, sent[index] ?? 0)}${bar('left', 0.5, each.remainingBytes)}`;
  });
  return html`${chart({ title: 'Memory by round', top, show: formatBytes, below }, [
      ...bars,
      ...marks,
    ])}
    <ul class="legend">
      <li><i class="sent"></i>sent in the round</li>
      <li><i class="left"></i>left after it</li>
      ${marks.length > 0 ? html`<li><i class="decision"></i>decision</li>` : ''}
    </ul>`;
}

function slowedChart(rounds: readonly RoundLine[], below: readonly string[]): Markup {
  const show = (value: number): string => `${Math.round(value)} %`;
  return chart({ title: 'Guest slowed down by', top: 100, show, below }, [
    line(rounds, 'throttle', (each) => (each.throttlePercent ?? 0) / 100),
  ]);
}

function line(
  rounds: readonly RoundLine[],
  name: string,
  shareOf: (each: RoundLine) => number,
): Markup {
  const step = WIDTH / rounds.length;
  const at = (index: number, each: RoundLine): string =>
    `${round(index * step)},${round(HEIGHT - shareOf(each) * HEIGHT)}`;
  // A rate holds for the whole round, so it is drawn as a step, which also shows a single round.
  const points = rounds.flatMap((each, index) => [at(index, each), at(index + 1, each)]);
  return html`<polyline class="${name}" points="${points.join(' ')}" />`;
}

function roundNames(rounds: readonly RoundLine[]): string[] {
  const [first, last] = [rounds[0], rounds.at(-1)];
  const middle = rounds.length > 2 ? rounds[Math.floor((rounds.length - 1) / 2)] : undefined;
  const numbers = [first, middle, last].flatMap((each) => each?.round ?? []);
  return [...new Set(numbers)].map((each) => `round ${each}`);
}

function decisionMarks(report: Report, rounds: readonly RoundLine[]): Markup[] {
  const step = WIDTH / rounds.length;
  return report.decisions
    .filter(({ rule }) => rule !== undefined)
    .slice(0, MAX_BARS)
    .map((each) => {
      const at = rounds.findIndex(({ atMs }) => atMs >= each.atMs);
      const x = (at === -1 ? rounds.length : at) * step;
      return html`<line class="decision" x1="${round(x)}" y1="0" x2="${round(x)}" y2="${HEIGHT}"
        ><title>${formatDuration(each.atMs)}: ${each.what}</title></line
      >`;
    });
}

/** At most MAX_BARS entries, including the first and last. */
function thin<T>(list: readonly T[]): T[] {
  if (list.length <= MAX_BARS) return [...list];
  return Array.from({ length: MAX_BARS }, (_, index) => {
    return list[Math.round((index * (list.length - 1)) / (MAX_BARS - 1))];
  }).filter((each) => each !== undefined);
}

/**
 * The smallest upper bound of the form 1, 2, 4 or 8 times 1, 10 or 100 of a unit, whose half is also readable. Pure.
 */
export function niceTop(most: number): number {
  let unit = 1;
  while (most > unit * 1000 && unit < 1024 ** 5) unit *= 1024;
  for (const power of [1, 10, 100]) {
    for (const digit of [1, 2, 4, 8]) {
      if (digit * power * unit >= most) return digit * power * unit;
    }
  }
  return 1024 * unit;
}

function round(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}
