import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { runCommand } from '../../lab/command.ts';
import { labDown } from '../../lab/down.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { existingNamespaces } from '../../lab/namespaces.ts';
import { openProbe } from '../../lab/probe/probe.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { processesInNamespaces } from '../../lab/processes.ts';
import { type Lab } from '../../lab/state.ts';
import { labStatus } from '../../lab/status.ts';
import { labUp } from '../../lab/up.ts';
import { hostCensus } from '../../lab/witness/census.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { labDirectory } from '../../src/cli/connection/labs.ts';

const MIB = 1024 ** 2;
const name = `e2e${process.pid % 10_000}`;

describe('a lab', () => {
  let lab: Lab;
  before(async () => {
    lab = await labUp({ name, hosts: 2, agents: false });
  });
  after(() => labDown(name));

  test('a lab is returned when it is requested again, and refused in another shape', async () => {
    assert.deepEqual(await labUp({ name, hosts: 2, agents: false }), lab);
    await assert.rejects(labUp({ name, hosts: 3, agents: false }), (error) =>
      hasCode(error, 'GODWIT_LAB'),
    );
  });

  test('a lab boots a guest that a client reaches, with intact memory, and removes it again', async () => {
    const empty = await hostCensus(lab, 'a');
    const guest = await startGuest(lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 32 * MIB,
      dirtyBytesPerSecond: 4 * MIB,
    });
    assert.deepEqual(await runningOn(lab, 'web1'), ['a']);

    const probe = await openProbe(lab, 'web1');
    await probe.mark();
    const stats = await readGuestStats(lab, 'web1');
    assert.equal(stats.ready, true);
    const verified = await verifyGuest(lab, 'web1');
    assert.deepEqual([verified.ok, verified.badChunks], [true, 0]);
    const view = await probe.settle();
    assert.equal(view.connectionKept, true);
    assert.ok(view.received > 0);

    const status = await labStatus(name);
    assert.deepEqual(
      status.guests[0]?.seen.map(({ host }) => host),
      ['a'],
    );
    assert.equal(status.guests[0]?.probe?.localPort, view.localPort);
    await assert.rejects(startGuest(lab, { name: 'web1', host: 'b' }), (error) =>
      hasCode(error, 'GODWIT_NAME_IN_USE'),
    );
    assert.equal(guest.address, '10.88.0.21');

    await probe.stop();
    await stopGuest(lab, 'web1');
    const { files, ...left } = await hostCensus(lab, 'a');
    assert.deepEqual(left, { host: 'a', processes: [], taps: [], ports: empty.ports });
    assert.deepEqual(files, ['guests']);
  });

  test('a missing host is refused, and the nearest command is named', async () => {
    await assert.rejects(
      startGuest(lab, { name: 'web2', host: 'z' }),
      (error) => hasCode(error, 'GODWIT_HOST_UNKNOWN') && /a, b/.test(error.hint),
    );
  });

  test('a lab leaves nothing behind when it is taken down, and may be taken down twice', async () => {
    await startGuest(lab, {
      name: 'web3',
      host: 'b',
      memoryBytes: 128 * MIB,
      waitUntilReady: false,
    });
    const processes = await processesInNamespaces(new Set(Object.values(lab.namespaces)));
    assert.ok(processes.length > 0);
    assert.equal(await labDown(name), true);
    assert.equal(existsSync(labDirectory(name)), false);
    assert.deepEqual(
      processes.map(isAlive),
      processes.map(() => false),
    );
    if (lab.entry.kind === 'root') assert.deepEqual(await existingNamespaces(lab.entry, name), []);
    assert.equal(await labDown(name), false);
  });
});

test('a lab with a delay carries what its hosts send, with the delay', async () => {
  const slow = `${name}-d`;
  const lab = await labUp({ name: slow, hosts: 2, agents: false, delayMs: 20 });
  try {
    const listen = `require('node:net').createServer((s) => s.pipe(s)).listen(7000, '${lab.members[1]?.address}', () => console.log('up'))`;
    const [server = '', ...serverArgs] = inHost(lab, 'b', [process.execPath, '-e', listen]);
    const child = spawn(server, serverArgs, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const ask = `
      const s = require('node:net').connect({ host: '${lab.members[1]?.address}', port: 7000, noDelay: true });
      s.on('connect', () => { const t = performance.now(); s.write('x'); s.on('data', () => { console.log(performance.now() - t); s.destroy(); }); });`;
    const roundTripMs = Number(await runCommand(inHost(lab, 'a', [process.execPath, '-e', ask])));
    assert.ok(roundTripMs >= 18, `${roundTripMs} ms`);
  } finally {
    await labDown(slow);
  }
});
