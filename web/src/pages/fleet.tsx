import { useMemo } from 'preact/hooks';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { isUnreachable, Problem } from '../base/http.ts';
import { go, place, putQuery } from '../base/router.ts';
import { mayOperate } from '../base/session.ts';
import { count, counted, percentText } from '../base/text.ts';
import { fleet, loaded, look, revision, shape } from '../fleet/fleet.ts';
import {
  hostsFor,
  ORDERS,
  totalsOf,
  type Filter,
  type Order,
  type StateFilter,
  type Totals,
} from '../fleet/filter.ts';
import { picked, pickNone } from '../fleet/picked.ts';
import { Icon } from '../components/icons.tsx';
import { Empty, Loading, ProblemNote } from '../components/notices.tsx';
import { HOST_STATES } from '../components/states.tsx';
import { HostCards } from './fleet-cards.tsx';
import { HostTable } from './fleet-table.tsx';

const SHOWN = new Set<string>([...Object.keys(HOST_STATES), 'draining', 'attention']);

/** What the address says is to be shown: a link to a filtered fleet can be sent. */
function filterIn(query: URLSearchParams): Filter {
  const [shown, order] = [query.get('show') ?? '', query.get('order') ?? ''];
  return {
    text: query.get('find') ?? '',
    shown: SHOWN.has(shown) ? (shown as StateFilter) : undefined,
    order: ORDERS.includes(order as Order) ? (order as Order) : 'name',
  };
}

export function FleetPage() {
  const now = loaded.value;
  return (
    <div class="stack">
      <h1 class="hidden">Fleet</h1>
      {now instanceof Problem && !isUnreachable(now) ? (
        <ProblemNote problem={now} again={() => void look(new AbortController().signal, true)} />
      ) : null}
      {now === 'no' || (now instanceof Problem && isUnreachable(now)) ? (
        <Loading what="the fleet" lines={6} />
      ) : null}
      {now === 'yes' ? <Fleet /> : null}
    </div>
  );
}

function Fleet() {
  const filter = filterIn(place.value.query);
  const { text, shown, order } = filter;
  // By name the order stands while figures change; by a figure it is made anew with each look.
  const drawn = order === 'name' ? shape.value : revision.value;
  const totals = useMemo(() => totalsOf(fleet.hosts.values()), [revision.value]);
  const hosts = useMemo(
    () => hostsFor(fleet.hosts.values(), { text, shown, order }).map(({ name }) => name),
    [drawn, text, shown, order],
  );
  if (totals.hosts === 0) {
    return (
      <Empty title="No hosts yet.">
        <p>
          This controller follows the members of its fleet’s signed list, and the <code>hosts</code>{' '}
          of its configuration.
        </p>
      </Empty>
    );
  }
  const isTable = place.value.query.get('view') === 'table';
  return (
    <>
      <Figures totals={totals} />
      <Conflicts />
      <Toolbar totals={totals} filter={filter} isTable={isTable} />
      {hosts.length === 0 ? (
        <Empty title="No host matches.">
          <button type="button" onClick={() => putQuery({ find: undefined, show: undefined })}>
            Show all {count(totals.hosts)} hosts
          </button>
        </Empty>
      ) : isTable ? (
        <HostTable names={hosts} />
      ) : (
        <HostCards names={hosts} />
      )}
      <PickedBar />
    </>
  );
}

function Figures({ totals }: { totals: Totals }) {
  const up = totals.byState.get('up') ?? 0;
  const memory = totals.memoryBytes === 0 ? undefined : totals.memoryUsedBytes / totals.memoryBytes;
  const processor = totals.cores === 0 ? undefined : totals.coresUsed / totals.cores;
  return (
    <dl class="figures panel">
      <Figure name="Hosts up" value={`${count(up)}`} beside={`of ${count(totals.hosts)}`} />
      <Figure
        name="Guests"
        value={count(totals.guests)}
        beside={totals.moving > 0 ? `${count(totals.moving)} moving now` : 'none moving'}
      />
      <Figure
        name="Memory in use"
        value={memory === undefined ? '–' : percentText(memory)}
        beside={
          memory === undefined
            ? 'not known'
            : `${formatBytes(totals.memoryUsedBytes)} of ${formatBytes(totals.memoryBytes)}`
        }
      />
      <Figure
        name="Processors in use"
        value={processor === undefined ? '–' : percentText(processor)}
        beside={processor === undefined ? 'not known' : `of ${counted(totals.cores, 'core')}`}
      />
    </dl>
  );
}

