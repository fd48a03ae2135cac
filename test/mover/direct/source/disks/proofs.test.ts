import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { agentConfig } from '../../../../../src/config.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { nonceSum, type Beside } from '../../../../../src/disks/proof/proof.ts';
import type { Medium } from '../../../../../src/mover/shared/media.ts';
import { dropProofs } from '../../../../../src/mover/direct/source/disks/storage.ts';
import {
  prove,
  provenMedia,
  type Image,
} from '../../../../../src/mover/direct/source/disks/proofs.ts';
import type { LookDependencies } from '../../../../../src/mover/direct/source/source-base.ts';
import type { DeviceProof, ProofAnswer, ProofPlace } from '../../../../../src/protocol/disk.ts';
import { withDisk } from '../../../../migration/direct/samples.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';
import { peerOf } from '../answers.ts';
import { unreachable } from '../unreachable.ts';

const POOL = { id: 'f'.repeat(16), root: '/srv' };
const OTHER = 'e'.repeat(16);
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

/** A directory, as both hosts may see it: what is in it is here. */
class Directory implements Beside {
  readonly files = new Map<string, string>();
  writes = 0;
  fault: Partial<Record<'write' | 'lostWrite' | 'read' | 'remove', true>> = {};

  async write(name: string): Promise<string> {
    this.writes += 1;
    if (this.fault.write) throw new Error('read-only');
    const nonce = 'a'.repeat(64);
    this.files.set(name, nonce);
    if (this.fault.lostWrite) throw new Error('no answer');
    return nonce;
  }

  async read(name: string): Promise<string> {
    if (this.fault.read) throw new Error('it went away');
    return this.files.get(name) ?? '';
  }

  async remove(name: string): Promise<void> {
    if (this.fault.remove) throw new Error('it stays');
    this.files.delete(name);
  }

  /** What a destination that sees it answers, having added to it. */
  answer(name: string): ProofAnswer {
    const read = this.files.get(name) ?? '';
    const wrote = 'b'.repeat(64);
    this.files.set(name, read + wrote);
    return { pool: OTHER, read, wrote };
  }
}

function imageIn(directory: string, proof: Image['located']['proof'], client?: 'nfs'): Image {
  const part = `${directory}/disk0.raw`;
  const located = { pool: POOL, path: part, directory: `/srv/${directory}`, proof };
  return {
    node: directory,
    disk: 'vda',
    file: `/srv/${part}`,
    located: client === undefined ? located : { ...located, client },
  };
}

function partsOf(storage: (body: ProofRequest) => Promise<object> | object) {
  const context: unknown = {
    config: { name: 'a' },
    request: { id: 'm-1' },
    state: () => ({ plan: { to: 'b' }, known: {} }),
    peer: peerOf({ storage: async ({ body }: { body: ProofRequest }) => storage(body) }),
  };
  return context as LookDependencies;
}

interface ProofRequest {
  readonly places: readonly ProofPlace[];
  readonly devices?: readonly DeviceProof[];
}

/** Both hosts see these directories, in the order in which they are asked for. */
const seeing =
  (...directories: readonly Directory[]) =>
  ({ places }: ProofRequest): object => ({
    places: places.map(({ file }, index) => directories[index]?.answer(file) ?? {}),
  });

