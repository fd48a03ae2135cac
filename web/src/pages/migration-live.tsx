import { phaseWords } from '../../../src/words/progress.ts';
import type { FleetMigrationDetail } from '../../../src/protocol/controller/history.ts';
import type { Progress } from '../../../src/protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../../src/protocol/quantity.ts';
import { stepsOf, type Step } from '../moves/steps.ts';
import type { Point, WatchedMigration } from '../moves/watched.ts';
import { Chart } from '../components/chart.tsx';
import { Icon } from '../components/icons.tsx';
import { Bar } from '../components/meter.tsx';
import { Decisions, Predicted } from './migration-report.tsx';

/** A running migration: its progress, its path, and its memory. */
export function LiveView({
  migration,
  watched,
}: {
  migration: FleetMigrationDetail;
  watched: WatchedMigration;
}) {
  const { shown, progress, report, points, silent } = watched;
  const phase = progress?.phase ?? migration.step ?? 'planned';
  const now = Math.floor(shown.percent);
  return (
    <>
      <section class="panel stack" aria-label="Progress">
        <div class="row">
          <span class="percent number">{now} %</span>
          <span class="big-words" aria-live="polite">
            {phaseWords(phase)}
          </span>
          <span class="grow" />
          {progress === undefined ? null : <Times progress={progress} />}
        </div>
        <Bar
          percent={shown.percent}
          label="Progress of the migration"
          tone={shown.heads === 'back' ? 'warn' : 'accent'}
        />
        <Steps steps={stepsOf({ now: phase, mode: migration.mode, gone: report?.phases ?? [] })} />
        {progress?.note === undefined ? null : (
          <p class="row now-decided">
            <Icon of="wait" size={13} />
            {progress.note}
          </p>
        )}
        {silent === undefined ? null : (
          <p class="notice warn" role="status">
            No report at the moment: {silent}. The migration continues.
          </p>
        )}
      </section>
      {points.length === 0 ? null : <Memory points={points} />}
      {report === undefined ? null : (
        <div class="columns">
          <Predicted report={report} progress={progress} />
          <Decisions report={report} />
        </div>
      )}
    </>
  );
}

function Times({ progress: { elapsedMs, etaMs } }: { progress: Progress }) {
  return (
    <span class="soft number">
      {formatDuration(elapsedMs)} so far
      {etaMs === undefined ? '' : `, about ${formatDuration(etaMs)} to go`}
    </span>
  );
}

const STATES = { gone: 'done', now: 'under way', ahead: 'to come' } as const;

function Steps({ steps }: { steps: readonly Step[] }) {
  return (
    <ol class="steps" aria-label="Its steps">
      {steps.map(({ phase, state, ms }) => (
        <li key={phase} class={state} aria-current={state === 'now' ? 'step' : undefined}>
          <i aria-hidden="true" />
          <span>
            {phase}
            <span class="hidden">: {STATES[state]}</span>
          </span>
          <b class="number">{ms === undefined ? '' : formatDuration(ms)}</b>
        </li>
      ))}
    </ol>
  );
}

/** What memory did by the second. It stays with the report, which has it by rounds. */
export function Memory({ points }: { points: readonly Point[] }) {
  const round = points.at(-1)?.round ?? 0;
  const x = points.map(({ atMs }) => atMs);
  // Where a round began.
  const marks = points.flatMap((point, at) =>
    at > 0 && point.round > (points[at - 1]?.round ?? 0)
      ? [{ x: point.atMs, words: `round ${point.round}` }]
      : [],
  );
  const isThrottled = points.some(({ throttle }) => throttle > 0);
  const common = { x, xKind: 'number', xText: formatDuration, isBytes: true, marks } as const;
  return (
    <section class="panel">
      <div class="row">
        <h2>Memory</h2>
        <span class="soft">
          round {round}
          {marks.length === 0 ? '' : '; a dotted line marks the start of a round'}
        </span>
      </div>
      <div class="chart-grid">
        <Chart
          {...common}
          label="Remaining memory and total bytes sent, by the time since the request"
          text={formatBytes}
          height={200}
          lines={[
            {
              name: 'left to send',
              colour: '--left',
              values: points.map(({ leftBytes }) => leftBytes),
              kind: 'area',
            },
            {
              name: 'sent in all',
              colour: '--rate',
              values: points.map(({ sentBytes }) => sentBytes),
            },
          ]}
        />
        <Chart
          {...common}
          label="Transfer rate and dirty rate, and how much the guest is slowed down"
          text={formatRate}
          rightText={(percent) => `${Math.round(percent)} %`}
          rightMost={100}
          height={200}
          lines={[
            { name: 'bandwidth', colour: '--rate', values: points.map(({ rate }) => rate) },
            {
              name: 'dirtied',
              colour: '--dirty',
              values: points.map(({ dirtyRate }) => dirtyRate),
              kind: 'dashed',
            },
            ...(isThrottled
              ? [
                  {
                    name: 'slowed down by',
                    colour: '--warn',
                    values: points.map(({ throttle }) => throttle),
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
