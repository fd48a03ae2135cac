import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { parseAgentConfig } from '../../../../../src/config.ts';
import { openPools } from '../../../../../src/disks/proof/pools.ts';
import type { Identifier } from '../../../../../src/port/disks.ts';
import { hasCode } from '../../../../../src/errors.ts';
import type { SeededBackingFile } from '../../../../../src/migration/direct/destination/destination-events.ts';
import type { DestinationState } from '../../../../../src/migration/direct/destination/destination.ts';
import {
  backingFilePaths,
  expectBackingFiles,
  planSeeding,
} from '../../../../../src/mover/direct/destination/disks/backing-plan.ts';
import type { BackingFile } from '../../../../../src/protocol/peer/backing-file.ts';
import type { Seeding } from '../../../../../src/protocol/peer/migration.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const ELSEWHERE = '0'.repeat(16);
const CONTENT = 'a golden image';
const soon = (): AbortSignal => AbortSignal.timeout(30_000);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const images: Identifier = {
  identify: async (file) => {
    const text = readFileSync(file, 'utf8');
    return { bytes: text.length, sha256: sha256(text) };
  },
};

function backing(node: string, file: string, change: Partial<BackingFile> = {}): BackingFile {
  const known = { bytes: CONTENT.length, sha256: sha256(CONTENT) };
  return { node, pool: ELSEWHERE, path: file, ...known, ...change };
}

/** A guest with one disk for each of these backing files, below an image of its own. */
function seeding(...bases: readonly BackingFile[]): Seeding {
  const image = { format: 'qcow2', bytes: 512, readOnly: false } as const;
  const disks = bases.map(({ node }) => ({
    name: node,
    images: [
      { ...image, node: `${node}-top` },
      { ...image, node, readOnly: true },
    ],
  }));
  return { epoch: 1, description: { driver: 'qemu', name: 'web1', disks }, bases } as never;
}

async function host(t: TestContext, hasStorage = true) {
  const top = tempDir(t);
  const root = path.join(top, 'pool');
  mkdirSync(root);
  const storage = hasStorage ? [{ path: root }] : [];
  const text = { name: 'b', address: '127.0.0.1:7001', stateDir: top, storage };
  const config = parseAgentConfig('agent.json', JSON.stringify(text));
  const [pool] = await openPools(config.storage);
  const plan = (asked: Seeding, before: readonly SeededBackingFile[] = []) =>
    planSeeding(config, asked, before, images, soon());
  const paths = (bases: readonly SeededBackingFile[]) =>
    backingFilePaths(
      config,
      { bases, admission: { guest: 'web1' } } as unknown as DestinationState,
      images,
      soon(),
    );
  return { root, config, plan, paths, pool: pool?.id ?? '' };
}

const refused =
  (code: 'GODWIT_DISK_PLACE' | 'GODWIT_DISK_MISSING' | 'GODWIT_DISK_FAILED', words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(hasCode(error, code), String(error));
    assert.match((error as Error).message, words);
    return true;
  };