describe('a directory with images of a guest', () => {
  test("a directory is shared if each host reads the other's file, by the destination's name for it", async () => {
    const directory = new Directory();
    const proofs = await prove(
      partsOf(seeing(directory)),
      [imageIn('web1', { beside: directory })],
      soon(),
    );
    assert.deepEqual(Object.fromEntries(proofs), { '/srv/web1': { pool: OTHER } });
    assert.equal(directory.files.size, 0);
  });

  test('a directory is proved once in parallel with others, by its kind, and later by another path to it', async () => {
    const [one, other] = [new Directory(), new Directory()];
    const asked: ProofRequest[] = [];
    const images = [
      imageIn('web1', { beside: one }),
      imageIn('web1', { beside: one }),
      imageIn('web1/more', { beside: other }, 'nfs'),
      imageIn('mounted-again', { beside: one }),
    ];
    const see = seeing(one, other);
    const proofs = await prove(
      partsOf((body) => (asked.push(body), see(body))),
      images,
      soon(),
    );
    const proof = { file: '.godwit-m-1', sum: nonceSum('a'.repeat(64)) };
    const [web1, more] = [
      { directory: 'web1', ...proof },
      { directory: 'web1/more', ...proof, nfs: true },
    ];
    const again = { directory: 'mounted-again', ...proof };
    assert.deepEqual(asked, [{ places: [web1, more] }, { places: [again] }]);
    for (const found of proofs.values()) assert.deepEqual(found, { pool: OTHER });
    assert.deepEqual([proofs.size, one.writes, other.writes], [3, 2, 1]);
  });

  test('a directory is not shared if the source cannot write, and the others are proved all the same', async () => {
    const [one, other] = [new Directory(), new Directory()];
    one.fault = { write: true };
    const images = [imageIn('one', { beside: one }), imageIn('other', { beside: other })];
    const proofs = await prove(partsOf(seeing(other)), images, soon());
    assert.deepEqual(Object.fromEntries(proofs), {
      '/srv/one': { why: 'a cannot write beside it: Error: read-only' },
      '/srv/other': { pool: OTHER },
    });
  });

  test('a directory keeps no proof file if only the answer was lost', async () => {
    const directory = new Directory();
    directory.fault = { lostWrite: true };
    const images = [imageIn('web1', { beside: directory })];
    const proofs = await prove(partsOf(seeing()), images, soon());
    assert.ok('why' in (proofs.get('/srv/web1') ?? {}));
    assert.equal(directory.files.size, 0);
  });

  test('a directory is not proved at the destination if no file could be written', async () => {
    const directory = new Directory();
    directory.fault = { write: true };
    const context = partsOf(() => assert.fail('nothing was to be asked'));
    const image = imageIn('web1', { beside: directory });
    await prove(context, [image, image], soon());
    assert.equal(directory.writes, 1);
  });

  test('a directory is not shared if the destination does not see it, or its answer is unreadable', async () => {
    const unseen = new Directory();
    const image = imageIn('web1', { beside: unseen });
    const why = async (answer: (body: ProofRequest) => object): Promise<string> => {
      const proof = (await prove(partsOf(answer), [image], soon())).get('/srv/web1');
      return proof !== undefined && 'why' in proof ? proof.why : 'none';
    };
    assert.match(await why(() => ({ places: [] })), /found in none of the `storage` of b/);
    const wrote = 'b'.repeat(64);
    const claims = { pool: OTHER, read: 'a'.repeat(64), wrote };
    assert.equal(await why(() => ({ places: [claims] })), 'a did not read what b had written');
    unseen.fault = { read: true };
    assert.equal(await why(seeing(unseen)), 'a did not read what b had written');
    assert.equal(unseen.files.size, 0);
  });

  test('a directory does not count as shared if the proof file cannot be removed', async () => {
    const directory = new Directory();
    directory.fault = { remove: true };
    const images = [imageIn('web1', { beside: directory })];
    const proofs = await prove(partsOf(seeing(directory)), images, soon());
    assert.deepEqual(
      [...proofs.values()],
      [{ why: 'a cannot remove what it wrote beside it: Error: it stays' }],
    );
  });

  test('a directory keeps no proof file if the destination does not answer', async () => {
    const directory = new Directory();
    const context = partsOf(() => Promise.reject(unreachable));
    const proving = prove(context, [imageIn('web1', { beside: directory })], soon());
    await assert.rejects(proving, (thrown) => hasCode(thrown, 'GODWIT_UNREACHABLE'));
    assert.equal(directory.files.size, 0);
  });

  test('a directory keeps no proof file if the migration is canceled at any moment', async () => {
    for (const at of ['write', 'answer', 'read'] as const) {
      const directory = new Directory();
      const stop = new AbortController();
      const cancel = (): void => stop.abort(new Error('cancelled'));
      const beside: Beside = {
        write: async (name) => {
          const nonce = await directory.write(name);
          if (at !== 'write') return nonce;
          cancel();
          throw new Error('it was ended');
        },
        read: async (name) => {
          if (at === 'read') cancel();
          return directory.read(name);
        },
        // Whoever removes it must not do so with the signal that has aborted.
        remove: async (name, signal) => {
          signal.throwIfAborted();
          await directory.remove(name);
        },
      };
      const context = partsOf((body) => {
        if (at === 'answer') cancel();
        stop.signal.throwIfAborted();
        return seeing(directory)(body);
      });
      await assert.rejects(prove(context, [imageIn('web1', { beside })], stop.signal), /cancelled/);
      assert.equal(directory.files.size, 0, at);
    }
  });
});

