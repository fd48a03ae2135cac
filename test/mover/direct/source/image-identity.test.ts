import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig } from '../../../../src/config.ts';
import { answerProof } from '../../../../src/disks/proof/proof.ts';
import { openPools } from '../../../../src/disks/proof/pools.ts';
import { identityOf } from '../../../../src/system/files/open-files.ts';
import type { LookDependencies } from '../../../../src/mover/direct/source/source-base.ts';
import {
  proveStorage,
  type StorageFound,
} from '../../../../src/mover/direct/source/disks/storage.ts';
import type { Disk, ProofPlace } from '../../../../src/protocol/disk.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { peerOf } from './answers.ts';

const image = (node: string, readOnly = false): Disk['images'][number] => ({
  node,
  format: 'raw',
  bytes: 1 << 20,
  readOnly,
});

/** A guest on host a with an image in `shared`, which host b sees too, and an image on a base of it in `own`. */
function stage(t: TestContext, isKnown: boolean) {
  const root = realpathSync(tempDir(t));
  const files = Object.fromEntries(
    ['shared0', 'own0', 'own1'].map((node) => {
      const directory = path.join(root, node.replace(/\d/, ''));
      mkdirSync(directory, { recursive: true });
      writeFileSync(path.join(directory, node), node);
      return [node, path.join(directory, node)];
    }),
  );
  const storage = ['shared', 'own'].map((name) => ({ path: path.join(root, name) }));
  const own = { name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere', peers: {}, storage };
  const disks: Disk[] = [
    { name: 'vda', images: [image('shared0')] },
    { name: 'vdb', images: [image('own0'), image('own1', true)] },
  ];
  const identities = async (): Promise<Record<string, string>> => {
    const found: Record<string, string> = {};
    for (const [node, file] of Object.entries(files)) found[node] = (await identityOf(file)) ?? '';
    return isKnown ? found : {};
  };
  const api = {
    storage: async ({ body }: { body: { places: ProofPlace[] } }) => {
      const pools = await openPools(storage.slice(0, 1));
      const places = [];
      for (const each of body.places) places.push(await answerProof(pools, each));
      return { places };
    },
  };
  const context: unknown = {
    config: agentConfig.parse(own),
    guest: {
      inspect: async () => ({ description: { disks }, files, identities: await identities() }),
    },
    request: { id: 'm-1', request: { guest: 'web1' } },
    state: () => ({ plan: { from: 'a', to: 'b' }, known: {} }),
    peer: peerOf(api),
  };
  const proving = (): Promise<StorageFound> =>
    proveStorage(context as LookDependencies, AbortSignal.timeout(30_000));
  return { files, proving };
}

/** What the check of other users comes to while a program has these files open. */
async function judgedWhile(
  { proving }: ReturnType<typeof stage>,
  open: readonly number[],
): Promise<string[]> {
  const stdio = ['ignore', 'ignore', 'ignore', ...open] as const;
  const other = spawn('sleep', ['60'], { stdio: [...stdio] });
  await once(other, 'spawn');
  try {
    const { checks } = await proving();
    return checks
      .filter(({ name }) => name === 'image-users')
      .map(({ verdict, evidence, error }) =>
        error === undefined
          ? verdict
          : `${error.code} ${evidence.includes(`${other.pid} (sleep)`)}`,
      );
  } finally {
    other.kill('SIGKILL');
    await once(other, 'exit');
  }
}

describe('image identity', () => {
  test('an image is named with its number if the file system has the same numbers at both hosts', async (t) => {
    const { proving, files } = stage(t, true);
    const { ino } = statSync(files['shared0'] ?? '', { bigint: true });
    const { places } = await proving();
    assert.deepEqual(
      places.map(({ node, inode }) => [node, inode]),
      [['shared0', String(ino)]],
    );
    // Nothing is compared if the driver does not know the file.
    const [unknown] = (await stage(t, false).proving()).places;
    assert.equal(unknown?.inode, undefined);
  });

  test('an image is not copied while another program here has the file open; shared and base images may be open', async (t) => {
    const staged = stage(t, true);
    const held = ['own0', 'own1', 'shared0'].map((node) =>
      openSync(staged.files[node] ?? '', node === 'shared0' ? 'r+' : 'r'),
    );
    t.after(() => held.forEach((each) => closeSync(each)));
    assert.deepEqual(await judgedWhile(staged, []), ['pass']);
    assert.deepEqual(await judgedWhile(staged, held.slice(1)), ['pass']);
    assert.deepEqual(await judgedWhile(staged, held), ['GODWIT_DISK_IN_USE true']);
    const writes = openSync(staged.files['own1'] ?? '', 'r+');
    t.after(() => closeSync(writes));
    assert.deepEqual(await judgedWhile(staged, [writes]), ['GODWIT_DISK_IN_USE true']);
  });
});
