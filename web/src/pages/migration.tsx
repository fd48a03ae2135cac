import { useEffect, useRef, useState } from 'preact/hooks';
import { phaseWords } from '../../../src/cli/render/progress.ts';
import { reportHtml } from '../../../src/cli/render/report-html.ts';
import { measures } from '../../../src/cli/render/summary.ts';
import type { FleetMigrationDetail } from '../../../src/protocol/controller/history.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import { formatBytes, formatDuration, formatRate } from '../../../src/protocol/quantity.ts';
import { ask, asProblem } from '../base/http.ts';
import type { Problem } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { momentText } from '../base/words.ts';
import { heard } from '../moves/open.ts';
import { NOTHING, percentAfter } from '../moves/percent.ts';
import { Chart } from '../parts/chart.tsx';
import { Shown } from '../parts/loaded.tsx';
import { Bar } from '../parts/meter.tsx';
import { ProblemNote } from '../parts/notices.tsx';
import { OutcomeBadge } from './migrations.tsx';

const LOOK_MS = 1000;

/** One migration: live while it is open, its report afterwards. */
export function MigrationPage({ id }: { id: string }) {
  const told = heard.value.get(id);
  const [isOver, setOver] = useState(false);
  const found = useLoaded(
    (until) =>
      ask<FleetMigrationDetail>(`/v1/migrations/${encodeURIComponent(id)}`, { signal: until }),
    [id, told?.state],
    isOver ? undefined : LOOK_MS,
  );
  const state = found.value?.state;
  useEffect(() => setOver(state === 'ended'), [state]);
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/migrations">Migrations</a> / <span aria-current="page">{id}</span>
      </nav>
      <Shown of={found} what="the migration" lines={5}>
        {(migration) => <Migration migration={migration} />}
      </Shown>
      {found.value === undefined && found.problem !== undefined ? <h1>{id}</h1> : null}
    </div>
  );
}

function Migration({ migration }: { migration: FleetMigrationDetail }) {
  const { guest, source, destination, report, withoutReport, words, code } = migration;
  const isOpen = migration.state === 'open';
  return (
    <>
      <header class="head-row">
        <h1>
          <a href={`/guests/${guest}`}>{guest}</a>{' '}
          <span class="soft">
            {source} → {destination}
          </span>
        </h1>
        <OutcomeBadge migration={migration} />
        <span class="grow" />
        {isOpen && mayOperate() ? <Cancel id={migration.id} source={source} /> : null}
        {report === undefined || isOpen ? null : <Download report={report} />}
      </header>
      {isOpen ? <Live migration={migration} /> : null}
      {words === undefined ? null : (
        <div class={migration.outcome === 'cancelled' ? 'notice' : 'notice bad'}>
          <div>
            <strong>{words}</strong>
            <p class="soft">
              <code>{code}</code>
            </p>
          </div>
        </div>
      )}
      {withoutReport === undefined ? null : <p class="soft">{withoutReport}</p>}
      {report === undefined ? null : <ReportView report={report} />}
      <p class="soft">
        Began {momentText(migration.startedAt)}
        {migration.by === undefined ? '' : `, asked by ${migration.by}`}{' '}
        {migration.wish === undefined ? null : (
          <a href={`/wishes/${migration.wish}`}>what asked for it</a>
        )}
      </p>
    </>
  );
}

function Live({ migration }: { migration: FleetMigrationDetail }) {
  const { progress, percent = 0, step } = migration;
  const shown = useRef(NOTHING);
  if (progress !== undefined) shown.current = percentAfter(shown.current, progress);
  const now = Math.floor(Math.max(shown.current.percent, percent));
  shown.current = { ...shown.current, percent: Math.max(shown.current.percent, percent) };
  const phase = progress?.phase ?? step;
  return (
    <section class="panel stack">
      <div class="row">
        <span class="percent number">{now} %</span>
        <span class="big-words">{phase === undefined ? 'begun' : phaseWords(phase)}</span>
      </div>
      <Bar
        percent={now}
        label="How far the migration is"
        tone={shown.current.heads === 'back' ? 'warn' : 'accent'}
      />
      {progress === undefined ? null : (
        <p class="soft number">
          {formatDuration(progress.elapsedMs)} so far
          {progress.etaMs === undefined ? '' : `, about ${formatDuration(progress.etaMs)} to go`}
          {progress.note === undefined ? '' : ` · ${progress.note}`}
        </p>
      )}
    </section>
  );
}