describe('a medium of a guest', () => {
  const medium: Medium = {
    identity: async () => ({ bytes: 1024, ids: ['id one'] }),
    prove: async () => ({ samples: ['0123456789abcdef'], judge: async () => ({ same: true }) }),
    drop: async () => {},
    asked: {},
    unknown: 'nothing shows which it is',
    missing: 'there is none',
  };

  test('a medium is proved once, however many disks are on it, and never by a file in a directory', async () => {
    const asked: ProofRequest[] = [];
    const images = [
      imageIn('one', { medium }),
      imageIn('one', { medium }),
      imageIn('two', { beside: new Directory() }),
    ];
    const context = partsOf((body) => {
      asked.push(body);
      const answer =
        asked.length === 1
          ? { challenge: 'ab'.repeat(32) }
          : { pool: OTHER, path: 'x', samples: ['0'] };
      return { places: [], devices: [answer] };
    });
    const verdicts = await provenMedia(context, images, soon());
    assert.deepEqual(Object.fromEntries(verdicts), { '/srv/one': { pool: OTHER, path: 'x' } });
    assert.deepEqual(
      asked.map(({ places, devices }) => [places.length, devices?.length]),
      [
        [0, 1],
        [0, 1],
      ],
    );
  });

  test('a medium is not shared with a destination that reports nothing about it', async () => {
    const context = partsOf(() => ({ places: [] }));
    const verdicts = await provenMedia(context, [imageIn('one', { medium })], soon());
    assert.deepEqual(verdicts.get('/srv/one'), { why: 'b: there is none (id one)' });
  });
});

describe('proof files of a dead mover', () => {
  test("a dead mover's proof files are removed next to each image that is found, and nothing else is", async (t) => {
    const root = realpathSync(tempDir(t));
    const directory = path.join(root, 'web1');
    mkdirSync(directory);
    for (const name of ['disk0.raw', '.godwit-m-1', '.godwit-m-2']) {
      writeFileSync(path.join(directory, name), '');
    }
    const own = { name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere', peers: {} };
    const files = { gone0: path.join(root, 'gone'), disk0: path.join(directory, 'disk0.raw') };
    let looks = 0;
    const partsIn = (known: object): LookDependencies => {
      const context: unknown = {
        config: agentConfig.parse({ ...own, storage: [{ path: root }] }),
        request: { id: 'm-1' },
        state: () => ({ known }),
        guest: { inspect: async () => ((looks += 1), { files }) },
      };
      return context as LookDependencies;
    };
    // No proof was begun before the guest's disks were known, and its hypervisor may be gone.
    await dropProofs(partsIn({}), soon());
    assert.equal(looks, 0);
    await dropProofs(partsIn({ description: withDisk() }), soon());
    await dropProofs(partsIn({ description: withDisk() }), soon());
    assert.deepEqual(readdirSync(directory).toSorted(), ['.godwit-m-2', 'disk0.raw']);
  });
});
