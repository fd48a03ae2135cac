import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig } from '../../../../../src/config.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { answerProof } from '../../../../../src/disks/proof/proof.ts';
import { openPools } from '../../../../../src/disks/proof/pools.ts';
import type { LookDependencies } from '../../../../../src/mover/direct/source/source-base.ts';
import {
  proveStorage,
  type StorageFound,
} from '../../../../../src/mover/direct/source/disks/storage.ts';
import type { Disk, ProofPlace } from '../../../../../src/protocol/disk.ts';
import { loopOf } from '../../../../disks/proof/loops.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';
import { peerOf } from '../answers.ts';
import { unreachable } from '../unreachable.ts';

const LUN = 'iscsi://127.0.0.1:1/iqn.2026-01.example:disks/0';

interface Image {
  readonly node: string;
  readonly readOnly?: boolean;
  /** Where it lies, also outside of the source's storage. */
  readonly file?: string;
}

function diskOf(name: string, ...images: readonly Image[]): Disk {
  const described = images.map(({ node, readOnly = false }) => ({
    node,
    format: 'raw' as const,
    bytes: 1 << 20,
    readOnly,
  }));
  return { name, images: described };
}

interface Hosts {
  readonly disks: readonly { readonly name: string; readonly images: readonly Image[] }[];
  readonly uncopyable?: Readonly<Record<string, string>>;
  /** What the destination answers instead of what it sees. */
  readonly answers?: Error;
  readonly storage?: readonly object[];
}

/**
 * Host a has the directories `shared` and `own`, host b has `shared` too, and looks at the very files. An image lies at
 * `shared/NODE` where its name begins so, else at `own/NODE`.
 */
