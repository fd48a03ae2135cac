import type { AuditEntry } from '../../../src/protocol/controller/audit.ts';
import { argumentLines, isSince, MEANS, resultOf, SINCE } from '../audit/text.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { place, putQuery } from '../base/router.ts';
import { counted, momentText } from '../base/text.ts';
import { Shown } from '../components/loaded.tsx';
import { Empty } from '../components/notices.tsx';
import { Badge } from '../components/states.tsx';
import { Scrolls } from '../components/scrolls.tsx';

const PAGE = 100;
/** The newest entries are looked at again so often, ms; older ones do not change. */
const LOOK_MS = 10_000;
/** Arguments of more lines are folded. */
const OPEN_LINES = 3;

/** The audit log: the person, the change, the origin and the outcome of each request. */
export function AuditPage() {
  const { query } = place.value;
  const given = query.get('since');
  const since = isSince(given) ? given : undefined;
  const filter = ['who', 'what', 'cursor'].map((name) => [name, query.get(name) ?? ''] as const);
  const isNewest = !query.has('cursor');
  const found = useLoaded(
    (until) => {
      const asked = new URLSearchParams({ limit: String(PAGE) });
      for (const [name, value] of filter) if (value !== '') asked.set(name, value);
      if (since !== undefined)
        asked.set('since', new Date(Date.now() - SINCE[since]).toISOString());
      return ask<{ entries: AuditEntry[]; next?: string }>(`/v1/audit?${asked}`, { signal: until });
    },
    [filter.join(), since],
    isNewest ? LOOK_MS : undefined,
  );
  return (
    <div class="stack">
      <h1>Audit log</h1>
      <p class="soft">
        Each change is recorded here before it is made, and so is each refused attempt. This
        dashboard cannot change or remove an entry.
      </p>
      <Search />
      <Shown of={found} what="the audit log">
        {({ entries, next }) =>
          entries.length === 0 ? (
            <Empty title="No entry matches." />
          ) : (
            <section class="panel">
              <Rows entries={entries} />
              <div class="row">
                {isNewest ? null : (
                  <button type="button" onClick={() => putQuery({ cursor: undefined })}>
                    The newest
                  </button>
                )}
                {next === undefined ? null : (
                  <button type="button" onClick={() => putQuery({ cursor: next })}>
                    Older ones
                  </button>
                )}
              </div>
            </section>
          )
        }
      </Shown>
    </div>
  );
}

const SINCE_WORDS = { hour: 'the last hour', day: 'the last day', week: 'the last week' } as const;

function Search() {
  const { query } = place.value;
  const chosen = query.get('since');
  return (
    <div class="toolbar" role="search" aria-label="Audit log">
      <input
        type="search"
        value={query.get('who') ?? ''}
        placeholder="full name of the requester"
        aria-label="Full name of the requester"
        onChange={(event) => putQuery({ who: event.currentTarget.value, cursor: undefined })}
      />
      <input
        type="search"
        value={query.get('what') ?? ''}
        placeholder="action, such as createToken"
        aria-label="Action, such as createToken"
        onChange={(event) => putQuery({ what: event.currentTarget.value, cursor: undefined })}
      />
      <label class="row">
        <span class="soft">Of</span>
        <select
          value={isSince(chosen) ? chosen : ''}
          onChange={(event) => putQuery({ since: event.currentTarget.value, cursor: undefined })}
        >
          <option value="">everything</option>
          {Object.entries(SINCE_WORDS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

function Rows({ entries }: { entries: readonly AuditEntry[] }) {
  return (
    <Scrolls label="Entries">
      <table class="list audit">
        <thead>
          <tr>
            <th>When</th>
            <th>Who</th>
            <th>From</th>
            <th>What</th>
            <th>Result of the request</th>
            <th>Arguments</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <Row key={entry.id} entry={entry} />
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

function Row({ entry }: { entry: AuditEntry }) {
  const { at, who, role, by, from, what, route, unkept, controller } = entry;
  const { words, tone } = resultOf(entry);
  return (
    <tr>
      <td class="moment">{momentText(at)}</td>
      <td>
        <strong>{who}</strong>
        <p class="soft">{role === 'none' ? MEANS[by] : `${role}, ${MEANS[by]}`}</p>
      </td>
      <td>
        {from ?? 'this host'}
        <p class="soft">asked {controller}</p>
      </td>
      <td>
        {what}
        <p class="soft">{route}</p>
      </td>
      <td>
        <Badge tone={tone} glyph={tone}>
          {words}
        </Badge>
        {unkept === undefined ? null : (
          <p class="soft">{counted(unkept, 'refused attempt')} before it not kept</p>
        )}
      </td>
      <td>
        <Arguments of={entry.arguments} />
      </td>
    </tr>
  );
}

function Arguments({ of }: { of: string | undefined }) {
  if (of === undefined || of === '{}') return <span class="soft">–</span>;
  const lines = argumentLines(of);
  const list = (
    <ul class="arguments mono">
      {lines.map((line, at) => (
        <li key={at}>{line}</li>
      ))}
    </ul>
  );
  if (lines.length <= OPEN_LINES) return list;
  return (
    <details>
      <summary>{counted(lines.length, 'argument')}</summary>
      {list}
    </details>
  );
}
