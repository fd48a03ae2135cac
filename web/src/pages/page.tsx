import { useEffect } from 'preact/hooks';
import { match } from '../base/paths.ts';
import { place } from '../base/router.ts';
import { Empty } from '../components/notices.tsx';
import { AuditPage } from './audit.tsx';
import { FleetPage } from './fleet.tsx';
import { GuestPage } from './guest.tsx';
import { GuestsPage } from './guests.tsx';
import { HostPage } from './host.tsx';
import { InsightPage } from './insight.tsx';
import { MigrationPage } from './migration.tsx';
import { MigrationsPage } from './migrations.tsx';
import { NewRequestPage } from './request-new.tsx';
import { ProposalsPage } from './proposals.tsx';
import { RequestPage } from './request.tsx';
import { RequestsPage } from './requests.tsx';

interface PageRoute {
  readonly pattern: string;
  readonly title: (names: Record<string, string>) => string;
  readonly show: (names: Record<string, string>) => preact.JSX.Element;
}

/** Every page of the dashboard, by its path. */
const PAGES: readonly PageRoute[] = [
  { pattern: '/', title: () => 'Fleet', show: () => <FleetPage /> },
  {
    pattern: '/hosts/:name',
    title: ({ name = '' }) => name,
    show: ({ name = '' }) => <HostPage name={name} />,
  },
  { pattern: '/guests', title: () => 'Guests', show: () => <GuestsPage /> },
  {
    pattern: '/guests/:name',
    title: ({ name = '' }) => name,
    show: ({ name = '' }) => <GuestPage name={name} />,
  },
  { pattern: '/migrations', title: () => 'Migrations', show: () => <MigrationsPage /> },
  {
    pattern: '/migrations/:id',
    title: ({ id = '' }) => id,
    show: ({ id = '' }) => <MigrationPage id={id} />,
  },
  { pattern: '/insight', title: () => 'History and insight', show: () => <InsightPage /> },
  { pattern: '/audit', title: () => 'Audit log', show: () => <AuditPage /> },
  { pattern: '/proposals', title: () => 'Proposals', show: () => <ProposalsPage /> },
  { pattern: '/requests', title: () => 'Drains and moves', show: () => <RequestsPage /> },
  { pattern: '/requests/new', title: () => 'Ask', show: () => <NewRequestPage /> },
  {
    pattern: '/requests/:id',
    title: ({ id = '' }) => id,
    show: ({ id = '' }) => <RequestPage id={id} />,
  },
];

export function Page() {
  const { path } = place.value;
  for (const { pattern, title, show } of PAGES) {
    const names = match(pattern, path);
    if (names !== undefined)
      return (
        <Titled key={path} title={title(names)}>
          {show(names)}
        </Titled>
      );
  }
  return (
    <Titled title="No such page">
      <h1>No such page</h1>
      <Empty title={`There is no page at ${path}.`}>
        <p>
          Go to <a href="/">the fleet</a>.
        </p>
      </Empty>
    </Titled>
  );
}

function Titled({ title, children }: { title: string; children: preact.ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Godwit`;
  }, [title]);
  return <>{children}</>;
}
