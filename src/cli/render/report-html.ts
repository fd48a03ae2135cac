import type { Report } from '../../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { diskPairs } from './disks.ts';
import { html, Markup } from './html.ts';
import { phasesChart, roundsChart } from './report-charts.ts';
import { askedFor } from './report-text.ts';
import { howWords, measures } from './summary.ts';
import { probePairs } from './probes.ts';
import { wirePairs } from './wire.ts';

/** A report as one page that needs nothing else: no script, no font, no picture from elsewhere. */
export function reportHtml(report: Report): string {
  const title = `${report.guest}: ${report.from} to ${report.to}, ${report.outcome}`;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'"
        />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <header>
          <h1>${report.guest} <span>${report.from} → ${report.to}</span></h1>
          <p>
            <strong class="${report.outcome}">${report.outcome}</strong>
            ${howWords(report)}, ${report.id}
          </p>
        </header>
        ${errorSection(report)} ${leftoversSection(report)}
        <section>
          <h2>Measured</h2>
          ${pairs(measures(report))}
        </section>
        <section>
          <h2>Phases</h2>
          ${phasesChart(report)}
        </section>
        <section>
          <h2>Rounds</h2>
          ${roundsChart(report)}${roundsTable(report)}
        </section>
        ${figures('Seen from other hosts', probePairs(report))}
        ${figures('Disks', diskPairs(report))} ${figures('Wire', wirePairs(report))}
        <section>
          <h2>Decisions</h2>
          ${decisions(report)}
        </section>
        <section>
          <h2>Checks</h2>
          ${checks(report)}
        </section>
        <section>
          <h2>Asked for</h2>
          ${pairs(askedFor(report))}
        </section>
      </body>
    </html> `;
  return page.text;
}

function pairs(list: readonly (readonly [string, string])[]): Markup {
  return html`<dl>
    ${list.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

function errorSection({ error }: Report): Markup {
  if (error === undefined) return html``;
  return html`<section class="error">
    <h2>Error</h2>
    <p><code>${error.code}</code> ${error.message}</p>
    <p>${error.hint}</p>
  </section>`;
}

function leftoversSection({ leftovers = [] }: Report): Markup {
  if (leftovers.length === 0) return html``;
  return html`<section>
    <h2>Left behind</h2>
    ${leftovers.map(({ code, message, hint }) => html`<p><code>${code}</code> ${message}. ${hint}</p>`)}
  </section>`;
}

/** Nothing where nothing is to be said. */
function figures(title: string, list: readonly (readonly [string, string])[]): Markup {
  if (list.length === 0) return html``;
  return html`<section>
    <h2>${title}</h2>
    ${pairs(list)}
  </section>`;
}

function roundsTable({ roundList }: Report): Markup {
  if (roundList.length === 0) return html``;
  const rows = roundList.map(
    (each) =>
      html`<tr>
        <td>${each.round}</td>
        <td>${formatDuration(each.atMs)}</td>
        <td>${formatBytes(each.transferredBytes)}</td>
        <td>${formatBytes(each.remainingBytes)}</td>
        <td>${formatRate(each.rate)}</td>
        <td>${formatRate(each.dirtyRate)}</td>
      </tr> `,
  );
  return html`<details>
    <summary>${roundList.length} rounds in figures</summary>
    <table>
      <thead>
        <tr>
          <th>round</th>
          <th>ended at</th>
          <th>sent</th>
          <th>left</th>
          <th>rate</th>
          <th>dirty rate</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </details>`;
}

function decisions(report: Report): Markup {
  if (report.decisions.length === 0) return html`<p class="none">none had to be taken</p>`;
  const items = report.decisions.map(
    (each) => html`<li><b>${formatDuration(each.atMs)}</b> ${each.what}</li> `,
  );
  return html`<ol>
    ${items}
  </ol>`;
}

function checks(report: Report): Markup {
  if (report.checks.length === 0) return html`<p class="none">none was made</p>`;
  const rows = report.checks.map((each) => {
    const hint = each.error === undefined ? '' : html`<br /><small>${each.error.hint}</small>`;
    return html`<tr>
      <td class="${each.verdict}">${each.verdict}</td>
      <td>${each.name}</td>
      <td>${each.side}</td>
      <td>${each.evidence}${hint}</td>
    </tr> `;
  });
  return html`<table>
    <thead>
      <tr>
        <th>verdict</th>
        <th>check</th>
        <th>side</th>
        <th>seen</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

const STYLE = new Markup(`
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #667; --line: #d8dce2;
  --good: #1a7f37; --bad: #c2281d; --odd: #9a6700; --left: #b9c6d8; --rate: #1f6feb; --dirty: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --text: #e6e9ee; --soft: #98a2b0;
  --line: #303846; --good: #57c26e; --bad: #ff7b6b; --odd: #e0b040; --left: #3a4a60; --rate: #6ea8ff; --dirty: #ff9d5c; } }
body { font: 15px/1.5 system-ui, sans-serif; background: var(--back); color: var(--text);
  max-width: 760px; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.6rem; } h1 span { font-weight: 400; color: var(--soft); }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
header p { margin: .2rem 0; color: var(--soft); }
.done, .pass { color: var(--good); } .failed, .held, .lost, .refuse { color: var(--bad); }
.cancelled, .warn, .running { color: var(--odd); } .none, small { color: var(--soft); }
.error { border-left: 3px solid var(--bad); padding-left: 1rem; } .error h2 { border: 0; color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.5rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: left; padding: .15rem .6rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
svg { width: 100%; height: auto; display: block; } svg.phases { height: 28px; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; color: var(--soft); }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
rect.left { fill: var(--left); } i.left { background: var(--left); }
polyline { fill: none; stroke-width: 2; } .rate { stroke: var(--rate); } .dirtyRate { stroke: var(--dirty); }
.throttle { stroke: var(--text); stroke-dasharray: 4 3; } i.throttle { background: var(--text); }
line.decision { stroke: var(--text); stroke-width: 1; } i.decision { background: var(--text); }
rect.sent { fill: var(--rate); opacity: 0.35; } i.sent { background: var(--rate); opacity: 0.35; }
i.rate { background: var(--rate); } i.dirtyRate { background: var(--dirty); }
.p0 { fill: #6e7f96; background: #6e7f96; } .p1 { fill: #4c9a8a; background: #4c9a8a; }
.p2 { fill: #8a6fc0; background: #8a6fc0; } .p3 { fill: #3d7fd6; background: #3d7fd6; }
.p4 { fill: #d6703d; background: #d6703d; } .p5 { fill: #c9a227; background: #c9a227; }
.p6 { fill: #5fa84e; background: #5fa84e; } .p7 { fill: #b05a86; background: #b05a86; }
`);
