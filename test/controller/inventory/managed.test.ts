import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HostBook } from '../../../src/controller/inventory/host-book.ts';
import { managedIn } from '../../../src/controller/inventory/managed-facts.ts';
import { ManagedHosts } from '../../../src/controller/inventory/managed.ts';
import { guestKey } from '../../../src/controller/inventory/pending.ts';
import { silentLog } from '../../../src/log.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../../src/protocol/public/hosts/managed-host.ts';
import { guest } from '../../agent/samples.ts';
import { HOST } from './hosts.ts';

const NAMES = ['esx1', 'esx2', 'esx3'];
const managedHost = (name: string, more: Partial<ManagedHost> = {}): ManagedHost => ({
  name,
  realm: 'vc',
  state: 'up',
  cores: 4,
  memoryBytes: 1000,
  ...more,
});
const guestAt = (name: string, host: string): GuestInfo => guest(name, { host }).info;

/** What the books of the hosts have reported and written, as the database would have it. */
function fleetOf() {
  let nowMs = 1000;
  const migrated: string[] = [];
  const managed = new ManagedHosts({
    log: silentLog,
    nowMs: () => nowMs,
    migrated: (host) => migrated.push(host),
    moved: () => {},
  });
  const rows = new Map<string, Set<string>>();
  const bookOf = (name: string): HostBook => {
    const kept = new Set<string>();
    rows.set(name, kept);
    return new HostBook(
      { ...HOST, name, state: 'unfollowed' },
      {
        write: ({ replace, upserts, gone }) => {
          if (replace !== undefined) kept.clear();
          for (const row of replace ?? []) kept.add(guestKey(row));
          for (const key of gone?.keys() ?? []) kept.delete(key);
          for (const key of upserts?.keys() ?? []) kept.add(key);
          return true;
        },
        publish: () => {},
        reportHost: () => {},
        followed: () => {},
        moved: () => {},
        nowMs: () => nowMs,
      },
    );
  };
  const at = (ms: number): void => void (nowMs = ms);
  return { managed, rows, bookOf, migrated, at };
}

describe('hosts of a manager', () => {
  test('each guest is at the one host where the manager has it, however it moves', () => {
    const moves = fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...NAMES, 'gone')), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(moves, (all) => {
        const { managed, rows, bookOf } = fleetOf();
        const heard = managed.add('vc1', 'vc:443', () => {});
        heard.all(
          NAMES.map((name) => managedHost(name)),
          [],
        );
        for (const name of NAMES) managed.follow(name, 'vc1', bookOf(name));
        const real = new Map<string, string>();
        for (const [nth, host] of all) {
          const name = `web${nth}`;
          if (host === 'gone') {
            real.delete(name);
            heard.guestGone(name);
          } else {
            real.set(name, host);
            heard.guest(guestAt(name, host));
          }
        }
        for (const name of NAMES) {
          const wanted = [...real].filter(([, at]) => at === name).map(([each]) => each);
          const has = [...(rows.get(name) ?? [])].map((key) => key.split(' ', 1)[0] ?? '');
          assert.deepEqual(has.toSorted(), wanted.toSorted());
        }
        assert.equal(managed.counts('vc1')?.guests, real.size);
      }),
    );
  });

  test("hosts are silent since their manager's last answer, and keep their reported guests", () => {
    const { managed, rows, bookOf, at } = fleetOf();
    const heard = managed.add('vc1', 'vc:443', () => {});
    const book = bookOf('esx1');
    managed.follow('esx1', 'vc1', book);
    at(5000);
    heard.all([managedHost('esx1')], [guestAt('web', 'esx1')]);
    assert.deepEqual([book.row.state, book.row.guests], ['up', 1]);
    at(60_000);
    heard.silent('the connection was refused');
    assert.deepEqual([book.row.state, book.row.since], ['silent', 5000]);
    assert.match(book.row.reason ?? '', /its manager vc1 is silent: the connection was refused/);
    assert.equal(rows.get('esx1')?.size, 1);
    heard.all([managedHost('esx1')], []);
    assert.deepEqual([book.row.state, rows.get('esx1')?.size], ['up', 0]);
  });

  test('a host is silent if its manager does not reach it, and closed if the manager reports it closed', () => {
    const { managed, bookOf } = fleetOf();
    const heard = managed.add('vc1', 'vc:443', () => {});
    const book = bookOf('esx1');
    managed.follow('esx1', 'vc1', book);
    const reason = 'its vCenter says that it is notResponding';
    heard.all([managedHost('esx1', { state: 'silent', reason })], []);
    assert.deepEqual([book.row.state, book.row.reason], ['silent', reason]);
    heard.host(managedHost('esx1', { closed: 'it is in maintenance mode' }));
    assert.equal(book.row.state, 'up');
    assert.deepEqual(managedIn(book.row), {
      manager: 'vc1',
      realm: 'vc',
      closed: 'it is in maintenance mode',
    });
  });

  test('hosts keep their earlier state until their manager answers, and disappear with it', () => {
    const { managed } = fleetOf();
    const places = () => [...managed.places(() => false).keys()];
    assert.equal(managed.recall('esx9', 'vc1'), false);
    const heard = managed.add('vc1', 'vc:443', () => {});
    assert.equal(managed.recall('esx9', 'vc1'), true);
    assert.deepEqual(places(), ['esx9']);
    heard.all([managedHost('esx1')], []);
    assert.deepEqual(places(), ['esx1']);
    assert.equal(managed.recall('esx9', 'vc1'), false);
    managed.remove('vc1');
    assert.deepEqual(places(), []);
  });

  test("a host with the name of a fleet host or of another manager's host is left out", () => {
    const { managed } = fleetOf();
    managed.add('vc1', 'one:443', () => {}).all([managedHost('esx1'), managedHost('a')], []);
    managed.add('vc2', 'two:443', () => {}).all([managedHost('esx1'), managedHost('esx2')], []);
    const places = managed.places((host) => host === 'a');
    assert.deepEqual(
      [...places].map(([host, { manager }]) => `${host} ${manager}`),
      ['esx1 vc1', 'esx2 vc2'],
    );
  });

  test("only migrations between the manager's hosts are looked at", () => {
    const { managed, migrated } = fleetOf();
    const heard = managed.add('vc1', 'vc:443', () => {});
    heard.all([managedHost('esx1'), managedHost('esx2')], []);
    heard.migrated({ from: 'esx1', to: 'esx2' });
    heard.migrated({ from: 'esx1', to: 'elsewhere' });
    assert.deepEqual(migrated, ['esx1', 'esx2', 'esx1']);
  });
});
