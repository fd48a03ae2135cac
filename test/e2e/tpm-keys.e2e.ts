import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findSwtpm } from '../../src/drivers/qemu/guest/tpm.ts';
import { labHost } from '../../lab/state.ts';
import { assertSays, begin, move, refusalOf, reportAtEnd } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { extendPcr, readNv, readPcr, writeNv } from './support/tpm.ts';
import { NO_SWTPM, startTpmGuest } from './support/tpm-guest.ts';
import { openWorld, type World } from './support/world.ts';

describe('a guest with an encrypted TPM state', { skip: NO_SWTPM }, () => {
  let world: World;
  let keyDir: string;
  const TEXT = 'verysafe';

  before(async () => {
    keyDir = await mkdtemp(path.join(tmpdir(), 'godwit-tpm-keys-'));
    world = await openWorld('tpmkey', {
      hosts: 2,
      storage: 'local',
      configure: (host) => (host === 'b' ? { drivers: { qemu: { tpm: { keyDir } } } } : {}),
    });
    const file = path.join(world.lab.dir, 'passphrase');
    await writeFile(file, 'of the source');
    const words = `pwdfile=${file},mode=aes-256-cbc`;
    await startTpmGuest(world, {
      name: 'tpm3',
      device: 'tpm-crb',
      swtpm: ['--key', words, '--migration-key', words],
    });
    await writeNv(world.lab, 'tpm3', TEXT);
  });
  after(async () => {
    await world?.close();
    await rm(keyDir, { recursive: true, force: true });
  });

  const give = (text: string, mode = 0o600): Promise<void> =>
    writeFile(path.join(keyDir, 'tpm3'), text).then(() => chmod(path.join(keyDir, 'tpm3'), mode));
  const tpms = (): string => path.join(labHost(world.lab, 'b').stateDir, 'tpm');
  const onlyAtSource = (): Promise<void> =>
    assertOnlyGuests(world, { a: ['tpm3'] }, { a: ['swtpm'] });

  test('a guest is refused if the host has no passphrase for it, or one that others can read', async () => {
    const none = await refusalOf(world, { guest: 'tpm3', from: 'a', to: 'b' });
    assertSays(none, 'GODWIT_HOST_LACKS', 'passphrase', 'drivers.qemu.tpm.keyDir', 'tpm3');
    await give('of the source', 0o644);
    const open = await refusalOf(world, { guest: 'tpm3', from: 'a', to: 'b' });
    assertSays(open, 'GODWIT_HOST_LACKS', 'passphrase', 'nobody else can read', 'chmod 600');
    await onlyAtSource();
  });

  test('a guest keeps running if the host has another passphrase', async () => {
    await give('of somebody else');
    const id = await begin(world, { guest: 'tpm3', from: 'a', to: 'b' });
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.runsAt, 'source');
    assert.equal(await readNv(world.lab, 'tpm3'), TEXT);
    await onlyAtSource();
    assert.deepEqual(await readdir(tpms()), []);
  });

  test('a guest moves if the host has its passphrase, and its state is encrypted there', async () => {
    await give('of the source');
    await extendPcr(world.lab, 'tpm3', 5);
    const was = await readPcr(world.lab, 'tpm3');
    await move(world, { guest: 'tpm3', from: 'a', to: 'b' });
    assert.equal(await readPcr(world.lab, 'tpm3'), was);
    assert.equal(await readNv(world.lab, 'tpm3'), TEXT);
    const state = await readFile(path.join(tpms(), 'tpm3', 'tpm2-00.permall'));
    assert.ok(!state.includes(TEXT));
    const found = await findSwtpm(
      path.join(labHost(world.lab, 'b').stateDir, 'guests', 'tpm3', 'godwit-tpm.sock'),
    );
    assert.ok(found?.argv.every((word) => !word.includes('of the source')));
    await assertOnlyGuests(world, { b: ['tpm3'] }, { b: ['swtpm'] });
  });
});
