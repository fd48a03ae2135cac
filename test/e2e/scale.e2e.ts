/**
 * Limits of one host, met with machines that have no system on them. SCALE_GUESTS sets how many move at once: the
 * default is what a small machine does in a minute beside other tests.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { agentsOf } from '../../lab/agents.ts';
import { PASSABLE, storageDirectory } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { assertSays, move, refusalOf, reportAtEnd } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const GUESTS = Number(process.env['SCALE_GUESTS'] ?? 8);
/** Each order starts a process on both hosts: on few processors the last of many waits for those before it. */
const ORDERED_MS = 30_000 + GUESTS * 3000;
/** What a service gets that asks for nothing. */
const OPEN_FILES = 1024;

/** A guest with so many disks on one controller, on storage that both hosts share. */
async function withDisks(world: World, name: string, count: number): Promise<void> {
  const directory = path.join(storageDirectory(world.lab, 'a'), name);
  await mkdir(directory, { recursive: true, mode: PASSABLE });
  const args = ['-device', 'virtio-scsi-pci,id=scsi0'];
  for (let index = 0; index < count; index += 1) {
    const file = path.join(directory, `${index}.raw`);
    await writeFile(file, '');
    await truncate(file, MIB);
    args.push('-drive', `if=none,id=d${index},file=${file},format=raw,cache=none`);
    args.push('-device', `scsi-hd,id=s${index},drive=d${index},bus=scsi0.0,scsi-id=${index}`);
  }
  await startBareGuest(world, { name, host: 'a', args });
}

test('a guest with 64 disks moves, and one with 65 is refused by their number', async () => {
  const world = await openWorld('disks', { hosts: 2 });
  try {
    await withDisks(world, 'many', 64);
    const report = await move(world, { guest: 'many', from: 'a', to: 'b' });
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    assert.deepEqual(await runningOn(world.lab, 'many'), ['b']);
    await withDisks(world, 'toomany', 65);
    const error = await refusalOf(world, { guest: 'toomany', from: 'a', to: 'b' });
    assertSays(error, 'GODWIT_TOO_MANY', 'toomany has 65 disks', 'at most 64');
    assert.deepEqual(await runningOn(world.lab, 'toomany'), ['a']);
  } finally {
    await world.close();
  }
});

test(`${GUESTS} guests move at once between hosts whose agents and movers may open 1,024 files`, async (t) => {
  const limits = { migrationsIn: GUESTS, migrationsOut: GUESTS };
  const world = await openWorld('scale', { hosts: 2, configure: () => ({ limits }) });
  try {
    for (const host of ['a', 'b']) {
      for (const { pid } of await agentsOf(world.lab, host)) {
        // Movers have what their agent has.
        await run('prlimit', ['--pid', `${pid}`, `--nofile=${OPEN_FILES}:${OPEN_FILES}`]);
      }
    }
    const names = Array.from({ length: GUESTS }, (_, index) => `g${index}`);
    for (const name of names) await startBareGuest(world, { name, host: 'a', memory: '16M' });
    const agents = (await Promise.all(['a', 'b'].map((host) => agentsOf(world.lab, host)))).flat();
    let most = 0;
    const counting = setInterval(() => {
      for (const { pid } of agents) most = Math.max(most, readdirSync(`/proc/${pid}/fd`).length);
    }, 200);
    try {
      const ids = await Promise.all(
        names.map((guest) =>
          world.agent('a').migrate({ body: { guest, to: 'b' } }, { deadlineMs: ORDERED_MS }),
        ),
      );
      const reports = await Promise.all(ids.map(({ id }) => reportAtEnd(world, 'a', id)));
      for (const { outcome, error } of reports)
        assert.equal(outcome, 'done', JSON.stringify(error));
    } finally {
      clearInterval(counting);
    }
    for (const name of names) assert.deepEqual(await runningOn(world.lab, name), ['b']);
    t.diagnostic(`${GUESTS} guests at once; an agent had at most ${most} files open`);
  } finally {
    await world.close();
  }
});
