import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  answerImage,
  dropNotes,
  fileOfImage,
  identityOfImage,
  imagePoolOf,
  imagePoolsOf,
  isAnswered,
  refuseOthers,
  stampOfImage,
  noteForProof,
  type ImagePool,
} from '../../../src/disks/proof/rbd-images.ts';

const soon = (): AbortSignal => AbortSignal.timeout(30_000);
const MIGRATION = 'm-1';
const CHALLENGE = 'ab'.repeat(32);

/** Stands for Ceph’s program: images are folders of files. It takes the words that Godwit gives the real one. */
const PROGRAM = `#!/bin/sh
while [ "\${1#--}" != "$1" ]; do
  [ "$1 $2" != "--id reader" ] || readonly=yes
  shift 2
done
at="$GODWIT_TEST_RBD"
missing() { echo "rbd: $1: (2) No such file or directory" >&2; exit 2; }
case "$1" in
  info) cat "$at/$2/info" 2>/dev/null || missing "error opening image $2" ;;
  status) cat "$at/$2/status" ;;
  image-meta)
    note="$at/$3/$4"
    case "$2" in
      get) cat "$note" 2>/dev/null || missing 'getting metadata failed' ;;
      set) [ -z "$readonly" ] || { echo 'rbd: setting metadata failed: (1) Operation not permitted' >&2; exit 1; }
        printf %s "$5" >"$note" ;;
      remove) rm "$note" 2>/dev/null || missing 'removing metadata failed' ;;
    esac ;;
esac
`;

describe('pools', () => {
  const pools = imagePoolsOf([
    { path: '/srv' },
    { rbd: 'vms' },
    { rbd: 'vms/site-a', user: 'vm', conf: '/etc/ceph/a.conf', keyring: '/etc/ceph/vm' },
  ]);

  test('a pool has the images of its name and namespace, as the configured user', () => {
    const where = (file: string): unknown => {
      const at = imagePoolOf(pools, file);
      return 'found' in at ? fileOfImage(at.found.pool, at.found.path) : at.problem;
    };
    assert.equal(
      where('rbd:vms/d0'),
      'rbd:vms/d0:id=admin:keyring=/etc/ceph/ceph.client.admin.keyring',
    );
    assert.equal(
      where('rbd:vms/site-a/d0:id=other'),
      'rbd:vms/site-a/d0:id=vm:conf=/etc/ceph/a.conf:keyring=/etc/ceph/vm',
    );
    assert.match(String(where('rbd:other/d0')), /in none of the pools/);
    assert.match(String(where('rbd:vms/d0@s')), /does not know/);
    assert.match(JSON.stringify(imagePoolOf([], 'rbd:vms/d0')), /names no pool of RBD/);
  });
});

describe('images of a pool', () => {
  const [own, reader] = imagePoolsOf([{ rbd: 'vms' }, { rbd: 'vms', user: 'reader' }]);
  assert.ok(own !== undefined && reader !== undefined);
  const before_ = { PATH: process.env['PATH'], GODWIT_TEST_RBD: process.env['GODWIT_TEST_RBD'] };
  let top: string;

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-rbd-'));
    await writeFile(path.join(top, 'rbd'), PROGRAM, { mode: 0o755 });
    process.env['PATH'] = `${top}:${process.env['PATH'] ?? ''}`;
    process.env['GODWIT_TEST_RBD'] = top;
  });
  after(async () => {
    process.env['PATH'] = before_.PATH;
    delete process.env['GODWIT_TEST_RBD'];
    await rm(top, { recursive: true });
  });
  beforeEach(() => image({}));

  async function image({ id = '10ab', size = 64, watchers = 1 }): Promise<void> {
    const at = path.join(top, 'vms/d0');
    await mkdir(at, { recursive: true });
    const info = { id, size, create_timestamp: 'Mon Nov 23 18:24:01 2026', features: [] };
    await writeFile(path.join(at, 'info'), JSON.stringify(info));
    const status = { watchers: Array.from({ length: watchers }, () => ({ address: 'x' })) };
    await writeFile(path.join(at, 'status'), JSON.stringify(status));
  }

  const rbd = { pool: 'vms', image: 'd0' };
  async function answer(pools: readonly ImagePool[], samples?: readonly string[], ids?: string[]) {
    const identity = await identityOfImage(own!, 'd0', soon());
    const reported = samples === undefined ? {} : { samples: [...samples] };
    const asked = { bytes: identity.bytes, ids: ids ?? [...identity.ids], rbd, ...reported };
    return answerImage(pools, { asked, rbd, migration: MIGRATION, challenge: CHALLENGE }, soon());
  }

  test("an image is shared if each host reads the other's bytes, and nothing of them is left", async () => {
    assert.deepEqual(await answer([own]), { challenge: CHALLENGE });
    const reported = await noteForProof(own, 'd0', MIGRATION, soon());
    const { samples: there = [], pool, path: name, stamp } = await answer([own], reported);
    assert.deepEqual([pool, name], [own.id, 'd0']);
    assert.equal(stamp, await stampOfImage(own, 'd0', soon()));
    const asked = { migration: MIGRATION, there };
    assert.equal(await isAnswered(own, 'd0', asked, soon()), true);
    assert.equal(await isAnswered(own, 'd0', { ...asked, there: reported }, soon()), false);
    await dropNotes(own, 'd0', MIGRATION, soon());
    await dropNotes(own, 'd0', MIGRATION, soon());
    assert.equal(await isAnswered(own, 'd0', asked, soon()), false);
    await image({ id: 'ffff' });
    assert.notEqual(stamp, await stampOfImage(own, 'd0', soon()));
  });

  test("an image is not shared if it is another one, or if the source's bytes are missing", async () => {
    const reported = await noteForProof(own, 'd0', MIGRATION, soon());
    const other = await answer([own], reported, ['created now', 'rbd ffff']);
    assert.match(other.problem ?? '', /is another image there/);
    const lied = await answer([own], reported.toReversed());
    assert.match(lied.problem ?? '', /what the source wrote beside it is not there/);
    assert.deepEqual(await answer([], reported), {});
    await dropNotes(own, 'd0', MIGRATION, soon());
    assert.match((await answer([own], ['', ''])).problem ?? '', /is not there/);
  });

  test("an image is refused if the host may not write to it, with Ceph's message", async () => {
    const reported = await noteForProof(own, 'd0', MIGRATION, soon());
    assert.match((await answer([reader], reported)).problem ?? '', /Operation not permitted/);
    await assert.rejects(identityOfImage(own, 'none', soon()), /No such file or directory/);
    await dropNotes(own, 'd0', MIGRATION, soon());
  });

  test('an image is refused if more than one client has it open', async () => {
    await refuseOthers(own, 'd0', true, soon());
    await image({ watchers: 2 });
    await assert.rejects(refuseOthers(own, 'd0', true, soon()), /2 clients have it open/);
  });

  test('an image without an open client is refused if the guest writes to it: the guest has another image', async () => {
    await image({ watchers: 0 });
    await assert.rejects(
      refuseOthers(own, 'd0', true, soon()),
      /no client has it open, so the image of this name is not the image that the guest has open/,
    );
    await refuseOthers(own, 'd0', false, soon());
  });
});
