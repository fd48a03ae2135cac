import type { Report } from '../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { html } from './html.ts';
import type { Markup } from './html.ts';

const WIDTH = 720;
const HEIGHT = 200;
const MAX_BARS = 120;

/** How long each phase took, as one bar cut into pieces, with a legend. */
export function phasesChart(report: Report): Markup {
  const total = report.phases.reduce((sum, each) => sum + each.ms, 0);
  if (total === 0) return html`<p class="none">no phase has ended yet</p>`;
  let x = 0;
  const pieces = report.phases.map((each, index) => {
    const columns = (each.ms / total) * WIDTH;
    const from = x;
    x += columns;
    return html`<rect
      class="p${index % 8}"
      x="${round(from)}"
      y="0"
      width="${round(Math.max(1, columns))}"
      height="28"
      ><title>${each.phase}: ${formatDuration(each.ms)}</title></rect
    >`;
  });
  const legend = report.phases.map(
    (each, index) =>
      html`<li><i class="p${index % 8}"></i>${each.phase} <b>${formatDuration(each.ms)}</b></li>`,
  );
  return html`<svg
      viewBox="0 0 ${WIDTH} 28"
      preserveAspectRatio="none"
      class="phases"
      role="img"
      aria-label="Time by phase"
    >
      ${pieces}
    </svg>
    <ul class="legend">
      ${legend}
    </ul>`;
}

/**
 * By round: what was sent in it and what remained after it as bars; what the link took, what the guest made dirty and how
 * much it was slowed down as lines; decisions as marks.
 */
export function roundsChart(report: Report): Markup {
  const rounds = thin(report.roundList);
  if (rounds.length === 0) return html`<p class="none">no round has ended</p>`;
  const sent = rounds.map((each, index) => {
    return Math.max(0, each.transferredBytes - (rounds[index - 1]?.transferredBytes ?? 0));
  });
  const maxLeft = Math.max(1, ...sent, ...rounds.map((each) => each.remainingBytes));
  const maxRate = Math.max(1, ...rounds.map((each) => Math.max(each.rate, each.dirtyRate)));
  const step = WIDTH / rounds.length;
  const bars = rounds.map((each, index) => {
    const bar = (name: 'sent' | 'left', from: number, bytes: number): Markup => {
      const tall = (bytes / maxLeft) * HEIGHT;
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
  const line = (name: string, shareOf: (each: RoundLine) => number): Markup => {
    const points = rounds.map((each, index) => {
      return `${round((index + 0.5) * step)},${round(HEIGHT - shareOf(each) * HEIGHT)}`;
    });
    return html`<polyline class="${name}" points="${points.join(' ')}" />`;
  };
  const isSlowed = rounds.some((each) => (each.throttlePercent ?? 0) > 0);
  const lines = [
    line('rate', (each) => each.rate / maxRate),
    line('dirtyRate', (each) => each.dirtyRate / maxRate),
    ...(isSlowed ? [line('throttle', (each) => (each.throttlePercent ?? 0) / 100)] : []),
  ];
  return html`<svg
      viewBox="0 -4 ${WIDTH} ${HEIGHT + 8}"
      role="img"
      aria-label="Memory left and rates by round"
    >
      ${bars}${lines}${decisionMarks(report, rounds, step)}
    </svg>
    <ul class="legend">
      <li><i class="sent"></i>sent in the round</li>
      <li><i class="left"></i>left after it (top of both: ${formatBytes(maxLeft)})</li>
      <li><i class="rate"></i>rate</li>
      <li><i class="dirtyRate"></i>dirty rate (top of both: ${formatRate(maxRate)})</li>
      ${isSlowed ? html`<li><i class="throttle"></i>slowed down (top: 100 %)</li>` : ''}
      ${
        report.decisions.some(({ rule }) => rule !== undefined)
          ? html`<li><i class="decision"></i>decision</li>`
          : ''
      }
    </ul>`;
}

type RoundLine = Report['roundList'][number];

/** Where the steering decided: at the round in which it did. */
function decisionMarks(report: Report, rounds: readonly RoundLine[], step: number): Markup[] {
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

/** At most MAX_BARS of the list, the first and the last among them. */
function thin<T>(list: readonly T[]): T[] {
  if (list.length <= MAX_BARS) return [...list];
  return Array.from({ length: MAX_BARS }, (_, index) => {
    return list[Math.round((index * (list.length - 1)) / (MAX_BARS - 1))];
  }).filter((each) => each !== undefined);
}

function round(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}
