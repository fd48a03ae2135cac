import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { Arrival } from '../../../src/agent/guests/guest-labels.ts';
import { GuestLoads } from '../../../src/agent/guests/guest-loads.ts';
import { readLoadHistory } from '../../../src/host/journal/load-file.ts';
import { silentLog } from '../../../src/log.ts';
import type { LoadHour } from '../../../src/protocol/public/hosts/guest-load.ts';
import { systemClock } from '../../../src/clock.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { guest } from '../samples.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.parse('2026-03-01T10:00:00Z');

/** A host with one guest that uses half a processor and writes 10 bytes/s; `reads`: the files that were read. */
function host(stateDir: string) {
  const world = { nowMs: 0, startTicks: 1, reads: [] as string[] };
  const clock = {
    ...systemClock,
    monotonicMs: () => world.nowMs,
    wallMs: () => START_MS + world.nowMs,
  };
  const read = (file: string): string => {
    world.reads.push(file);
    if (file.endsWith('/stat'))
      return `7 (qemu) S ${'0 '.repeat(10)}${world.nowMs / 20} 0 ${'0 '.repeat(6)}${world.startTicks} 0`;
    if (file.endsWith('/io')) return `read_bytes: 0\nwrite_bytes: ${world.nowMs / 100}\n`;
    return `tap0: ${world.nowMs} 0 0 0 0 0 0 0 0 0\n`;
  };
  const arrivals = new Map<string, Arrival>();
  const arrival = (migration: string): Arrival => arrivals.get(migration) ?? 'open';
  const loads = new GuestLoads(stateDir, { clock, log: silentLog, arrival }, read);
  const ports = { now: ['tap0'] as string[] };
  const look = async (afterMs = MINUTE_MS): Promise<void> => {
    world.nowMs += afterMs;
    const web1 = { ...guest('web1', { pid: 7 }), countedBy: { pid: 7, ports: ports.now } };
    loads.looked([web1, guest('container')]);
    await loads.read();
  };
  return { world, loads, look, ports, arrivals };
}

describe('guest loads', () => {
  test('the load of a guest is known from the second sample on, if its use is counted', async (t) => {
    const { loads, look } = host(tempDir(t));
    await look();
    assert.deepEqual(loads.of('web1'), { hours: [] });
    await look();
    const rates = {
      cores: 0.5,
      readBytesPerS: 0,
      writtenBytesPerS: 10,
      inBytesPerS: 0,
      outBytesPerS: 1000,
    };
    const { now, hours } = loads.of('web1');
    assert.deepEqual(now, { ...rates, at: '2026-03-01T10:02:00.000Z', overMs: MINUTE_MS });
    assert.deepEqual(hours, [{ from: '2026-03-01T10:00:00.000Z', overMs: MINUTE_MS, ...rates }]);
    assert.deepEqual(loads.of('container'), { hours: [] });
  });

  test('one sample reads each guest twice and all links once, at most once a minute however often lists are requested', async (t) => {
    const { world, look } = host(tempDir(t));
    await look();
    assert.deepEqual(world.reads, ['net/dev', '7/stat', '7/io']);
    for (let again = 0; again < 5; again += 1) await look(10_000);
    assert.equal(world.reads.length, 3);
    await look(10_000);
    assert.equal(world.reads.length, 6);
  });

  test('a moving guest is not sampled, and its link counters are kept', async (t) => {
    const { loads, look, ports } = host(tempDir(t));
    await look();
    ports.now = [];
    await look();
    assert.equal(loads.of('web1').now?.outBytesPerS, 1000);
  });

  test('the load is unknown after the process was replaced or after a long gap', async (t) => {
    const { world, loads, look } = host(tempDir(t));
    await look();
    world.startTicks = 2;
    await look();
    assert.equal(loads.of('web1').now, undefined);
    await look(20 * MINUTE_MS);
    assert.deepEqual(loads.of('web1'), { hours: [] });
  });

  test('the loads are written to disk once an hour and at the end, and are read again', async (t) => {
    const stateDir = tempDir(t);
    const { loads, look } = host(stateDir);
    const file = path.join(stateDir, 'guest-load.json');
    for (let minute = 0; minute < 59; minute += 1) await look();
    assert.equal(existsSync(file), false);
    await look();
    assert.deepEqual([...readLoadHistory(stateDir)], [['web1', loads.of('web1').hours]]);
    await look();
    loads.dirtied('web1', 500);
    loads.dirtied('container', 500);
    assert.equal(loads.of('web1').hours.at(-1)?.dirtyBytesPerS, 500);
    assert.deepEqual(loads.of('container'), { hours: [] });
    await loads.close();
    assert.deepEqual(host(stateDir).loads.of('web1').hours, loads.of('web1').hours);
  });

  test('the load history of a guest comes with it, and is merged with the hours that were seen here', async (t) => {
    const stateDir = tempDir(t);
    const { loads, look, arrivals } = host(stateDir);
    await look();
    await look();
    const before = { from: '2026-03-01T09:00:00.000Z', overMs: 3_600_000, cores: 2 };
    const [own] = loads.of('web1').hours;
    assert.ok(own !== undefined);
    const told = [before, { ...own, cores: 9 }];
    await loads.expect('m-1', 'web1', async () => ({ hours: told }));
    assert.deepEqual(loads.of('web1').hours, [own], 'it may stay where it is');
    arrivals.set('m-1', 'arrived');
    assert.deepEqual(loads.of('web1').hours, [before, own]);
    await look();
    assert.deepEqual(readLoadHistory(stateDir).get('web1'), loads.of('web1').hours);
  });

  test('a host that sends no load for a guest, or does not report it, leaves the known load unchanged', async (t) => {
    const { loads, arrivals } = host(tempDir(t));
    const hours = [{ from: '2026-03-01T09:00:00.000Z', overMs: 3_600_000, cores: 2 }];
    arrivals.set('m-1', 'stayed-away');
    await loads.expect('m-1', 'web1', async () => ({ hours }));
    arrivals.set('m-2', 'arrived');
    await loads.expect('m-2', 'web1', () => Promise.reject(new Error('it is gone there')));
    assert.deepEqual(loads.of('web1').hours, []);
  });

  test('the load is requested once per migration, even if the guest arrives before the answer', async (t) => {
    const { loads, arrivals } = host(tempDir(t));
    arrivals.set('m-1', 'arrived');
    const answer = Promise.withResolvers<{ hours: LoadHour[] }>();
    const expected = loads.expect('m-1', 'web1', () => answer.promise);
    await loads.expect('m-1', 'web1', () => assert.fail('it has been asked'));
    assert.deepEqual(loads.of('web1').hours, []);
    answer.resolve({ hours: [{ from: '2026-03-01T09:00:00.000Z', overMs: 1, cores: 2 }] });
    await expected;
    assert.equal(loads.of('web1').hours.length, 1);
  });

  test('a damaged load file is replaced by a new history', async (t) => {
    const stateDir = tempDir(t);
    writeFileSync(path.join(stateDir, 'guest-load.json'), '{"web1":');
    const { loads, look } = host(stateDir);
    await look();
    await look();
    assert.equal(loads.of('web1').hours.length, 1);
  });
});
