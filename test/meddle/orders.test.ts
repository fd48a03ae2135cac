import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { obey, type Act, type Orders } from '../../meddle/orders.ts';
import { planRun } from '../../meddle/draw.ts';
import { OPERATIONS } from '../../meddle/plan.ts';

const { scene } = planRun(1);
const stays = { ...scene, noShutdown: true };
const ends = { ...scene, noShutdown: false };
export const FIRST: Orders = {
  run: ['running'],
  disks: { 'disk0-dev': { isShared: true, files: ['1:1'], bytes: [100], limits: [0] } },
  medium: ['first.iso'],
  devices: new Set(['nic0', 'disk0-dev']),
  gone: new Set(),
  link: ['up'],
  bridge: ['br0'],
  port: { isolated: [false], flood: [true], limited: [false] },
  hasPassword: false,
  processors: [1],
  jobs: new Set(),
  isRebooted: false,
};
const act = (kind: Act['kind'], more: Partial<Act> = {}): Act => ({
  kind,
  moment: 'memory',
  atMs: 0,
  isBetween: false,
  host: 'a',
  ...more,
});
const after = (...acts: readonly Act[]): Orders =>
  acts.reduce((orders, each) => obey(orders, each, stays), FIRST);

describe('orders of the owner', () => {
  test('a refused operation changes nothing', () => {
    for (const kind of OPERATIONS) {
      assert.deepEqual(after(act(kind, { refused: 'no', id: 'disk0-dev' })), FIRST);
    }
  });

  test('an order that arrived between the hosts keeps a correct result correct', () => {
    const kinds = fc.constantFrom(...OPERATIONS.filter((kind) => kind !== 'shutdown'));
    fc.assert(
      fc.property(kinds, (kind) => {
        const { run, medium, link, processors, disks } = after(
          act(kind, { isBetween: true, id: 'disk0-dev', key: '2:2', value: 7, file: 'x' }),
        );
        assert.ok(run.includes('running') && medium.includes('first.iso'), kind);
        assert.ok(link.includes('up') && processors.includes(1), kind);
        const disk = disks['disk0-dev'];
        assert.ok(
          disk?.files.includes('1:1') && disk.bytes.includes(100) && disk.limits.includes(0),
        );
      }),
    );
  });

  test('the last order of a run state counts, unless the guest is going down', () => {
    assert.deepEqual(after(act('pause'), act('resume')).run, ['running']);
    assert.deepEqual(after(act('resume'), act('pause')).run, ['paused']);
    assert.deepEqual(after(act('shutdown'), act('pause')).run, ['shut-down', 'paused']);
    assert.deepEqual(obey(FIRST, act('shutdown'), ends).run, ['ended']);
    assert.deepEqual(obey(FIRST, act('shutdown'), stays).run, ['shut-down']);
  });

  test('a paused guest may react to its power button later', () => {
    assert.deepEqual(
      new Set(after(act('pause'), act('shutdown')).run),
      new Set(['shut-down', 'paused']),
    );
  });

  test('a snapshot, a resize and an unplugging change the disk', () => {
    const over = after(
      act('snapshot', { id: 'disk0-dev', key: '1:9' }),
      act('resize', { id: 'disk0-dev', value: 200 }),
    );
    assert.deepEqual(over.disks['disk0-dev'], {
      isShared: true,
      files: ['1:9'],
      bytes: [200],
      limits: [0],
    });
    const without = after(act('unplug-disk', { id: 'disk0-dev' }));
    assert.deepEqual(without.disks, {});
    assert.deepEqual([...without.gone], ['disk0-dev']);
    assert.ok(!without.devices.has('disk0-dev'));
  });

  test('a guest whose disk was left without room stops with an I/O error, and may stop if its storage is full', () => {
    const starved = after(act('starve-disk', { id: 'disk0-dev', key: '1:9' }));
    assert.deepEqual(starved.run, ['io-error']);
    assert.deepEqual(starved.disks['disk0-dev']?.files, ['1:9']);
    assert.deepEqual(after(act('pause'), act('starve-disk')).run, ['paused', 'io-error']);
    assert.deepEqual(after(act('fill-source')).run, ['running']);
    const disks = { d: { isShared: false, files: ['1:1'], bytes: [1], limits: [0] } };
    const full = obey({ ...FIRST, disks }, act('fill-source'), stays);
    assert.deepEqual(full.run, ['running', 'io-error']);
  });

  test("an order to shut down is not distinguished from a cold move's", () => {
    const down = obey(FIRST, act('shutdown'), { ...stays, mode: 'cold' });
    assert.deepEqual(down.run, ['running', 'shut-down']);
  });

  test('settings of the port and a password belong to the owner', () => {
    const { port, hasPassword } = after(act('limit-port'), act('unflood-port'), act('password'));
    assert.deepEqual(port, { isolated: [false], flood: [false], limited: [true] });
    assert.ok(hasPassword);
  });

  test('a port that is moved to another bridge loses its settings of the first one, and keeps its limit', () => {
    const kinds = ['isolate-port', 'unflood-port', 'limit-port', 'move-port'] as const;
    const { bridge, port } = after(...kinds.map((kind) => act(kind)));
    assert.deepEqual(bridge, ['br1']);
    assert.deepEqual(port, { isolated: [false], flood: [true], limited: [true] });
  });
});
