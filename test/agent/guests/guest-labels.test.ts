import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { HostLabels, type Arrival } from '../../../src/agent/guests/guest-labels.ts';
import type { GuestLabels } from '../../../src/protocol/labels.ts';
import { systemClock } from '../../../src/clock.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { FakeContext, godwit } from '../../cli/fake.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { until } from '../../until.ts';
import { fleet, guest } from '../samples.ts';

/** Bytes that this process has handed to files and pipes. */
function writtenBytes(): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

const NOBODY = (): Arrival => 'stayed-away';

/** The state of a host that keeps labels of 10,000 guests, the first labelled longest ago. */
function fullHost(t: TestContext, labels: GuestLabels): { stateDir: string; names: string[] } {
  const stateDir = tempDir(t);
  const names = Array.from({ length: 10_000 }, (_none, nth) => `web${nth}`);
  const kept = names.map((name) => [name, labels]);
  writeFileSync(path.join(stateDir, 'guest-labels.json'), JSON.stringify({ kept, expected: [] }));
  return { stateDir, names };
}

const isFull = (guestName: string) => (thrown: unknown) =>
  hasCode(thrown, 'GODWIT_LABELS_FULL') && thrown.message.includes(guestName);

test("labels are kept on their host's disk, and malformed labels change nothing", (t) => {
  const stateDir = tempDir(t);
  const labels = new HostLabels(stateDir, NOBODY);
  labels.change('web1', { set: { team: 'web', 'godwit/window': '22:00-04:00' }, remove: [] });
  labels.change('web1', { set: {}, remove: ['team'] });
  const refused = (set: Record<string, string>, words: RegExp) =>
    assert.throws(
      () => labels.change('web1', { set, remove: [] }),
      (thrown) =>
        hasCode(thrown, 'GODWIT_USAGE') &&
        words.test(thrown.message) &&
        /godwit label --help/.test(thrown.hint),
    );
  refused({ 'godwit/never-mov': 'true' }, /not one that Godwit knows.*never-move/);
  refused({ 'godwit/never-move': 'true' }, /contradict each other: godwit\/never-move/);
  refused({ 'godwit/max-downtime': 'long' }, /which is no duration from 1ms to 60s/);
  assert.deepEqual(new HostLabels(stateDir, NOBODY).of('web1'), {
    'godwit/window': '22:00-04:00',
  });
  writeFileSync(path.join(stateDir, 'guest-labels.json'), '[["web1"');
  assert.throws(
    () => new HostLabels(stateDir, NOBODY),
    (thrown) => hasCode(thrown, 'GODWIT_CONFIG'),
  );
});

test('an arrived guest has the labels of its source, and none that it had here before', (t) => {
  const labels = new HostLabels(tempDir(t), () => 'arrived');
  labels.change('web1', { set: { old: '1' }, remove: [] });
  labels.expect('m-00000001', 'web1', undefined);
  assert.deepEqual(labels.of('web1'), { old: '1' });
  labels.expect('m-00000002', 'web1', { team: 'web' });
  assert.deepEqual(labels.of('web1'), { team: 'web' });
  labels.expect('m-00000003', 'web1', {});
  assert.equal(labels.of('web1'), undefined);
});

test('a host that only requests admissions changes no labels, whatever happens between', (t) => {
  const step = fc.record({
    // The agent starts again.
    again: fc.boolean(),
    guest: fc.constantFrom('web1', 'web2'),
    labels: fc.constantFrom<GuestLabels>({}, { 'godwit/never-move': 'false' }, { team: 'mine' }),
    arrival: fc.constantFrom<Arrival>('stayed-away', 'open', 'arrived'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const stateDir = tempDir(t);
      const arrivals = new Map<string, Arrival>();
      const open = (): HostLabels =>
        new HostLabels(stateDir, (id) => arrivals.get(id) ?? 'stayed-away');
      let labels = open();
      const should = new Map<string, GuestLabels>([['web1', { 'godwit/never-move': 'true' }]]);
      labels.change('web1', { set: { 'godwit/never-move': 'true' }, remove: [] });
      for (const [at, one] of steps.entries()) {
        const id = `m-${String(at).padStart(8, '0')}`;
        labels.expect(id, one.guest, one.labels);
        arrivals.set(id, one.arrival);
        if (one.arrival === 'arrived') should.set(one.guest, one.labels);
        if (one.again) labels = open();
        for (const name of ['web1', 'web2']) {
          assert.deepEqual(labels.of(name) ?? {}, should.get(name) ?? {});
        }
      }
    }),
  );
});

test("an earlier build's labels are read, and no file is left if no labels are kept", (t) => {
  const stateDir = tempDir(t);
  const file = path.join(stateDir, 'guest-labels.json');
  writeFileSync(file, '[["web1",{"team":"web"}]]');
  const labels = new HostLabels(stateDir, NOBODY);
  assert.deepEqual(labels.of('web1'), { team: 'web' });
  labels.expect('m-00000001', 'web2', { team: 'db' });
  labels.change('web1', { set: {}, remove: ['team'] });
  assert.equal(labels.of('web2'), undefined);
  assert.equal(existsSync(file), false);
});

