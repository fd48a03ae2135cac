import type { FleetMigration } from '../../../src/protocol/controller/history.ts';
import { formatBytes, formatDuration } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { place, putQuery } from '../base/router.ts';
import { momentText } from '../base/text.ts';
import { heard } from '../moves/open.ts';
import { Shown } from '../components/loaded.tsx';
import { Empty } from '../components/notices.tsx';
import { OutcomeBadge } from '../components/outcomes.tsx';
import { Scrolls } from '../components/scrolls.tsx';

const OUTCOMES = ['done', 'failed', 'cancelled', 'held', 'lost', 'rehearsed'] as const;

/** Every migration of the fleet, newest first, whoever began it. */
export function MigrationsPage() {
  const { query } = place.value;
  const asked = new URLSearchParams();
  for (const name of ['guest', 'host', 'outcome', 'cursor']) {
    const value = query.get(name);
    if (value !== null && value !== '') asked.set(name, value);
  }
  const text = asked.toString();
  const found = useLoaded(
    (until) =>
      ask<{ migrations: FleetMigration[]; next?: string }>(`/v1/migrations?${text}`, {
        signal: until,
      }),
    [text, [...heard.value.values()].map(({ id, state }) => `${id} ${state}`).join()],
  );
  return (
    <div class="stack">
      <h1>Migrations</h1>
      <div class="toolbar" role="search" aria-label="Migrations">
        {(['guest', 'host'] as const).map((name) => (
          <input
            key={name}
            type="search"
            value={query.get(name) ?? ''}
            placeholder={`of the ${name}`}
            aria-label={`Of the ${name}`}
            onChange={(event) => putQuery({ [name]: event.currentTarget.value, cursor: undefined })}
          />
        ))}
        <label class="row">
          <span class="soft">Outcome</span>
          <select
            value={query.get('outcome') ?? ''}
            onChange={(event) =>
              putQuery({ outcome: event.currentTarget.value, cursor: undefined })
            }
          >
            <option value="">any</option>
            {OUTCOMES.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Shown of={found} what="migrations">
        {({ migrations, next }) =>
          migrations.length === 0 ? (
            <Empty title="No migration matches." />
          ) : (
            <section class="panel">
              <Rows migrations={migrations} />
              {next === undefined ? null : (
                <button type="button" onClick={() => putQuery({ cursor: next })}>
                  Older ones
                </button>
              )}
            </section>
          )
        }
      </Shown>
    </div>
  );
}

function Rows({ migrations }: { migrations: readonly FleetMigration[] }) {
  const ms = (value: number | undefined): string =>
    value === undefined ? '–' : formatDuration(value);
  return (
    <Scrolls label="Migrations">
      <table class="list">
        <thead>
          <tr>
            <th>Guest</th>
            <th>From, to</th>
            <th>State</th>
            <th class="right">Took</th>
            <th class="right">Downtime</th>
            <th class="right">Client gap</th>
            <th class="right">Sent</th>
            <th>Began</th>
          </tr>
        </thead>
        <tbody>
          {migrations.map((each) => (
            <tr key={each.id}>
              <td>
                <a href={`/migrations/${each.id}`}>{each.guest}</a>
              </td>
              <td class="whole">
                {each.source} → {each.destination}
              </td>
              <td>
                <OutcomeBadge outcome={each.outcome} />
              </td>
              <td class="right">{ms(each.totalMs)}</td>
              <td class="right">{ms(each.downtimeMs)}</td>
              <td class="right">{ms(each.clientGapMs)}</td>
              <td class="right">{each.bytes === undefined ? '–' : formatBytes(each.bytes)}</td>
              <td class="moment">{momentText(each.startedAt)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}