function ReportView({ report }: { report: Report }) {
  const total = report.phases.reduce((sum, { ms }) => sum + ms, 0);
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
      {total === 0 ? null : (
        <section class="panel">
          <h2>Phases</h2>
          <div class="phases" aria-hidden="true">
            {report.phases.map(({ ms }, at) => (
              <i key={at} class={`p${at % 8}`} style={{ width: `${(ms / total) * 100}%` }} />
            ))}
          </div>
          <ul class="legend">
            {report.phases.map(({ phase, ms }, at) => (
              <li key={at}>
                <i class={`square p${at % 8}`} />
                {phase} <b class="number">{formatDuration(ms)}</b>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Rounds report={report} />
      <section class="panel">
        <h2>Decisions</h2>
        {report.decisions.length === 0 ? (
          <p class="soft">none had to be taken</p>
        ) : (
          <ol class="decisions">
            {report.decisions.map(({ atMs, what }, at) => (
              <li key={at}>
                <span class="soft number">{formatDuration(atMs)}</span> <span>{what}</span>
              </li>
            ))}
          </ol>
        )}
      </section>
    </>
  );
}

function Rounds({ report: { roundList, decisions } }: { report: Report }) {
  if (roundList.length === 0) return null;
  const sent = roundList.map(({ transferredBytes }, at) =>
    Math.max(0, transferredBytes - (roundList[at - 1]?.transferredBytes ?? 0)),
  );
  return (
    <section class="panel">
      <h2>Rounds</h2>
      <Chart
        label="Sent and remaining memory, and rates, by the end of each round"
        x={roundList.map(({ atMs }) => atMs)}
        xKind="number"
        xText={formatDuration}
        text={formatBytes}
        rightText={formatRate}
        height={220}
        isBytes
        marks={decisions
          .filter(({ rule }) => rule !== undefined)
          .map(({ atMs, what }) => ({ x: atMs, words: what }))}
        lines={[
          { name: 'sent in the round', colour: '--rate', values: sent, kind: 'bars' },
          {
            name: 'left after it',
            colour: '--left',
            values: roundList.map(({ remainingBytes }) => remainingBytes),
            kind: 'bars',
          },
          {
            name: 'rate',
            colour: '--rate',
            values: roundList.map(({ rate }) => rate),
            axis: 'right',
          },
          {
            name: 'dirty rate',
            colour: '--dirty',
            values: roundList.map(({ dirtyRate }) => dirtyRate),
            axis: 'right',
          },
        ]}
      />
    </section>
  );
}

function Download({ report }: { report: Report }) {
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

function Cancel({ id, source }: { id: string; source: string }) {
  const [problem, setProblem] = useState<Problem>();
  const dialog = useRef<HTMLDialogElement>(null);
  const confirm = (): void => {
    ask(`/v1/migrations/${encodeURIComponent(id)}/cancel`, { method: 'POST' })
      .then(() => dialog.current?.close())
      .catch((thrown: unknown) => setProblem(asProblem(thrown)));
  };
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        Cancel…
      </button>
      <dialog ref={dialog} aria-labelledby="cancel-title">
        <div class="stack">
          <h2 id="cancel-title">Cancel this migration?</h2>
          <p>
            It is rolled back, and the guest runs on at {source}. Once its switch has begun that is
            refused.
          </p>
          {problem === undefined ? null : <ProblemNote problem={problem} />}
          <div class="row">
            <button type="button" class="danger" onClick={confirm}>
              Roll it back
            </button>
            <button type="button" onClick={() => dialog.current?.close()}>
              Let it go on
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}
