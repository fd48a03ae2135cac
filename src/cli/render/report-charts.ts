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

/** Memory left after each round as bars; what the link took and what the guest made dirty as lines. */
export function roundsChart(report: Report): Markup {
  const rounds = thin(report.roundList);
  if (rounds.length === 0) return html`<p class="none">no round has ended</p>`;
  const maxLeft = Math.max(1, ...rounds.map((each) => each.remainingBytes));
  const maxRate = Math.max(1, ...rounds.map((each) => Math.max(each.rate, each.dirtyRate)));
  const step = WIDTH / rounds.length;
  const bars = rounds.map((each, index) => {
    const tall = (each.remainingBytes / maxLeft) * HEIGHT;
    return html`<rect
      class="left"
      x="${round(index * step + step * 0.1)}"
      y="${round(HEIGHT - tall)}"
      width="${round(step * 0.8)}"
      height="${round(tall)}"
      ><title>
        round ${each.round}, ended at ${formatDuration(each.atMs)}:
        ${formatBytes(each.remainingBytes)} left, rate ${formatRate(each.rate)}, dirty
        ${formatRate(each.dirtyRate)}
      </title></rect
    >`;
  });
  const line = (name: 'rate' | 'dirtyRate'): Markup => {
    const points = rounds.map((each, index) => {
      return `${round((index + 0.5) * step)},${round(HEIGHT - (each[name] / maxRate) * HEIGHT)}`;
    });
    return html`<polyline class="${name}" points="${points.join(' ')}" />`;
  };
  return html`<svg
      viewBox="0 -4 ${WIDTH} ${HEIGHT + 8}"
      role="img"
      aria-label="Memory left and rates by round"
    >
      ${bars}${line('rate')}${line('dirtyRate')}
    </svg>
    <ul class="legend">
      <li><i class="left"></i>left after the round (top: ${formatBytes(maxLeft)})</li>
      <li><i class="rate"></i>rate</li>
      <li><i class="dirtyRate"></i>dirty rate (top of both: ${formatRate(maxRate)})</li>
    </ul>`;
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