function Figure({ name, value, beside }: { name: string; value: string; beside: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <b class="number">{value}</b> <span class="soft number">{beside}</span>
      </dd>
    </div>
  );
}

/** Two hosts that run one guest: there is nothing more urgent in a fleet. */
function Conflicts() {
  void shape.value;
  if (fleet.conflicts.size === 0) return null;
  return (
    <div class="notice bad" role="alert">
      <Icon of="warn" size={18} />
      <div>
        <strong>Several hosts report that they run the same guest. Check them now.</strong>
        <ul>
          {[...fleet.conflicts].map(([name, hosts]) => (
            <li key={name}>
              <a href={`/guests/${name}`}>{name}</a> on {hosts.join(', ')}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

const ORDER_WORDS: Readonly<Record<Order, string>> = {
  name: 'name',
  processor: 'processor, busiest first',
  memory: 'memory, fullest first',
  pressure: 'pressure, highest first',
  guests: 'guests, most first',
};

function Toolbar({
  totals,
  filter,
  isTable,
}: {
  totals: Totals;
  filter: Filter;
  isTable: boolean;
}) {
  const { shown } = filter;
  const up = totals.byState.get('up') ?? 0;
  const states = [...totals.byState].filter(([state]) => state !== 'up');
  return (
    <div class="toolbar" role="search" aria-label="Hosts">
      <input
        type="search"
        value={filter.text}
        placeholder="Find a host or a guest"
        aria-label="Find a host or a guest"
        onInput={(event) => putQuery({ find: event.currentTarget.value })}
      />
      <div class="row chips" role="group" aria-label="Show">
        <Chip words="all" amount={totals.hosts} of={undefined} now={shown} />
        <Chip words="up" amount={up} of="up" now={shown} />
        {totals.draining > 0 || shown === 'draining' ? (
          <Chip words="draining" amount={totals.draining} of="draining" now={shown} />
        ) : null}
        {states.map(([state, amount]) => (
          <Chip
            key={state}
            words={HOST_STATES[state].word}
            amount={amount}
            of={state}
            now={shown}
          />
        ))}
      </div>
      <span class="grow" />
      <label class="row inline">
        <span class="soft">Order</span>
        <select
          value={filter.order}
          onChange={(event) =>
            putQuery({
              order: event.currentTarget.value === 'name' ? undefined : event.currentTarget.value,
            })
          }
        >
          {ORDERS.map((order) => (
            <option key={order} value={order}>
              {ORDER_WORDS[order]}
            </option>
          ))}
        </select>
      </label>
      <div class="switch" role="group" aria-label="Drawn as">
        <button type="button" aria-pressed={!isTable} onClick={() => putQuery({ view: undefined })}>
          <Icon of="cards" /> Cards
        </button>
        <button type="button" aria-pressed={isTable} onClick={() => putQuery({ view: 'table' })}>
          <Icon of="table" /> Table
        </button>
      </div>
    </div>
  );
}

function Chip({
  words,
  amount,
  of,
  now,
}: {
  words: string;
  amount: number;
  of: StateFilter;
  now: StateFilter;
}) {
  const glyph = of === undefined || of === 'attention' ? undefined : of;
  const tone =
    glyph === undefined ? 'calm' : glyph === 'draining' ? 'warn' : HOST_STATES[glyph].tone;
  return (
    <button
      type="button"
      class={`chip ${tone}`}
      aria-pressed={of === now}
      onClick={() => putQuery({ show: of })}
    >
      {glyph === undefined ? null : <Icon of={glyph} size={12} />}
      {words} <span class="number">{count(amount)}</span>
    </button>
  );
}

function PickedBar() {
  const names = [...picked.value].filter((name) => fleet.hosts.has(name));
  if (names.length === 0 || !mayOperate()) return null;
  const kind = names.length === 1 ? 'drain' : 'evacuate';
  const begin = (): void => go(`/requests/new?kind=${kind}&hosts=${names.join(',')}`);
  return (
    <div class="picked" role="region" aria-label="Selected hosts">
      <strong>{counted(names.length, 'host')} picked</strong>
      <button type="button" class="primary" onClick={begin}>
        <Icon of="draining" />{' '}
        {kind === 'drain' ? `Drain ${names[0]}…` : `Evacuate ${names.length} hosts…`}
      </button>
      <button type="button" class="quiet" onClick={pickNone}>
        Clear selection
      </button>
    </div>
  );
}
