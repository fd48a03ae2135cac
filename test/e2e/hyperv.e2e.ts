import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Report } from '../../src/protocol/public/migration.ts';
import { HypervPlace } from '../managers/hyperv/place.ts';
import { AgentHost } from './support/agent-host.ts';

// Against pretended Hyper-V hosts: this has never been run against real ones.

let place: HypervPlace;
let host: AgentHost;
let count = 0;
/** The guest of the test that runs. */
let guest = '';

const tasksOf = (name: string): number => {
  const id = place.world.guests.find((each) => each.name === name)?.id.toUpperCase();
  return place.world.jobs.filter(({ machine }) => machine === id).length;
};
const runsOn = (name: string): string | undefined => {
  place.world.turn();
  return place.world.guests.find((each) => each.name === name)?.host;
};

function assertTrue(found: Report): void {
  assert.ok(tasksOf(found.guest) <= 1, `${tasksOf(found.guest)} tasks`);
  assert.equal(found.runsAt, runsOn(found.guest) === 'hv1' ? 'source' : 'destination');
}

describe('guests of Hyper-V', () => {
  before(async () => {
    place = await HypervPlace.open();
    host = await AgentHost.start('a', { qemu: { programs: [] }, hyperv: place.section() });
  });
  after(async () => {
    await host?.close();
    await place?.close();
  });
  beforeEach(() => {
    place.world.taskMs = 500;
    place.world.ends = { state: 7, error: '' };
    count += 1;
    guest = `hv-${process.pid}-${count}`;
    place.world.guest(guest, 'hv1');
  });

  test('guests are listed, moved, watched and reported by the same commands as others', async () => {
    assert.match((await host.godwit('guests')).out, new RegExp(`${guest}\\s`));
    const moved = await host.godwit('migrate', guest, '--to', 'b');
    assert.equal(moved.exit, 0, moved.err);
    assert.match(moved.out, /moved from a to b \(by its manager, m-/);
    assert.match(moved.out, /not reported by its manager +bytes sent, rounds/);
    const id = /m-[0-9a-z]+/.exec(moved.out)?.[0] ?? '';
    const found = await host.reportOf(id);
    assertTrue(found);
    assert.ok(found.checks.some(({ name }) => name === 'compare'));
    assert.equal((await host.godwit('watch', id)).exit, 0);
    assert.doesNotMatch((await host.godwit('guests')).out, new RegExp(`${guest}\\s`));
  });

  test('guests are refused with the fix, and Hyper-V is not asked to move them', async () => {
    const hv2 = place.world.hosts.get('hv2');
    assert.ok(hv2);
    hv2.enabled = false;
    const moved = await host.godwit('migrate', guest, '--to', 'b');
    hv2.enabled = true;
    assert.equal(moved.exit, 4, moved.err);
    assert.match(moved.err + moved.out, /Enable-VMMigration/);
    assert.equal(tasksOf(guest), 0);
  });

  test('guests stay on their host if only their storage moves, and a missing folder is refused', async () => {
    const own = place.world.guests.find(({ name }) => name === guest);
    assert.ok(own);
    const same = await host.godwit('migrate', guest, '--to', 'a');
    assert.notEqual(same.exit, 0, same.out);
    const wrong = await host.godwit('migrate', guest, '--to', 'a', '--datastore', 'VMs');
    assert.equal(wrong.exit, 4, wrong.out + wrong.err);
    assert.match(wrong.err, /no folder of Windows/);
    assert.equal(tasksOf(guest), 0);
    const folder = String.raw`D:\VMs`;
    const moved = await host.godwit('migrate', guest, '--to', 'a', '--datastore', folder);
    assert.equal(moved.exit, 0, moved.out + moved.err);
    assert.equal(runsOn(guest), 'hv1');
    assert.match(own.disks[0]?.path ?? '', /^D:\\VMs\\.*disk\.vhdx$/);
    assert.equal(tasksOf(guest), 1);
  });

  test('guests stay at their host when Hyper-V fails, and its message is reported', async () => {
    place.world.ends = { state: 10, error: 'Failed to connect (0x8007274C).' };
    const moved = await host.godwit('migrate', guest, '--to', 'b', '--json');
    assert.equal(moved.exit, 5, moved.err);
    const found = JSON.parse(moved.out) as Report;
    assert.match(found.error?.message ?? '', /0x8007274C.*6600/);
    assertTrue(found);
  });

  test('guests are moved once, though their mover is killed', async () => {
    place.world.taskMs = 4000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    assert.equal(host.killMover(id), true);
    const found = await host.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    assert.ok(found.takeovers >= 1);
    assertTrue(found);
  });

  test('guests are cancelled with Hyper-V', async () => {
    place.world.taskMs = 30_000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    await host.until(async () => tasksOf(guest) === 1);
    assert.equal((await host.godwit('cancel', id)).exit, 0);
    const found = await host.ended(id);
    assert.equal(found.outcome, 'cancelled', JSON.stringify(found));
    assertTrue(found);
  });

  test('guests are moved once if connections are cut and answers are lost', async () => {
    place.world.taskMs = 3000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    place.source.temper.cutBefore = 3;
    place.destination.temper.cutAfter = 2;
    place.source.temper.forgets = 2;
    const found = await host.ended(id);
    assert.ok(['done', 'failed'].includes(found.outcome), JSON.stringify(found));
    assertTrue(found);
  });

  test('guests leave no password in any file', () => {
    const state = path.join(host.dir, 'state');
    const files = readdirSync(state, { recursive: true, withFileTypes: true });
    const texts = files
      .filter((each) => each.isFile())
      .map(({ parentPath, name }) => readFileSync(path.join(parentPath, name), 'latin1'));
    assert.ok(texts.length > 0);
    assert.ok(texts.every((text) => !/Password(?![A-Za-z])/.test(text)));
  });
});
