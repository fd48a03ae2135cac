import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import {
  giveUpDisks,
  holdDisks,
} from '../../../../../src/mover/direct/source/disks/set-aside-disks.ts';
import { identityOf } from '../../../../../src/system/files/open-files.ts';
import { planned } from '../../../../migration/direct/samples.ts';

describe('source images of copied disks', () => {
  let directory: string;
  let file: string;
  let identity: string | undefined;
  const signal = AbortSignal.timeout(30_000);

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'godwit-left-'));
    file = path.join(directory, 'disk0.raw');
    await writeFile(file, 'the guest’s');
    identity = await identityOf(file);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const stateOf = (keepSource: boolean): SourceState => {
    const { state } = initialSource(planned({ keepSource }));
    const copies = [{ node: 'disk0', pool: '0'.repeat(16), path: 'disk0.raw' }];
    const identities = identity === undefined ? {} : { disk0: identity };
    return { ...state, known: { copied: [file], copies, identities } };
  };

  test('source images are removed once the guest runs elsewhere, even if that is done twice', async () => {
    const facts = await giveUpDisks(stateOf(false), 'm1', signal);
    await giveUpDisks(stateOf(false), 'm1', signal);
    assert.deepEqual(await readdir(directory), []);
    assert.match(facts.checks?.[0]?.evidence ?? '', /^removed: .*disk0\.raw$/);
  });

  test('source images are kept under a name that does not look like a disk of the guest, if requested', async () => {
    const facts = await giveUpDisks(stateOf(true), 'm1', signal);
    await giveUpDisks(stateOf(true), 'm1', signal);
    assert.deepEqual(await readdir(directory), ['disk0.raw.moved-m1']);
    assert.equal(await readFile(`${file}.moved-m1`, 'utf8'), 'the guest’s');
    assert.match(facts.checks?.[0]?.evidence ?? '', /^kept as NAME\.moved-m1/);
  });

  for (const verdict of ['equal', 'different', 'unverified'] as const) {
    test(`source images that were compared as ${verdict} ${verdict === 'equal' ? 'go' : 'stay'}`, async () => {
      const figures = { comparedBytes: 1, excludedBytes: 0, differentBytes: 0, tookMs: 1 };
      const { plan, known } = stateOf(false);
      const diskCheck = { verdict, ...figures };
      await giveUpDisks({ plan, known: { ...known, diskCheck } }, 'm1', signal);
      const left = verdict === 'equal' ? [] : ['disk0.raw.moved-m1'];
      assert.deepEqual(await readdir(directory), left);
    });
  }

  test('source images that a dead mover had renamed are removed by the next one', async () => {
    await giveUpDisks(stateOf(true), 'm1', signal);
    await giveUpDisks(stateOf(false), 'm1', signal);
    assert.deepEqual(await readdir(directory), []);
  });

  test('source images that were replaced by another file of that name leave it in place', async () => {
    await writeFile(`${file}.new`, 'somebody’s backup');
    await rename(`${file}.new`, file);
    for (const keep of [false, true]) {
      const [check] = (await giveUpDisks(stateOf(keep), 'm1', signal)).checks ?? [];
      assert.equal(check?.verdict, 'warn');
      assert.match(
        check?.evidence ?? '',
        /^left as it is: .*disk0\.raw, since the file at this path is not the file/,
      );
    }
    assert.deepEqual(await readdir(directory), ['disk0.raw']);
    assert.equal(await readFile(file, 'utf8'), 'somebody’s backup');
  });

  test('source images are not confused with a file that reused the inode number of a removed one', async () => {
    // The mover died before this step, the hypervisor has ended, and a person put another image there.
    await rm(file);
    await writeFile(file, 'somebody’s new image');
    const disks = await holdDisks(stateOf(false), false);
    const [check] = (await giveUpDisks(stateOf(false), 'm1', signal, disks)).checks ?? [];
    await disks.close();
    assert.match(check?.evidence ?? '', /^left as it is: .*disk0\.raw/);
    assert.equal(await readFile(file, 'utf8'), 'somebody’s new image');
  });

  test('source images without a birth time are removed only if held open since the hypervisor had them', async () => {
    identity = identity?.split(':', 2).join(':');
    const unheld = await holdDisks(stateOf(false), false);
    const [left] = (await giveUpDisks(stateOf(false), 'm1', signal, unheld)).checks ?? [];
    await unheld.close();
    assert.match(left?.evidence ?? '', /not known whether it is the file/);
    assert.deepEqual(await readdir(directory), ['disk0.raw']);
    const held = await holdDisks(stateOf(false), true);
    await giveUpDisks(stateOf(false), 'm1', signal, held);
    await held.close();
    assert.deepEqual(await readdir(directory), []);
  });

  test('source images are kept under their other name if a program could not be inspected', async () => {
    const usersOf = async () => ({ users: [], unseen: ['process 7 (backup)'] });
    const facts = await giveUpDisks(stateOf(false), 'm1', signal, { usersOf });
    const [check] = facts.checks ?? [];
    assert.equal(check?.verdict, 'warn');
    assert.match(check?.evidence ?? '', /kept as NAME\.moved-m1: .*whether process 7 \(backup\)/);
    assert.deepEqual(await readdir(directory), ['disk0.raw.moved-m1']);
  });

  test('source images are each given up even if one of them cannot be, and that one is named', async () => {
    // A link in place of its directory: the rename is refused, as by a mount or an immutable file.
    const strange = path.join(directory, 'linked');
    await symlink(directory, strange);
    const { plan, known } = stateOf(false);
    const copy = { node: 'disk0', pool: '0'.repeat(16), path: 'disk0.raw' };
    const two = {
      copied: [path.join(strange, 'disk0.raw'), file],
      copies: [copy, copy],
    };
    const [check] =
      (await giveUpDisks({ plan, known: { ...known, ...two } }, 'm1', signal)).checks ?? [];
    assert.match(check?.evidence ?? '', /left as it is: .*linked\/disk0\.raw, since .*removed: /);
    assert.deepEqual(await readdir(directory), ['linked']);
  });

  test('source images are not removed through a symbolic link with their name', async () => {
    await rename(file, `${file}.real`);
    await symlink(`${file}.real`, file);
    await giveUpDisks(stateOf(false), 'm1', signal);
    assert.deepEqual(await readdir(directory), ['disk0.raw', 'disk0.raw.real']);
  });

  test('source images stay if their identity was never recorded, or another file has their new name', async () => {
    await writeFile(`${file}.moved-m1`, 'somebody’s');
    await giveUpDisks(stateOf(false), 'm1', signal);
    assert.deepEqual(await readdir(directory), ['disk0.raw', 'disk0.raw.moved-m1']);
    await rm(`${file}.moved-m1`);
    identity = undefined;
    const [check] = (await giveUpDisks(stateOf(false), 'm1', signal)).checks ?? [];
    assert.match(check?.evidence ?? '', /not known whether it is the file that the guest had open/);
    assert.deepEqual(await readdir(directory), ['disk0.raw']);
  });

  test('source images that another program has open stay, and the program is named', async () => {
    const other = spawn('sleep', ['60'], { stdio: [openSync(file, 'r+'), 'ignore', 'ignore'] });
    try {
      await once(other, 'spawn');
      const [check] = (await giveUpDisks(stateOf(false), 'm1', signal)).checks ?? [];
      assert.match(check?.evidence ?? '', new RegExp(`process ${other.pid} \\(sleep\\) uses it`));
      assert.deepEqual(await readdir(directory), ['disk0.raw']);
    } finally {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
  });

  test('a migration that copied no images sets none aside', async () => {
    const { state } = initialSource(planned());
    assert.deepEqual(await giveUpDisks(state, 'm1', signal), {});
    assert.deepEqual(await readdir(directory), ['disk0.raw']);
  });
});
