/** A replay's report as text and as a page. Pure. */
import { html, type Markup } from '../../formats/html.ts';
import type { Replay } from '../../planner/sim/history/replay.ts';
import { chart, HEIGHT, niceTop, WIDTH } from '../../words/report-charts.ts';
import { reportPage } from '../../words/report-page.ts';

export interface ReplayedMove {
  readonly atS: number;
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly words: string;
}

export interface PageFacts {
  readonly policy: string;
  /** In the order of their start; absent: not listed. */
  readonly moves?: readonly ReplayedMove[];
  readonly was: Replay;
  readonly would: Replay;
  /** Price of a kWh; absent: no money is shown. */
  readonly price?: { readonly perKwh: number; readonly currency: string };
}

export function linesOf({ was, would, price }: PageFacts): (readonly [string, string, string])[] {
  const line = (name: string, value: (replay: Replay) => string) =>
    [name, value(was), value(would)] as const;
  const lines = [
    line('contention, host-hours', ({ contention }) => contention.toFixed(1)),
    line('asked for and not there', ({ unserved }) => `${(100 * unserved).toFixed(3)} %`),
    line('moves', ({ moves }) => String(moves)),
    ...(was.failedMoves + would.failedMoves > 0
      ? [line('moves that failed', ({ failedMoves }) => String(failedMoves))]
      : []),
    line('moved, GiB', ({ movedBytes }) => (movedBytes / 1024 ** 3).toFixed(0)),
    line('hosts on, host-hours', ({ hostHours }) => hostHours.toFixed(0)),
    ...(was.wakes + would.wakes > 0 ? [line('hosts woken', ({ wakes }) => String(wakes))] : []),
    ...(was.darkGuestHours + would.darkGuestHours > 0
      ? [line('guests dark, guest-hours', ({ darkGuestHours }) => darkGuestHours.toFixed(1))]
      : []),
  ];
  if (was.kwh === undefined || would.kwh === undefined) return lines;
  lines.push(line('energy, kWh', ({ kwh = 0 }) => kwh.toFixed(1)));
  if (price === undefined) return lines;
  const { perKwh, currency } = price;
  lines.push(line(`energy, ${currency}`, ({ kwh = 0 }) => (kwh * perKwh).toFixed(2)));
  return lines;
}

export function refusedLines({ would: { refused } }: PageFacts): string[] {
  return refused.map(({ looks, words }) => {
    return `not possible at ${looks} ${looks === 1 ? 'look' : 'looks'}, such as: ${words}`;
  });
}

/** More moves make the page slow. */
export const MAX_LISTED_MOVES = 1000;

export function pageOf(facts: PageFacts): string {
  const { policy, would } = facts;
  const title = `Godwit: ${policy} on recorded load`;
  const header = html`<p class="when">${spanWords(would.hours)} of recorded load, replayed</p>
    <h1>The policy ${policy}, compared with no moves</h1>`;
  const main = html`${resultSection(facts)}
    <section>
      <h2>Over the time</h2>
      ${hourChart('Hosts with contention', facts, (hour) => hour.contention)}
      ${hourChart('Hosts that are on', facts, (hour) => hour.on)}
      <ul class="legend">
        <li><i class="was"></i>without moves</li>
        <li><i class="rate"></i>with ${policy}</li>
      </ul>
    </section>
    <section>
      <h2>Moves</h2>
      ${movesTable(facts)}
    </section>
    <section>
      <h2>Assumptions</h2>
      <p>
        The load is as recorded: it does not have what guests could not get at that time. Moves
        share the links of their hosts, half of 1 Gbit/s if the files do not have the rate of a
        link. A move takes as long as Godwit predicts. A host that wakes takes 150 s at the power of
        an idle host.
      </p>
    </section>`;
  return reportPage({ title, header, main });
}

function resultSection(facts: PageFacts): Markup {
  const { policy } = facts;
  const rows = linesOf(facts).map(
    ([name, before, after]) =>
      html`<tr>
        <td>${name}</td>
        <td>${before}</td>
        <td>${after}</td>
      </tr>`,
  );
  return html`<section>
    <h2>Result</h2>
    <div class="wide fits">
      <table>
        <thead>
          <tr>
            <th></th>
            <th>without moves</th>
            <th>with ${policy}</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
    ${refusedLines(facts).map((line) => html`<p>${line}</p>`)}
  </section>`;
}

type Hour = Replay['byHour'][number];

/** Points per line; a longer replay is thinned to the highest hour of each part. */
const MAX_POINTS = 600;
const TICKS = 5;

function hourChart(
  title: string,
  { was, would }: PageFacts,
  valueOf: (hour: Hour) => number,
): Markup {
  const lines = [peaksOf(was.byHour.map(valueOf)), peaksOf(would.byHour.map(valueOf))] as const;
  const top = niceTop(lines.flat().reduce((most, each) => Math.max(most, each), 1) * 1.05);
  const hours = Math.max(was.byHour.length, would.byHour.length);
  const below = Array.from({ length: TICKS }, (_, at) =>
    hourText((hours * at) / (TICKS - 1), hours),
  );
  const drawn = lines.map((values, at) => {
    const points = values.map((value, index) => {
      const x = (WIDTH * index) / Math.max(1, values.length - 1);
      return `${x.toFixed(1)},${(HEIGHT - (HEIGHT * value) / top).toFixed(1)}`;
    });
    return html`<polyline class="${at === 0 ? 'was' : 'rate'}" points="${points.join(' ')}" />`;
  });
  return chart({ title, top, show: (value) => value.toFixed(top < 4 ? 1 : 0), below }, drawn);
}

function peaksOf(values: readonly number[]): number[] {
  if (values.length <= MAX_POINTS) return [...values];
  const size = values.length / MAX_POINTS;
  return Array.from({ length: MAX_POINTS }, (_, part) =>
    values
      .slice(Math.floor(part * size), Math.floor((part + 1) * size))
      .reduce((most, each) => Math.max(most, each), 0),
  );
}

/** `36 h`, or `day 3` on a longer axis. A history has no date: its first sample starts day 1. */
function hourText(hours: number, all: number): string {
  if (all <= 48) return `${Number(hours.toFixed(1))} h`;
  return `day ${Math.floor(hours / 24) + 1}`;
}

const spanWords = (hours: number): string =>
  hours <= 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(1)} days`;

function momentText(atS: number): string {
  const minutes = Math.floor(atS / 60);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = `${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
  return `day ${Math.floor(minutes / (24 * 60)) + 1}, ${clock}`;
}

function movesTable({ moves = [], would }: PageFacts): Markup {
  if (moves.length === 0) return html`<p class="none">none</p>`;
  const rows = moves.slice(0, MAX_LISTED_MOVES).map(
    ({ atS, guest, from, to, words }) =>
      html`<tr>
        <td>${momentText(atS)}</td>
        <td>${guest}</td>
        <td>${from}</td>
        <td>${to}</td>
        <td class="why">${words}</td>
      </tr> `,
  );
  const more = would.moves - rows.length;
  return html`<div class="wide">
      <table>
        <thead>
          <tr>
            ${['time', 'guest', 'from', 'to', 'reason'].map((name) => html`<th>${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
    ${more > 0 ? html`<p class="none">and ${more} more</p>` : ''}`;
}
