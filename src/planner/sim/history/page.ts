/** The report of a replay as a page that needs nothing else. Pure. */
import type { Replay } from './replay.ts';

export interface PageFacts {
  readonly policy: string;
  readonly was: Replay;
  readonly would: Replay;
  /** Of a kWh, in the currency's own unit; absent: no money is shown. */
  readonly price?: { readonly perKwh: number; readonly currency: string };
}

/** What is printed of a replay, line by line: the name, as it was, as it would have been. */
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

/** What the policy could not do, line by line. */
export function refusedLines({ would: { refused } }: PageFacts): string[] {
  return refused.map(({ looks, words }) => {
    return `not possible at ${looks} ${looks === 1 ? 'look' : 'looks'}, such as: ${words}`;
  });
}

/** The whole page. Names come from files and are escaped. */
export function pageOf(facts: PageFacts): string {
  const { policy, was, would } = facts;
  const rows = linesOf(facts)
    .map((cells) => `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`)
    .join('\n');
  const of = (replay: Replay, what: 'contention' | 'on'): number[] =>
    replay.byHour.map((hour) => hour[what]);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Godwit: what ${escaped(policy)} would have done</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem 1rem .2rem 0; text-align: left; }
svg { width: 100%; height: auto; } .was { stroke: #777; } .would { stroke: #06c; }
polyline { fill: none; stroke-width: 1.5; }
</style>
<h1>What ${escaped(policy)} would have done</h1>
<p>${escaped(would.hours.toFixed(1))} hours of recorded load, replayed. Grey: as it was, with no moves. Blue: with ${escaped(policy)}.</p>
<table>
<tr><th></th><th>as it was</th><th>with ${escaped(policy)}</th></tr>
${rows}
</table>
${refusedLines(facts)
  .map((line) => `<p>${escaped(line)}</p>`)
  .join('\n')}
<h2>Hosts with contention, by hour</h2>
${chart(of(was, 'contention'), of(would, 'contention'))}
<h2>Hosts that are on, by hour</h2>
${chart(of(was, 'on'), of(would, 'on'))}
<p>The load is as recorded: what guests could not get then is not in it. Moves share the links of their hosts, half of 1 Gbit/s where the files do not say what a link carries, and take as long as Godwit predicts. A host that wakes takes 150 s at the power of an idle one.</p>
</html>
`;
}

const WIDTH = 900;
const HEIGHT = 200;
const EDGE = 30;

function chart(was: readonly number[], would: readonly number[]): string {
  const most = [...was, ...would].reduce((left, right) => Math.max(left, right), 1);
  const points = (values: readonly number[]): string =>
    values
      .map((value, at) => {
        const x = EDGE + ((WIDTH - EDGE) * at) / Math.max(1, values.length - 1);
        const y = HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * value) / most;
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      })
      .join(' ');
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="at most ${most.toFixed(1)} hosts">
<text x="0" y="${EDGE}">${most.toFixed(1)}</text><text x="0" y="${HEIGHT - EDGE}">0</text>
<polyline class="was" points="${points(was)}"/>
<polyline class="would" points="${points(would)}"/>
</svg>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (each) => ENTITIES[each] ?? '');