test('the 10,001st guest replaces an absent guest, and never a present one', (t) => {
  const never = { 'godwit/never-move': 'true' };
  const { stateDir, names } = fullHost(t, never);
  const absent = new Set(['web7', 'web9']);
  const here = new Set([...names, 'db1', 'db2'].filter((name) => !absent.has(name)));
  const labels = new HostLabels(stateDir, NOBODY);
  for (const name of ['db1', 'db2'])
    labels.change(name, { set: { 'godwit/anti-affinity': 'db' }, remove: [] }, here);
  assert.deepEqual(labels.of('web0'), never);
  assert.equal(labels.of('web7'), undefined);
  assert.equal(labels.of('web9'), undefined);
  assert.throws(() => labels.change('db3', { set: never, remove: [] }, here), isFull('db3'));
  assert.throws(() => labels.expect('m-00000001', 'db4', never, here), isFull('db4'));
  // Guests with a place change their labels as before.
  labels.change('web0', { set: { team: 'web' }, remove: [] }, here);
  labels.change('web1', { set: {}, remove: ['godwit/never-move'] }, here);
  labels.change('db3', { set: never, remove: [] }, here);
  const again = new HostLabels(stateDir, NOBODY);
  for (const name of here) if (name !== 'web1') assert.ok(again.of(name), name);
});

test('guests with many labels that come from another host leave room for other guests and for the operator', (t) => {
  const many: GuestLabels = Object.fromEntries(
    Array.from({ length: 64 }, (_none, nth) => [`tag${nth}`, '\u{1F600}'.repeat(128)]),
  );
  const stateDir = tempDir(t);
  // Each has about 33 KiB: half of the room is taken.
  const names = Array.from({ length: 250 }, (_none, nth) => `evil${nth}`);
  const kept = names.map((name) => [name, many]);
  writeFileSync(path.join(stateDir, 'guest-labels.json'), JSON.stringify({ kept, expected: [] }));
  const labels = new HostLabels(stateDir, () => 'open');
  const here = new Set([...names, 'evil', 'web1', 'db1']);
  assert.throws(() => labels.expect('m-00000001', 'evil', many, here), isFull('evil'));
  const never = { 'godwit/never-move': 'true' };
  labels.expect('m-00000002', 'web1', never, here);
  labels.change('db1', { set: { ...many, ...never, tag1: '' }, remove: ['tag0'] }, here);
  assert.equal(labels.of('db1')?.['godwit/never-move'], 'true');
  assert.deepEqual(labels.of('evil0'), many);
});

test('labels are not replaced while a driver has not listed its guests', (t) => {
  const { stateDir } = fullHost(t, { team: 'web' });
  const labels = new HostLabels(stateDir, NOBODY);
  assert.throws(() => labels.change('db1', { set: { team: 'db' }, remove: [] }), isFull('db1'));
  assert.deepEqual(labels.of('web0'), { team: 'web' });
});

test('the room of an expected guest is reserved, and its arrival takes no labels of a present guest', (t) => {
  const { stateDir, names } = fullHost(t, { team: 'web' });
  let arrival: Arrival = 'open';
  const here = new Set(names.slice(1));
  const labels = new HostLabels(stateDir, () => arrival);
  labels.expect('m-00000001', 'db1', { team: 'db' }, here);
  assert.equal(labels.of('web0'), undefined);
  assert.throws(
    () => labels.change('db2', { set: { team: 'db' }, remove: [] }, here),
    isFull('db2'),
  );
  arrival = 'arrived';
  assert.deepEqual(labels.of('db1'), { team: 'db' });
  for (const name of here) assert.ok(labels.of(name), name);
});

test('labels of all guests are bounded in bytes', (t) => {
  const long = Object.fromEntries(
    Array.from({ length: 60 }, (_none, nth) => [`a${nth}`, '€'.repeat(256)]),
  );
  const stateDir = tempDir(t);
  const names = Array.from({ length: 360 }, (_none, nth) => `web${nth}`);
  const kept = names.map((name) => [name, long]);
  writeFileSync(path.join(stateDir, 'guest-labels.json'), JSON.stringify({ kept, expected: [] }));
  const here = new Set(names);
  const labels = new HostLabels(stateDir, NOBODY);
  assert.throws(() => labels.expect('m-00000001', 'db1', long, here), isFull('db1'));
  // Fewer labels than before always have room.
  labels.change('web0', { set: {}, remove: ['a0'] }, here);
  here.clear();
  labels.expect('m-00000001', 'db1', long, here);
  assert.equal(labels.of('web2'), undefined);
});

