import type { Report } from '../protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../protocol/quantity.ts';
import { diskPairs } from './disks.ts';
import { html, type Markup } from '../formats/html.ts';
import { phasesChart, roundsChart } from './report-charts.ts';
import { NOT_TRIED, verdictOf } from './checks.ts';
import { besideRows, endsText } from './plan.ts';
import { askedFor } from './report-text.ts';
import { reportPage } from './report-page.ts';
import { headlineWords, measures } from './summary.ts';
import { probePairs } from './probes.ts';
import { wirePairs } from './wire.ts';

/** A report as one page, without scripts, fonts and external resources. */
export function reportHtml(report: Report): string {
  const title = `${report.guest}: ${report.from} to ${report.to}, ${report.outcome}`;
  const header = html`<p class="when">${whenWords(report)}</p>
    <h1>
      ${report.guest} <span><i>${report.from}</i> → <i>${report.to}</i></span>
    </h1>
    <p class="${report.outcome}">${headlineOf(report)}</p>`;
  const main = html`${errorSection(report)} ${leftoversSection(report)}
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
    ${verified(report)} ${predicted(report)} ${figures('Seen from other hosts', probePairs(report))}
    ${figures('Disks', diskPairs(report))} ${figures('Wire', wirePairs(report))}
    <section>
      <h2>Decisions</h2>
      ${decisions(report)}
    </section>
    <section>
      <h2>Checks</h2>
      ${checks(report.checks)}
    </section>
    <section>
      <h2>Asked for</h2>
      ${pairs(askedFor(report))}
    </section>`;
  return reportPage({ title, header, main });
}

function headlineOf(report: Report): Markup {
  const [before = '', after = ''] = headlineWords(report).split(report.id);
  return html`${before}<span class="id">${report.id}</span>${after}`;
}

function whenWords({ startedAt, totalMs, outcome }: Report): string {
  const at = Date.parse(startedAt);
  const began = Number.isNaN(at)
    ? startedAt
    : new Date(at)
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, ' UTC');
  const took = `${outcome === 'running' ? 'for' : 'took'} ${formatDuration(totalMs)}`;
  return `${began}, ${took}`;
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
    <summary>${roundList.length} ${roundList.length === 1 ? 'round' : 'rounds'} in figures</summary>
    ${tableOf(['round', 'ended at', 'sent', 'left', 'rate', 'dirty rate'], rows)}
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

function verified({ verified: looks = [] }: Report): Markup {
  if (looks.length === 0) return html``;
  return html`<section>
    <h2>Verified</h2>
    ${checks(looks)}
  </section>`;
}

/** Allows line breaks between the names of a path only. */
function breakable(text: string): Markup {
  const names = text.split(/(?<=\/)/);
  return html`${names.map((name, at) => (at === 0 ? [name] : [html`<wbr />`, name]))}`;
}

function checks(all: Report['checks']): Markup {
  if (all.length === 0) return html`<p class="none">none was made</p>`;
  const items = all.map((each) => {
    const { name, side, evidence, hint = each.error?.hint } = each;
    const verdict = verdictOf(each);
    return html`<li>
      <b class="${verdict === NOT_TRIED ? 'none' : each.verdict}">${verdict}</b>
      <span
        >${name} (${side}):
        ${breakable(evidence)}${hint === undefined ? '' : html`<small>${breakable(hint)}</small>`}</span
      >
    </li> `;
  });
  return html`<ul class="checks">
    ${items}
  </ul>`;
}

function predicted(report: Report): Markup {
  const [head, ...rows] = besideRows(report);
  if (head === undefined) return html``;
  const cells = rows.map(
    (row) =>
      html`<tr>
        ${row.map((cell) => html`<td>${cell}</td>`)}
      </tr>`,
  );
  return html`<section>
    <h2>Predicted</h2>
    ${tableOf(
      head.map((name) => name.toLowerCase()),
      cells,
    )}
    ${report.prediction === undefined ? html`` : html`<p>${endsText(report.prediction)}</p>`}
  </section>`;
}

function tableOf(head: readonly string[], rows: readonly Markup[]): Markup {
  return html`<div class="wide">
    <table>
      <thead>
        <tr>
          ${head.map((name) => html`<th>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
