import { useState } from 'preact/hooks';
import { predictedRows } from '../../../src/words/plan.ts';
import { reportHtml } from '../../../src/words/report-html.ts';
import { measures } from '../../../src/words/summary.ts';
import {
  cameTo,
  type PredictionFigure as Figure,
} from '../../../src/migration/report/outcome-figures.ts';
import type { Progress, Report } from '../../../src/protocol/public/migration.ts';
import type { Range } from '../../../src/protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../../../src/protocol/quantity.ts';
import { percentText } from '../base/text.ts';
import { sentInRounds } from '../moves/rounds.ts';
import { Chart } from '../components/chart.tsx';
import { Scrolls } from '../components/scrolls.tsx';

/** The outcome of a migration and its causes. */
export function ReportView({ report }: { report: Report }) {
  return (
    <>
      <section class="panel">
        <h2>Measured</h2>
        <dl class="facts">
          {measures(report).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <Phases report={report} />
      <Rounds report={report} />
      <div class="columns">
        <Predicted report={report} />
        <Decisions report={report} />
      </div>
    </>
  );
}

function Phases({ report: { phases } }: { report: Report }) {
  const total = phases.reduce((sum, { ms }) => sum + ms, 0);
  if (total === 0) return null;
  return (
    <section class="panel">
      <h2>Phases</h2>
      <div class="phases" aria-hidden="true">
        {phases.map(({ phase, ms }, at) => (
          <i key={at} class={`ph-${phase}`} style={{ width: `${(ms / total) * 100}%` }} />
        ))}
      </div>
      <ul class="legend">
        {phases.map(({ phase, ms }, at) => (
          <li key={at}>
            <i class={`square ph-${phase}`} />
            {phase} <b class="number">{formatDuration(ms)}</b>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What a migration that goes on has come to so far. */
function soFar(progress: Progress): Partial<Record<Figure, number>> {
  const { sample, elapsedMs } = progress;
  if (sample === undefined) return { totalMs: elapsedMs };
  return {
    totalMs: elapsedMs,
    bytes: sample.transferredBytes,
    memoryMs: sample.totalMs,
    rounds: sample.round,
    ...(sample.downtimeMs === undefined ? {} : { downtimeMs: sample.downtimeMs }),
  };
}

/** The prediction next to the result, or, with `progress`, next to the figures so far. */
export function Predicted({
  report,
  progress,
}: {
  report: Report;
  progress?: Progress | undefined;
}) {
  const { prediction } = report;
  if (prediction === undefined)
    return (
      <section class="panel">
        <h2>Predicted</h2>
        <p class="soft">
          No prediction: no plan was made shortly before the migration.{' '}
          <code>godwit migrate --dry-run</code> makes one.
        </p>
      </section>
    );
  const actual = progress === undefined ? cameTo(report) : soFar(progress);
  return (
    <section class="panel">
      <h2>Predicted, and {progress === undefined ? 'the result' : 'so far'}</h2>
      <Scrolls label="Predicted">
        <table class="list">
          <thead>
            <tr>
              <th>Figure</th>
              <th class="right">Expected</th>
              <th>Range of {percentText(prediction.level)}</th>
              <th class="right">{progress === undefined ? 'Result' : 'So far'}</th>
            </tr>
          </thead>
          <tbody>
            {predictedRows(prediction).map(([name, range, format, key]) => {
              const amount = actual[key];
              const isOut =
                progress === undefined &&
                amount !== undefined &&
                (amount < range.low || amount > range.high);
              return (
                <tr key={name}>
                  <td>{name}</td>
                  <td class="right">{format(range.middle)}</td>
                  <td>
                    <span class="soft number">
                      {format(range.low)} to {format(range.high)}
                    </span>
                    <RangeBar range={range} amount={amount} />
                  </td>
                  <td class={isOut ? 'right warn' : 'right'}>
                    {amount === undefined ? '–' : format(amount)}
                    {isOut ? ' (outside)' : ''}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scrolls>
      <p class="soft">
        It ends by itself: {percentText(prediction.converges.probability)};{' '}
        {prediction.converges.why}
      </p>
    </section>
  );
}

/** The range as a bar, what is expected as a line in it, and the result as a dot, with the figures next to it. */
function RangeBar({
  range: { low, middle, high },
  amount,
}: {
  range: Range;
  amount: number | undefined;
}) {
  const most = Math.max(high, amount ?? 0) * 1.06 || 1;
  const at = (value: number): string => `${(value / most) * 100}%`;
  return (
    <span class="range-bar" aria-hidden="true">
      <i class="within" style={{ left: at(low), width: at(high - low) }} />
      <i class="middle" style={{ left: at(middle) }} />
      {amount === undefined ? null : <i class="came" style={{ left: at(amount) }} />}
    </span>
  );
}

/** Newest last, each with when it was taken. */
export function Decisions({ report: { decisions, outcome } }: { report: Report }) {
  return (
    <section class="panel">
      <h2>Decisions</h2>
      {decisions.length === 0 ? (
        <p class="soft">{outcome === 'running' ? 'none so far' : 'none were needed'}</p>
      ) : (
        <ol class="decisions">
          {decisions.map(({ atMs, what }, at) => (
            <li key={at}>
              <span class="soft number">{formatDuration(atMs)}</span> <span>{what}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Rounds({ report: { roundList, decisions } }: { report: Report }) {
  if (roundList.length === 0) return null;
  const sent = sentInRounds(roundList);
  const isThrottled = roundList.some(({ throttlePercent = 0 }) => throttlePercent > 0);
  const common = {
    x: roundList.map(({ atMs }) => atMs),
    xKind: 'number',
    xText: formatDuration,
    isBytes: true,
    height: 200,
    marks: decisions
      .filter(({ rule }) => rule !== undefined)
      .map(({ atMs, what }) => ({ x: atMs, words: what })),
  } as const;
  return (
    <section class="panel">
      <h2>Rounds</h2>
      <div class="chart-grid">
        <Chart
          {...common}
          x={roundList.map(({ round }) => round)}
          xText={(round) => `round ${round}`}
          xPad={0.6}
          marks={[]}
          label="Bytes sent in each round, and bytes left after it"
          text={formatBytes}
          lines={[
            { name: 'sent in the round', colour: '--rate', values: sent, kind: 'bars' },
            {
              name: 'left after it',
              colour: '--left',
              values: roundList.map(({ remainingBytes }) => remainingBytes),
              kind: 'bars',
            },
          ]}
        />
        <Chart
          {...common}
          label="Bandwidth and dirty rate at the end of each round, and how much the guest was slowed down"
          text={formatRate}
          rightText={(percent) => `${Math.round(percent)} %`}
          rightMost={100}
          lines={[
            { name: 'bandwidth', colour: '--rate', values: roundList.map(({ rate }) => rate) },
            {
              name: 'dirtied',
              colour: '--dirty',
              values: roundList.map(({ dirtyRate }) => dirtyRate),
              kind: 'dashed',
            },
            ...(isThrottled
              ? [
                  {
                    name: 'slowed down by',
                    colour: '--warn',
                    values: roundList.map(({ throttlePercent = 0 }) => throttlePercent),
                    kind: 'steps' as const,
                    axis: 'right' as const,
                  },
                ]
              : []),
          ]}
        />
      </div>
    </section>
  );
}

/** The address of the page is the link: whoever may sign in here sees the same. */
export function CopyLink() {
  const [said, setSaid] = useState('');
  const copy = (): void => {
    navigator.clipboard.writeText(location.href).then(
      () => setSaid('copied'),
      () => setSaid('the browser does not allow it; copy the address above'),
    );
  };
  return (
    <>
      <span class="soft" role="status">
        {said}
      </span>
      <button type="button" onClick={copy}>
        Copy the link
      </button>
    </>
  );
}

export function Download({ report }: { report: Report }) {
  const save = (text: string, type: string, ending: string): void => {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `${report.guest}-${report.id}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return (
    <>
      <button type="button" onClick={() => save(reportHtml(report), 'text/html', 'html')}>
        Download the report
      </button>
      <button
        type="button"
        onClick={() => save(JSON.stringify(report, undefined, 2), 'application/json', 'json')}
      >
        JSON
      </button>
    </>
  );
}