test('arriving labels cost as much to write as they have bytes, and none is lost', async (t) => {
  const many: GuestLabels = Object.fromEntries(
    Array.from({ length: 60 }, (_none, nth) => [`a${nth}`, '€'.repeat(170)]),
  );
  const stateDir = tempDir(t);
  const names = Array.from({ length: 250 }, (_none, nth) => `web${nth}`);
  const kept = names.map((name) => [name, many]);
  writeFileSync(path.join(stateDir, 'guest-labels.json'), JSON.stringify({ kept, expected: [] }));
  const labels = new HostLabels(stateDir, () => 'arrived');
  const fileBytes = readFileSync(path.join(stateDir, 'guest-labels.json')).length;
  const arrivals = Array.from({ length: 100 }, (_none, nth) => `new${nth}`);
  const writtenBefore = writtenBytes();
  for (const [nth, name] of arrivals.entries()) {
    labels.expect(`m-${String(nth).padStart(8, '0')}`, name, { team: name });
    assert.deepEqual(labels.of(name), { team: name });
  }
  // The whole file has some 8 MB: less than one is written for 100 guests that come.
  assert.ok(writtenBytes() - writtenBefore < fileBytes, `${writtenBytes() - writtenBefore} bytes`);
  // As after the end of an agent that was killed.
  const again = new HostLabels(stateDir, () => 'arrived');
  for (const name of arrivals) assert.deepEqual(again.of(name), { team: name });
  for (const name of names) assert.deepEqual(again.of(name), many);
});

test('an agent that ends leaves all labels in the file, and one that cannot write it leaves them in the log', async (t) => {
  const stateDir = tempDir(t);
  const [file, log] = ['json', 'log'].map((end) => path.join(stateDir, `guest-labels.${end}`));
  assert.ok(file !== undefined && log !== undefined);
  const labels = new HostLabels(stateDir, NOBODY);
  const end = labels.start({ clock: systemClock, log: silentLog });
  labels.change('web1', { set: { team: 'web' }, remove: [] });
  await end();
  assert.equal(existsSync(log), false);
  assert.match(readFileSync(file, 'utf8'), /"web1",\{"team":"web"\}/);
  const endAgain = labels.start({ clock: systemClock, log: silentLog });
  labels.change('web1', { set: { team: 'db' }, remove: [] });
  mkdirSync(`${file}.tmp`);
  await endAgain();
  rmdirSync(`${file}.tmp`);
  assert.deepEqual(new HostLabels(stateDir, NOBODY).of('web1'), { team: 'db' });
});

test('a guest labelled at its agent is listed with its label, moves with it, and is held by it in a drain', async (t) => {
  const { host, caDir } = await fleet(t);
  const b = await host('b');
  const a = await host('a', {
    guests: () => ['web1', 'web2', 'db1'].map((name) => guest(name)),
    peers: { b: { address: b.agent.address } },
  });
  const label = (name: string, set: Record<string, string>) =>
    a.api.labelGuest({ params: { guest: name }, body: { set } });
  await label('db1', { 'godwit/never-move': 'true', team: 'data' });
  await label('web1', { 'godwit/anti-affinity': 'web' });
  await label('web2', { 'godwit/anti-affinity': 'web' });
  await assert.rejects(label('db1', { 'godwit/prio': '1' }), (thrown) =>
    hasCode(thrown, 'GODWIT_USAGE'),
  );
  await assert.rejects(label('nobody', {}), (thrown) => hasCode(thrown, 'GODWIT_GUEST_UNKNOWN'));
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
  };
  const { api } = await controllerOf(t, caDir, { hosts });
  await until('the hosts to be followed', 20_000, async () => {
    const { hosts: all } = await api.hosts();
    return all.length === 2 && all.every(({ state }) => state === 'up') ? true : undefined;
  });
  const named = async (filter: string) =>
    (await api.guests({ query: { label: filter } })).guests.map(({ name }) => name).join();
  await until('the labels', 10_000, async () =>
    (await named('team')) === 'db1' ? true : undefined,
  );
  assert.equal(await named('team=web'), '');
  assert.equal(await named('godwit/anti-affinity=web'), 'web1,web2');

  const asked = { params: { id: 'r-00000001' }, query: { dryRun: 'true' } } as const;
  const { plan } = await api.putRequest({ ...asked, body: { kind: 'drain', hosts: ['a'] } });
  assert.deepEqual(
    plan.stays.map(({ guest: name, words }) => [name, words]),
    [['db1', 'its label godwit/never-move says so']],
  );
  // One host is left for two that must be apart.
  assert.equal(plan.steps.length, 1);

  const context = new FakeContext({ label: 'a', api: a.api });
  const exit = await godwit(context, 'label db1 team-');
  assert.equal(exit, 0, context.err.text);
  assert.equal(context.out.text, 'godwit/never-move=true\n');
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  const file = path.join(a.config.stateDir, 'migrations', id, 'request.json');
  const request = JSON.parse(readFileSync(file, 'utf8')) as { labels?: unknown };
  assert.deepEqual(request.labels, { 'godwit/anti-affinity': 'web' });
});
