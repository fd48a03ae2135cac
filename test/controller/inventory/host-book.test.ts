import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_GUESTS } from '../../../src/agent/guests/peer-guests.ts';
import { illText } from '../../../src/words/health.ts';
import { hostOfRow } from '../../../src/controller/inventory/answers.ts';
import { HostBook } from '../../../src/controller/inventory/host-book.ts';
import { EVENTS_KEPT } from '../../../src/controller/inventory/inventory.ts';
import type { NewGuest } from '../../../src/controller/inventory/pending.ts';
import { hasCode } from '../../../src/errors.ts';
import type { FleetNews } from '../../../src/protocol/controller/events.ts';
import {
  guestInfo,
  type GuestInfo,
  type HostInfo,
} from '../../../src/protocol/public/hosts/host.ts';
import { EventLog } from '../../../src/rpc/event-log.ts';
import { guest } from '../../agent/samples.ts';
import { HOST } from './hosts.ts';

test('a host that keeps reporting new guests is refused once it has more than a host runs', () => {
  let written = 0;
  const book = new HostBook(HOST, {
    write: ({ upserts }) => {
      written += upserts?.size ?? 0;
      return true;
    },
    publish: () => {},
    reportHost: () => {},
    followed: () => {},
    moved: () => {},
    nowMs: () => 0,
  });
  const { info } = guest('web', { host: 'a' });
  const report = (nth: number, state: 'running' | 'paused' = 'running') =>
    book.event({ id: 'x', type: 'guest', guest: { ...info, name: `web${nth}`, state } });
  for (let nth = 0; nth < MAX_GUESTS; nth += 1) report(nth);
  assert.throws(
    () => report(MAX_GUESTS),
    (thrown) => hasCode(thrown, 'GODWIT_PROTOCOL_INVALID'),
  );
  report(0, 'paused');
  assert.deepEqual([book.row.guests, written], [MAX_GUESTS, MAX_GUESTS + 1]);
});

test('a host that keeps reporting guests of one name is refused, in events and in its list', () => {
  const { book } = heardBook();
  const namesake = (nth: number): GuestInfo => ({
    ...guest('web', { host: 'a' }).info,
    uuid: `00000000-0000-4000-8000-${String(nth).padStart(12, '0')}`,
  });
  const report = (nth: number) => book.event({ id: 'x', type: 'guest', guest: namesake(nth) });
  for (let nth = 0; nth < 64; nth += 1) report(nth);
  const refused = (thrown: unknown): boolean =>
    hasCode(thrown, 'GODWIT_PROTOCOL_INVALID') &&
    /at most 64 guests of one name/.test(thrown.message);
  assert.throws(() => report(64), refused);
  report(0);
  const all = Array.from({ length: 65 }, (_none, nth) => namesake(nth));
  assert.throws(() => book.all({} as HostInfo, all), refused);
});

/** A host whose guests are written to `rows` and published to `events`. */
function heardBook(): { book: HostBook; events: EventLog<FleetNews>; rows: Map<string, NewGuest> } {
  const events = new EventLog<FleetNews>(EVENTS_KEPT);
  const rows = new Map<string, NewGuest>();
  const book = new HostBook(HOST, {
    write: ({ replace, upserts }) => {
      if (replace !== undefined) rows.clear();
      for (const row of replace ?? []) rows.set(row.name, row);
      for (const row of upserts?.values() ?? []) rows.set(row.name, row);
      return true;
    },
    publish: (news) => events.add(news),
    reportHost: () => {},
    followed: () => {},
    moved: () => {},
    nowMs: () => 0,
  });
  return { book, events, rows };
}

const MIB = 1024 ** 2;
/** A guest of about that many bytes. */
const large = (name: string, bytes: number): GuestInfo => {
  const disks = Array.from({ length: 256 }, (_none, nth) => ({
    name: `disk${nth}`,
    file: 'x'.repeat(Math.floor(bytes / 256) - 60),
    format: 'raw',
    bytes: 1,
  }));
  return { ...guest(name, { host: 'a' }).info, disks, labels: { 'godwit/never-move': 'true' } };
};

test('a host that reports guests of 0.9 MiB fills neither the events nor the rows of its controller', () => {
  const { book, events, rows } = heardBook();
  for (let nth = 0; nth < 1078; nth += 1)
    book.event({ id: 'x', type: 'guest', guest: large(`web${nth}`, 0.9 * MIB) });
  assert.ok(events.bytes <= EVENTS_KEPT.bytes, `${events.bytes} bytes of events`);
  const bytes = [...rows.values()].reduce((sum, { info }) => sum + info.length, 0);
  assert.ok(bytes < 2 * MIB, `${bytes} bytes of rows`);
  const info = guestInfo.parse(JSON.parse(rows.get('web7')?.info ?? ''));
  assert.deepEqual(info.labels, { 'godwit/never-move': 'true' });
  assert.match(info.unmovable.join(), /describes it in 9\d{5} bytes/);
});

test('all guests of a host together have a bound in bytes, in events and in its list', () => {
  const { book, rows } = heardBook();
  const each = (nth: number) => large(`web${nth}`, 120 * 1024);
  const isRefused = (thrown: unknown) =>
    hasCode(thrown, 'GODWIT_PROTOCOL_INVALID') && /bytes/.test(thrown.message);
  const all = Array.from({ length: 300 }, (_none, nth) => each(nth));
  assert.throws(() => book.all({} as HostInfo, all), isRefused);
  assert.throws(() => {
    for (const one of all) book.event({ id: 'x', type: 'guest', guest: one });
  }, isRefused);
  assert.ok(rows.size < 250 && book.row.guests === rows.size);
  // Guests that are gone give their room back.
  book.event({ id: 'x', type: 'guest-gone', name: 'web0' });
  book.event({ id: 'x', type: 'guest', guest: large('db1', 64 * 1024) });
});

test('a host that sends more than its budget is marked in the API and in the list of hosts', () => {
  const { book } = heardBook();
  const shown = () => hostOfRow(book.row);
  book.exceeds(true);
  assert.equal(shown().state, 'up');
  assert.equal(shown().excess?.since, '1970-01-01T00:00:00.000Z');
  assert.match(illText(shown()), /^a: over its limit since 1970.*sends more events than/);
  book.exceeds(true, 'migrations');
  book.exceeds(false);
  assert.match(illText(shown()), /reports more of migrations than/);
  book.exceeds(true, 'standbys');
  book.exceeds(false, 'migrations');
  assert.match(illText(shown()), /more than 1024 of its guests have the label godwit\/recover/);
  book.exceeds(false, 'standbys');
  assert.equal(shown().excess, undefined);
  assert.equal(illText(shown()), '');
});

test('a change without room in the write queue ends the stream of its host', () => {
  const book = new HostBook(HOST, {
    write: () => false,
    publish: () => {},
    reportHost: () => {},
    followed: () => {},
    moved: () => {},
    nowMs: () => 0,
  });
  const { info } = guest('web1', { host: 'a' });
  assert.throws(
    () => book.event({ id: 'x', type: 'guest', guest: info }),
    (thrown) => hasCode(thrown, 'GODWIT_TOO_LARGE'),
  );
});