describe('an unshared backing file', () => {
  test('an unshared backing file is placed in the only storage, and refused by its node without one', async (t) => {
    const { config, root } = await host(t);
    const asked = seeding(backing('base', 'golden.qcow2'));
    const { files, checks } = await expectBackingFiles(config, asked);
    assert.equal(files.get('base'), path.join(root, 'golden.qcow2'));
    assert.deepEqual([checks.length, checks[0]?.verdict], [1, 'pass']);
    const none = await expectBackingFiles((await host(t, false)).config, asked);
    assert.equal(none.checks[0]?.error?.code, 'GODWIT_DISK_PLACE');
    assert.match(none.checks[0].evidence, /base/);
  });

  test('an unshared backing file is sent if no file matches it, and the plan creates nothing', async (t) => {
    const { root, plan, pool } = await host(t);
    const { bases, directories, checks } = await plan(seeding(backing('base', 'img/golden.qcow2')));
    assert.deepEqual(bases, [{ ...backing('base', 'img/golden.qcow2'), pool, made: true }]);
    assert.deepEqual(directories, [path.join(root, 'img')]);
    assert.match(checks[0]?.evidence ?? '', /base: 14 B will be sent to .*img\/golden\.qcow2/);
    assert.deepEqual(readdirSync(root), []);
  });

  test('an unshared backing file is not sent if a read-only file has the same contents under any name', async (t) => {
    const { root, plan, pool } = await host(t);
    writeFileSync(path.join(root, 'debian.qcow2'), CONTENT);
    chmodSync(path.join(root, 'debian.qcow2'), 0o444);
    const { bases, checks } = await plan(seeding(backing('base', 'golden.qcow2')));
    assert.deepEqual(bases, [{ ...backing('base', 'debian.qcow2'), pool, made: false }]);
    assert.match(checks[0]?.evidence ?? '', /debian\.qcow2 holds the same, and nothing is sent/);
  });

  test('an unshared backing file is refused if its name is taken by another file', async (t) => {
    const { root, plan } = await host(t);
    writeFileSync(path.join(root, 'golden.qcow2'), 'another image.');
    await assert.rejects(
      plan(seeding(backing('base', 'golden.qcow2'))),
      refused('GODWIT_DISK_PLACE', /base.*is there already, and does not hold the same/),
    );
  });

  test('a backing file of two disks is sent once; two different ones cannot have the same name', async (t) => {
    const { plan } = await host(t);
    const [one, other] = [backing('base0', 'golden.qcow2'), backing('base1', 'golden.qcow2')];
    const { bases } = await plan(seeding(one, other));
    assert.deepEqual(
      bases.map(({ node, made, path: file }) => [node, made, file]),
      [
        ['base0', true, 'golden.qcow2'],
        ['base1', false, 'golden.qcow2'],
      ],
    );
    const elsewhere = { ...other, pool: '1'.repeat(16) };
    await assert.rejects(
      plan(seeding(one, elsewhere)),
      refused('GODWIT_DISK_PLACE', /base1.*golden\.qcow2 is also to be another image of it/),
    );
  });

  test('a partial backing file keeps its place, and is refused if it has other contents now', async (t) => {
    const { root, plan } = await host(t);
    const asked = seeding(backing('base', 'golden.qcow2'));
    const { bases } = await plan(asked);
    // It is half there: another one would be refused for its name.
    writeFileSync(path.join(root, 'golden.qcow2'), 'a gold');
    assert.deepEqual((await plan(asked, bases)).bases, bases);
    const written = seeding(backing('base', 'golden.qcow2', { sha256: sha256('other') }));
    await assert.rejects(
      plan(written, bases),
      refused('GODWIT_DISK_FAILED', /it has been written to since it was begun to be sent/),
    );
  });

  test('an unshared backing file without facts from its source is refused', async (t) => {
    const { plan } = await host(t);
    const asked = { ...seeding(backing('base', 'golden.qcow2')), bases: [] };
    await assert.rejects(
      plan(asked),
      refused('GODWIT_DISK_PLACE', /base.*the source reported nothing of it/),
    );
  });

  test('a backing file is opened only while its contents match; a newly made one is not read again', async (t) => {
    const { root, plan, paths } = await host(t);
    const file = path.join(root, 'golden.qcow2');
    writeFileSync(file, CONTENT);
    const asked = seeding(backing('base', 'golden.qcow2'));
    const { bases } = await plan(asked);
    assert.equal((await paths(bases)).get('base'), file);
    writeFileSync(file, CONTENT.toUpperCase());
    await assert.rejects(
      paths(bases),
      refused('GODWIT_DISK_MISSING', /base.*it no longer holds what it did/),
    );
    const own = bases.map((each) => ({ ...each, made: true }));
    assert.equal((await paths(own)).get('base'), file);
    rmSync(file);
    await assert.rejects(paths(own), refused('GODWIT_DISK_MISSING', /there is no such file/));
    const gone = own.map((each) => ({ ...each, pool: ELSEWHERE }));
    await assert.rejects(paths(gone), refused('GODWIT_DISK_MISSING', /its storage is gone/));
  });
});
