import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { GodwitError } from '../../src/errors.ts';
import { qemuBinaries } from '../../lab/guest/qemu.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { withGuestStory } from './support/guest-story.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { watchGuest } from './support/client-view.ts';
import { assertConfined } from './support/confinement.ts';
import { askGuestQemu } from './support/monitors.ts';
import { move, unlessForbidden, type Move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld } from './support/world.ts';

const MIB = 1024 ** 2;

const elder = {
  name: 'elder',
  host: 'a',
  memoryBytes: 192 * MIB,
  // A quiet guest: emulated by a QEMU before 9.0, a busy one may lose a dirty page on the way.
  workingSetBytes: 16 * MIB,
  qemu: '7.2',
} as const;

test('a guest of QEMU 7.2 moves to a host with a newer QEMU, keeps its machine type, and moves back', async (t) => {
  const qemus = await qemuBinaries();
  const old = qemus.find(({ version }) => version.startsWith('7.2.'));
  const [newest] = qemus;
  if (old === undefined || newest === undefined || newest.version === old.version) {
    const have = qemus.map(({ version }) => version).join(', ') || 'none';
    t.skip(`it takes QEMU 7.2 and a newer one; this machine has ${have}`);
    return;
  }
  const configure = (host: string) => ({
    drivers: { qemu: { programs: [host === 'a' ? old.path : newest.path] } },
  });
  const world = await openWorld('old', { hosts: 2, configure });
  try {
    await startGuest(world.lab, elder);
    const watched = await watchGuest(world, 'elder', { intervalMs: 250 });
    const type = async (host: string): Promise<unknown> =>
      askGuestQemu(world, 'elder', host, 'qom-get', { path: '/machine', property: 'type' });
    const before = await type('a');
    await watched.unharmed('b', () => move(world, { guest: 'elder', from: 'a', to: 'b' }));
    assert.equal(await type('b'), before);
    const info = await world.agent('b').guest({ params: { guest: 'elder' } });
    assert.equal(info.machineType, 'pc-q35-7.2');
    assert.equal(info.hypervisorVersion, newest.version);
    // Back: QEMU promises nothing for this way, and the machine type is one that both have.
    await watched.unharmed('a', () => move(world, { guest: 'elder', from: 'b', to: 'a' }));
    assert.equal(await type('a'), before);
    await assertOnlyGuests(world, { a: ['elder'] });
  } finally {
    await world.close();
  }
});

test('a guest of QEMU 7.2 moves by the wire, and by post-copy back', async (t) => {
  const old = (await qemuBinaries()).find(({ version }) => version.startsWith('7.2.'));
  if (old === undefined) return t.skip('it takes QEMU 7.2, which this machine has not');
  // Before 8.0 it knows no /dev/userfaultfd, and the kernel may keep the system call from users.
  const configure = () => ({ drivers: { qemu: { programs: [old.path], user: 'agent' } } });
  const world = await openWorld('oldw', { hosts: 2, configure });
  try {
    await startGuest(world.lab, elder);
    const verify = () => withGuestStory(world.lab, 'elder', () => verifyGuest(world.lab, 'elder'));
    const { hash } = await verify();
    // No client asks it meanwhile: emulated by this QEMU it loses, once in twenty moves, what it writes as its memory is sent.
    const moves = async (to: string, more: Partial<Move>): Promise<Report> => {
      const from = to === 'a' ? 'b' : 'a';
      const report = await move(world, { guest: 'elder', path: 'wire', from, to, ...more });
      assert.deepEqual(await runningOn(world.lab, 'elder'), [to]);
      const found = await verify();
      assert.partialDeepStrictEqual(found, { ok: true, hash, badChunks: 0, badDiskChunks: 0 });
      return report;
    };
    const there = await moves('b', {});
    const back = await unlessForbidden(t, () => moves('a', { mode: 'postcopy' }));
    const [first, second] = [there, back].map((report) => report?.wire?.linkBytes ?? 0);
    assert.ok((first ?? 0) > elder.workingSetBytes / 2);
    if (back === undefined) return;
    assert.equal(back.finished, 'postcopy');
    assert.ok((second ?? 0) > 0 && (second ?? 0) < (first ?? 0) / 3, `${second} of ${first} bytes`);
    await assertOnlyGuests(world, { a: ['elder'] });
  } finally {
    await world.close();
  }
});

test('post-copy is refused by name if QEMU would need a system call that its user is denied', async (t) => {
  const old = (await qemuBinaries()).find(({ version }) => version.startsWith('7.2.'));
  if (old === undefined) return t.skip('it takes QEMU 7.2, which this machine has not');
  const setting = await readFile('/proc/sys/vm/unprivileged_userfaultfd', 'utf8').catch(() => '1');
  if (process.getuid?.() !== 0 || setting.trim() !== '0')
    return t.skip('it takes root, and a kernel that keeps userfaultfd from users');
  const world = await openWorld('oldp', {
    hosts: 2,
    configure: () => ({ drivers: { qemu: { programs: [old.path] } } }),
  });
  try {
    await startGuest(world.lab, elder);
    await assert.rejects(
      move(world, { guest: 'elder', from: 'a', to: 'b', mode: 'postcopy' }),
      (thrown) =>
        thrown instanceof GodwitError &&
        thrown.code === 'GODWIT_CAPABILITY' &&
        /before 8\.0 knows only the system call/.test(thrown.message) &&
        /vm\.unprivileged_userfaultfd=1, or install QEMU 8\.0/.test(thrown.hint),
    );
    await move(world, { guest: 'elder', from: 'a', to: 'b' });
    await assertConfined(world, 'elder', 'b');
    await assertOnlyGuests(world, { b: ['elder'] });
  } finally {
    await world.close();
  }
});
