import type { FleetGuest } from '../../../src/protocol/controller/fleet.ts';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { place, putQuery } from '../base/router.ts';
import { guestsPath, isFiltered, usedText } from '../fleet/guest-query.ts';
import { Shown } from '../components/loaded.tsx';
import { Empty } from '../components/notices.tsx';
import { Scrolls } from '../components/scrolls.tsx';
import { Badge, GUEST_WORDS, GuestBadge, HostBadge } from '../components/states.tsx';

const LOOK_MS = 10_000;
const STATES = Object.keys(GUEST_WORDS) as (keyof typeof GUEST_WORDS)[];

/** Every guest of the fleet: its host, its load, and whether it can move. */
export function GuestsPage() {
  const { query } = place.value;
  const path = guestsPath(query);
  const found = useLoaded(
    (until) => ask<{ guests: FleetGuest[]; next?: string }>(path, { signal: until }),
    [path],
    LOOK_MS,
  );
  const hasCursor = query.has('cursor');
  return (
    <div class="stack">
      <h1>Guests</h1>
      <Filters query={query} />
      <Shown of={found} what="guests">
        {({ guests, next }) => (
          <>
            {guests.length === 0 && next === undefined ? (
              <None isAsked={isFiltered(query)} />
            ) : (
              <section class="panel">
                <Rows guests={guests} />
              </section>
            )}
            <div class="row">
              {hasCursor ? (
                <button type="button" onClick={() => putQuery({ cursor: undefined })}>
                  First page
                </button>
              ) : null}
              {next === undefined ? null : (
                <button type="button" onClick={() => putQuery({ cursor: next })}>
                  Next page
                </button>
              )}
            </div>
          </>
        )}
      </Shown>
    </div>
  );
}

function None({ isAsked }: { isAsked: boolean }) {
  return isAsked ? (
    <Empty title="No guest matches." />
  ) : (
    <Empty title="No guests yet.">
      <p>The guests of each host are listed here once the controller has reached the host.</p>
    </Empty>
  );
}

function Filters({ query }: { query: URLSearchParams }) {
  const put = (name: string) => (event: { currentTarget: { value: string } }) =>
    putQuery({ [name]: event.currentTarget.value.trim(), cursor: undefined });
  const field = (name: string, words: string) => (
    <input
      type="search"
      value={query.get(name) ?? ''}
      placeholder={words}
      aria-label={words}
      spellcheck={false}
      onInput={name === 'find' ? put(name) : undefined}
      onChange={put(name)}
    />
  );
  return (
    <div class="toolbar" role="search" aria-label="Guests">
      {field('find', 'Part of the name')}
      {field('host', 'On host')}
      {field('label', 'Label or NAME=VALUE')}
      <label class="row">
        <span class="soft">State</span>
        <select value={query.get('state') ?? ''} onChange={put('state')}>
          <option value="">any</option>
          {STATES.map((each) => (
            <option key={each} value={each}>
              {GUEST_WORDS[each]}
            </option>
          ))}
        </select>
      </label>
      <label class="row">
        <span class="soft">Can move</span>
        <select value={query.get('movable') ?? ''} onChange={put('movable')}>
          <option value="">any</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      </label>
    </div>
  );
}

function Rows({ guests }: { guests: readonly FleetGuest[] }) {
  return (
    <Scrolls label="Guests">
      <table class="list">
        <thead>
          <tr>
            <th>Guest</th>
            <th>Host</th>
            <th>State</th>
            <th class="right">CPU in use</th>
            <th class="right">Memory</th>
            <th>Can move</th>
            <th>Labels</th>
          </tr>
        </thead>
        <tbody>
          {guests.map((guest) => (
            <Row key={`${guest.name} ${guest.uuid} ${guest.host}`} guest={guest} />
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

function Row({ guest }: { guest: FleetGuest }) {
  const { name, host, hostState, state, load, vcpus, memoryBytes, labels = {} } = guest;
  return (
    <tr>
      <td>
        <a href={`/guests/${name}`}>{name}</a>
        {guest.alsoClaimedBy === undefined ? null : (
          <p class="bad">also claimed by {guest.alsoClaimedBy.join(', ')}</p>
        )}
      </td>
      <td class="whole">
        <a href={`/hosts/${host}`}>{host}</a>{' '}
        {hostState === 'up' ? null : <HostBadge state={hostState} />}
      </td>
      <td>
        {guest.migration === undefined ? (
          <GuestBadge state={state} />
        ) : (
          <a href={`/migrations/${guest.migration}`}>
            <GuestBadge state={state} />
          </a>
        )}
      </td>
      <td class="right">{usedText(load?.cores, vcpus)}</td>
      <td class="right">{memoryBytes === undefined ? '–' : formatBytes(memoryBytes)}</td>
      <td class="words">
        <CanMove guest={guest} />
      </td>
      <td class="labels">
        {Object.entries(labels).map(([label, value]) => (
          <code key={label}>{value === '' ? label : `${label}=${value}`}</code>
        ))}
      </td>
    </tr>
  );
}

function CanMove({ guest: { unmovable } }: { guest: FleetGuest }) {
  const [first, ...more] = unmovable ?? [];
  if (first === undefined)
    return (
      <Badge tone="good" glyph="good">
        yes
      </Badge>
    );
  return (
    <>
      <Badge tone="warn" glyph="stay">
        no
      </Badge>{' '}
      {first}
      {more.length === 0 ? '' : `; ${more.length} more`}
    </>
  );
}