function stage(root: string, given: Hosts) {
  const files: Record<string, string> = {};
  for (const { node, file } of given.disks.flatMap(({ images }) => images)) {
    const directory = path.join(root, node.startsWith('shared') ? 'shared' : 'own');
    mkdirSync(directory, { recursive: true });
    files[node] = file ?? path.join(directory, node);
    if (file === undefined) writeFileSync(path.join(directory, node), '');
  }
  const asked: (readonly ProofPlace[])[] = [];
  const own = { name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere', peers: {} };
  const storage = [
    { path: path.join(root, 'shared') },
    { path: path.join(root, 'own') },
    { iscsi: 'iscsi://127.0.0.1:1/iqn.2026-01.example:disks' },
    ...(given.storage ?? []),
  ];
  const api = {
    storage: async ({ body }: { body: { places: ProofPlace[]; devices?: object[] } }) => {
      asked.push(body.places);
      if (given.answers !== undefined) throw given.answers;
      const pools = await openPools([{ path: path.join(root, 'shared') }]);
      const places = [];
      for (const each of body.places) places.push(await answerProof(pools, each));
      return { places, devices: (body.devices ?? []).map(() => ({})) };
    },
  };
  const disks = given.disks.map(({ name, images }) => diskOf(name, ...images));
  const context: unknown = {
    config: agentConfig.parse({ ...own, storage }),
    guest: {
      inspect: async () => ({ description: { disks }, files, uncopyable: given.uncopyable ?? {} }),
    },
    request: { id: 'm-1', request: { guest: 'web1' } },
    state: () => ({ plan: { from: 'a', to: 'b' }, known: {} }),
    peer: peerOf(api),
  };
  const proving = (): Promise<StorageFound> =>
    proveStorage(context as LookDependencies, AbortSignal.timeout(30_000));
  return { asked, proving, files };
}

const rootOf = (t: TestContext): string => realpathSync(tempDir(t));

function left(root: string): string[] {
  const all = readdirSync(root, { recursive: true }).map(String);
  return all.filter((name) => name.includes('.godwit-'));
}

/** Each check in few words. */
function judged({ checks }: StorageFound): string[] {
  return checks.map(({ verdict, side, error }) =>
    [verdict, side, ...(error === undefined ? [] : [error.code])].join(' '),
  );
}

/** The stage knows no open files, so other users of what is copied or sent are unknown. */
const USERS_UNKNOWN = 'warn source';

describe('the storage of a guest', () => {
  test('the storage of a guest without disks is not checked', async (t) => {
    const { asked, proving } = stage(rootOf(t), { disks: [] });
    assert.deepEqual((await proving()).checks, []);
    assert.deepEqual(asked, []);
  });

  test('shared storage is opened at the destination, and no proof file stays', async (t) => {
    const root = rootOf(t);
    const { proving } = stage(root, { disks: [{ name: 'vda', images: [{ node: 'shared0' }] }] });
    const found = await proving();
    const [pool] = await openPools([{ path: path.join(root, 'shared') }]);
    assert.deepEqual(found.places, [{ node: 'shared0', pool: pool?.id, path: 'shared0' }]);
    assert.deepEqual([found.copies, found.bases, found.copied], [[], [], []]);
    assert.deepEqual(judged(found), ['pass both']);
    assert.match(found.checks[0]?.evidence ?? '', /^vda: .*a and b each read what the other wrote/);
    assert.deepEqual(left(root), []);
  });

  test('shared storage is proved by one file for all images of a directory', async (t) => {
    const disks = [
      { name: 'vda', images: [{ node: 'shared0' }] },
      { name: 'vdb', images: [{ node: 'shared1' }, { node: 'shared2', readOnly: true }] },
      { name: 'vdc', images: [{ node: 'own0' }] },
    ];
    const { asked, proving } = stage(rootOf(t), { disks });
    assert.equal((await proving()).places.length, 3);
    const places = [0, 1].map(() => ({ directory: '', file: '.godwit-m-1' }));
    assert.partialDeepStrictEqual(asked, [places]);
  });

  test('shared storage is proved for each directory separately, in any order', async (t) => {
    for (const nodes of [
      ['own0', 'shared0'],
      ['shared0', 'own0'],
    ]) {
      const root = rootOf(t);
      const disks = nodes.map((node, index) => ({ name: `vd${index}`, images: [{ node }] }));
      const { proving } = stage(root, { disks });
      const found = await proving();
      assert.deepEqual(judged(found).toSorted(), ['pass both', 'pass source', USERS_UNKNOWN]);
      const [place, copy] = [found.places, found.copies].map(([first]) => first?.node);
      assert.deepEqual([place, copy], ['shared0', 'own0']);
      assert.deepEqual(left(root), []);
    }
  });

  test('unshared storage is copied, with the local backing files', async (t) => {
    const root = rootOf(t);
    const images = [{ node: 'own0' }, { node: 'own1', readOnly: true }];
    const { proving, files } = stage(root, { disks: [{ name: 'vda', images }] });
    const found = await proving();
    assert.deepEqual(found.places, []);
    assert.deepEqual(
      found.copies.map(({ node, path: part }) => [node, part]),
      [['own0', 'own0']],
    );
    assert.deepEqual([found.copied, found.below], [[files['own0']], [[files['own1']]]]);
    assert.deepEqual(
      found.bases.map(({ node }) => node),
      ['own1'],
    );
    assert.deepEqual(judged(found), ['pass source', USERS_UNKNOWN]);
    const evidence = found.checks[0]?.evidence ?? '';
    assert.match(evidence, /not on storage that b sees: it is copied while the guest runs/);
    assert.match(evidence, /sent first, where b has none like it: own1$/);
    assert.deepEqual(left(root), []);
  });

  test('a shared disk may have an unshared backing file, which is sent once for all disks', async (t) => {
    const base = { node: 'own0', readOnly: true };
    const disks = [
      { name: 'vda', images: [{ node: 'shared0' }, base] },
      { name: 'vdb', images: [{ node: 'shared1' }, base] },
    ];
    const found = await stage(rootOf(t), { disks }).proving();
    assert.deepEqual(
      found.places.map(({ node }) => node),
      ['shared0', 'shared1'],
    );
    assert.deepEqual(
      found.bases.map(({ node }) => node),
      ['own0'],
    );
    assert.deepEqual(
      [found.copies, judged(found)],
      [[], ['pass both', 'pass both', USERS_UNKNOWN]],
    );
  });

  test('a disk that the guest only reads is sent as a file, and not through its hypervisor', async (t) => {
    const disks = [{ name: 'cd0', images: [{ node: 'own0', readOnly: true }] }];
    const found = await stage(rootOf(t), { disks }).proving();
    const expected = [[], 1, ['pass source', USERS_UNKNOWN]];
    assert.deepEqual([found.copies, found.bases.length, judged(found)], expected);
  });

  test('a misplaced image is refused once, by its first disk, before any write or question', async (t) => {
    const root = rootOf(t);
    const outside = { node: 'outside0', file: path.join(root, 'outside.raw') };
    writeFileSync(outside.file, '');
    const disks = [
      { name: 'vda', images: [{ node: 'shared0' }] },
      { name: 'vdb', images: [outside] },
      { name: 'vdc', images: [{ node: 'none0', file: path.join(root, 'own', 'none') }, outside] },
    ];
    const { asked, proving } = stage(root, { disks });
    const found = await proving();
    assert.deepEqual(judged(found), Array(2).fill('refuse both GODWIT_DISK_LOCAL'));
    assert.match(
      found.checks[0]?.evidence ?? '',
      /vdb of web1 .*outside\.raw.*on a it lies outside/,
    );
    assert.match(found.checks[1]?.evidence ?? '', /vdc of web1 .*is not there/);
    const [outsideHint, goneHint] = found.checks.map(({ error }) => error?.hint ?? '');
    assert.match(outsideHint ?? '', /`storage` in the configuration of its host/);
    assert.match(goneHint ?? '', /removed or renamed under the guest/);
    assert.deepEqual([found.places, asked, left(root)], [[], [], []]);
  });

  test('an image with an inexact copy is refused, with the reason why it is not shared either', async (t) => {
    const disks = [
      { name: 'vda', images: [{ node: 'own0' }] },
      { name: 'vdb', images: [{ node: 'own1' }] },
    ];
    const found = await stage(rootOf(t), {
      disks,
      uncopyable: { own1: 'it has snapshots' },
    }).proving();
    assert.deepEqual(judged(found), ['refuse both GODWIT_DISK_LOCAL']);
    const evidence = found.checks[0]?.evidence ?? '';
    assert.match(evidence, /vdb .*found in none of the `storage` of b; it has snapshots/);
    // Nothing is copied of a guest that cannot move.
    assert.deepEqual([found.copies, found.copied], [[], []]);
  });

  test('an image that cannot be copied stays if both hosts see it', async (t) => {
    const disks = [{ name: 'vda', images: [{ node: 'shared0' }] }];
    const uncopyable = { shared0: 'it has snapshots' };
    assert.deepEqual(judged(await stage(rootOf(t), { disks, uncopyable }).proving()), [
      'pass both',
    ]);
  });

  test('images that a hypervisor opens by itself are neither copied nor sent', async (t) => {
    for (const readOnly of [false, true]) {
      const disks = [{ name: 'vda', images: [{ node: 'lun0', file: LUN, readOnly }] }];
      const found = await stage(rootOf(t), { disks }).proving();
      assert.deepEqual(judged(found), ['refuse both GODWIT_DISK_LOCAL']);
      assert.match(
        found.checks[0]?.evidence ?? '',
        /a LUN that the hypervisor opens by itself is not copied/,
      );
    }
  });

  test('a missing device that the guest writes to is copied, with a note; a read-only one stays', async (t) => {
    const root = rootOf(t);
    const device = await loopOf(t, path.join(root, 'loop.raw'), Buffer.alloc(1 << 20, 1));
    if (device === undefined) return;
    mkdirSync(path.join(root, 'devices'));
    symlinkSync(device, path.join(root, 'devices', 'db1'));
    const storage = [{ devices: path.join(root, 'devices') }];
    const seen = (readOnly: boolean): Promise<StorageFound> => {
      const disks = [{ name: 'vda', images: [{ node: 'dev0', file: device, readOnly }] }];
      return stage(root, { disks, storage }).proving();
    };
    const written = await seen(false);
    assert.deepEqual(written.copied, [path.join(root, 'devices', 'db1')]);
    assert.match(written.checks[0]?.evidence ?? '', /copied while the guest runs \(.+\)$/);
    const read = await seen(true);
    assert.deepEqual(judged(read), ['refuse both GODWIT_DISK_LOCAL']);
    assert.match(
      read.checks[0]?.evidence ?? '',
      /a device that the guest only reads is not copied/,
    );
  });

  test('the storage is unchanged if the destination does not answer', async (t) => {
    const root = rootOf(t);
    const answers = unreachable;
    const disks = [{ name: 'vda', images: [{ node: 'shared0' }] }];
    const { proving } = stage(root, { disks, answers });
    await assert.rejects(proving, (thrown) => hasCode(thrown, 'GODWIT_UNREACHABLE'));
    assert.deepEqual(left(root), []);
  });

  test('the storage of a long chain is reported in a bounded text', async (t) => {
    const images = Array.from({ length: 120 }, (_, at) => ({
      node: `shared${at}${'x'.repeat(40)}`,
      readOnly: at > 0,
    }));
    const found = await stage(rootOf(t), { disks: [{ name: 'vda', images }] }).proving();
    assert.equal(found.checks[0]?.evidence.length, 4096);
  });
});
