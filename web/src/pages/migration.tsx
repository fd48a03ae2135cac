import type { FleetMigrationDetail } from '../../../src/protocol/controller/history.ts';
import { mayOperate } from '../base/session.ts';
import { momentText } from '../base/text.ts';
import type { WatchedMigration } from '../moves/watched.ts';
import { useMigration } from '../moves/watch.ts';
import { Shown } from '../components/loaded.tsx';
import { OutcomeBadge } from '../components/outcomes.tsx';
import { CancelMigration } from './migration-cancel.tsx';
import { LoadAroundMove } from './guest-load.tsx';
import { LiveView, Memory } from './migration-live.tsx';
import { CopyLink, Download, ReportView } from './migration-report.tsx';

/** One migration: live while it is open, its report afterwards. */
export function MigrationPage({ id }: { id: string }) {
  const { found, watched } = useMigration(id);
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/migrations">Migrations</a> / <span aria-current="page">{id}</span>
      </nav>
      <Shown of={found} what="the migration" lines={5}>
        {(migration) => <Migration migration={migration} watched={watched} />}
      </Shown>
      {found.value === undefined && found.problem !== undefined ? <h1>{id}</h1> : null}
    </div>
  );
}

function Migration({
  migration,
  watched,
}: {
  migration: FleetMigrationDetail;
  watched: WatchedMigration;
}) {
  const { guest, source, destination, withoutReport, words, code } = migration;
  const isOpen = migration.state === 'open' && !watched.isOver;
  const { report = migration.report } = watched;
  return (
    <>
      <header class="head-row">
        <h1>
          <a href={`/guests/${guest}`}>{guest}</a>{' '}
          <span class="soft">
            {source} → {destination}
          </span>
        </h1>
        <OutcomeBadge outcome={migration.outcome} />
        <span class="grow" />
        {isOpen && mayOperate() ? (
          <CancelMigration
            id={migration.id}
            request={migration.request}
            at={{
              phase: watched.progress?.phase ?? migration.step ?? 'planned',
              from: source,
              to: destination,
            }}
          />
        ) : null}
        <CopyLink />
        {report === undefined || isOpen ? null : <Download report={report} />}
      </header>
      {isOpen ? <LiveView migration={migration} watched={watched} /> : null}
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
      {withoutReport === undefined || isOpen ? null : <p class="soft">{withoutReport}</p>}
      {isOpen || watched.points.length < 2 ? null : <Memory points={watched.points} />}
      {report === undefined || isOpen ? null : <ReportView report={report} />}
      {report?.endedAt === undefined || isOpen ? null : (
        <LoadAroundMove
          guest={guest}
          stretch={{ startMs: Date.parse(report.startedAt), endMs: Date.parse(report.endedAt) }}
        />
      )}
      <p class="soft">
        Began {momentText(migration.startedAt)}
        {migration.by === undefined ? '' : `, requested by ${migration.by}`}{' '}
        {migration.request === undefined ? null : (
          <a href={`/requests/${migration.request}`}>what asked for it</a>
        )}
      </p>
    </>
  );
}
