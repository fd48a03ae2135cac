import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig } from '../../../../../src/config.ts';
import type { SourceVolume } from '../../../../../src/port/inspection.ts';
import { openPlaceIds } from '../../../../../src/mover/direct/destination/disks/place-ids.ts';
import {
  answerStorage,
  diskFiles,
  withOwnPlaces,
} from '../../../../../src/mover/direct/destination/disks/storage.ts';
import type { LookDependencies } from '../../../../../src/mover/direct/source/source-base.ts';
import { judgeVolume, proveVolumes } from '../../../../../src/mover/direct/source/disks/volumes.ts';
import type { ImagePlace } from '../../../../../src/protocol/disk.ts';
import type { Preparation, StorageProof } from '../../../../../src/protocol/peer/migration.ts';
import type { Check } from '../../../../../src/protocol/public/migration.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';
import { peerOf } from '../answers.ts';

const soon = (): AbortSignal => AbortSignal.timeout(10_000);
const check = (name: string): Check => ({ name, side: 'source', verdict: 'pass', evidence: name });

function volume(file: string, change: Partial<SourceVolume> = {}): SourceVolume {
  return {
    node: 'volume-0',
    device: '/data',
    file,
    kind: 'directory',
    bytes: 10,
    ifCopied: [check('devices')],
    ifShared: [check('blocked')],
    ...change,
  } as SourceVolume;
}

/** Two hosts: what each has as its storage, of directories of this one. */
function hosts(
  t: TestContext,
  own: readonly string[],
  theirs: readonly string[],
  mode = 'precopy',
) {
  const top = tempDir(t);
  for (const each of [...own, ...theirs]) mkdirSync(path.join(top, each), { recursive: true });
  mkdirSync(path.join(top, 'm'));
  const configOf = (name: string, storage: readonly string[]) =>
    agentConfig.parse({
      name,
      address: '127.0.0.1:7001',
      stateDir: top,
      storage: storage.map((each) => ({ path: path.join(top, each) })),
    });
  const there = { config: configOf('b', theirs), placeIds: openPlaceIds(path.join(top, 'm')) };
  const asked: StorageProof[] = [];
  const context: unknown = {
    config: configOf('a', own),
    request: { id: 'm-1', request: { guest: 'box' } },
    state: () => ({ plan: { from: 'a', to: 'b', settings: { mode } }, known: {} }),
    peer: peerOf({
      storage: async ({ body }: { body: StorageProof }) => {
        asked.push(body);
        return answerStorage(there, { id: 'm-1', from: 'a' }, body);
      },
    }),
  };
  /** What the destination would mount for a place that the source names; or why it does not. */
  const mounted = async (places: readonly ImagePlace[]): Promise<Map<string, string> | string> => {
    const description = { name: 'box', spec: {} };
    const asks = { description, places: [...places] } as unknown as Preparation;
    try {
      const { files, checks } = await diskFiles(there, await withOwnPlaces(there, asks, true));
      return checks.find(({ error }) => error !== undefined)?.evidence ?? new Map(files);
    } catch (error) {
      return String(error);
    }
  };
  return { top, context: context as LookDependencies, there, asked, mounted };
}

const left = (directory: string): string[] =>
  readdirSync(directory).filter((each) => each.startsWith('.godwit-'));

describe('a volume of a container', () => {
  test("a container's volume stays if both hosts read each other's files, and is mounted by that directory", async (t) => {
    const { top, context, mounted } = hosts(t, ['both'], ['both', 'other']);
    const file = path.join(top, 'both', 'db', 'data');
    mkdirSync(file, { recursive: true });
    mkdirSync(path.join(top, 'both', 'db', 'payroll'));
    const { places, checks } = await proveVolumes(context, [volume(file)], soon());
    assert.deepEqual(left(file), []);
    assert.deepEqual(
      checks.map(({ name, side }) => [name, side]),
      [
        ['blocked', 'source'],
        ['disks', 'both'],
      ],
    );
    assert.match(checks[1]?.evidence ?? '', /a and b each read what the other wrote there/);
    assert.deepEqual(await mounted(places), new Map([['volume-0', file]]));
    // Its id opens nothing else: nothing above it, beside it or below it.
    for (const part of ['db', 'db/payroll', 'db/data/sub/deep', 'both']) {
      const elsewhere = places.map((each) => ({ ...each, path: part }));
      assert.equal(typeof (await mounted(elsewhere)), 'string', part);
    }
    // Another directory by that name is not the one that was proved.
    renameSync(file, `${file}.away`);
    mkdirSync(file);
    assert.match(JSON.stringify(await mounted(places)), /no proof of shared storage/);
  });

  test("a container's volume is copied if the destination has another directory of that name", async (t) => {
    const { top, context, asked } = hosts(t, ['own'], ['theirs']);
    for (const each of ['own', 'theirs'])
      mkdirSync(path.join(top, each, 'db'), { recursive: true });
    const { places, checks } = await proveVolumes(
      context,
      [volume(path.join(top, 'own/db'))],
      soon(),
    );
    assert.deepEqual(places, []);
    const wanted = { directory: 'db', file: '.godwit-m-1', volume: true };
    assert.partialDeepStrictEqual(asked[0]?.places[0], wanted);
    assert.equal(checks[0]?.name, 'devices');
    assert.match(checks[1]?.evidence ?? '', /not on storage that b sees .*so it is copied/);
    assert.deepEqual([...left(path.join(top, 'own/db')), ...left(path.join(top, 'theirs/db'))], []);
  });

  test("a container's volume outside its host's storage is copied, and nothing is written to it", async (t) => {
    const { top, context, asked } = hosts(t, [], ['both']);
    const file = path.join(top, 'both', 'db');
    mkdirSync(file);
    const { places, checks } = await proveVolumes(context, [volume(file)], soon());
    assert.deepEqual([places, asked], [[], []]);
    assert.match(checks[1]?.evidence ?? '', /names no directory of this host/);
  });

  test('a volume that is a file is proved in its directory, and no other file there is mounted for it', async (t) => {
    const { top, context, mounted } = hosts(t, ['both'], ['both']);
    for (const each of ['names', 'secrets']) writeFileSync(path.join(top, 'both', each), each);
    symlinkSync('secrets', path.join(top, 'both', 'link'));
    const one = volume(path.join(top, 'both', 'names'), { kind: 'file' });
    const { places } = await proveVolumes(context, [one], soon());
    assert.deepEqual(await mounted(places), new Map([['volume-0', one.file]]));
    const link = places.map((each) => ({ ...each, path: 'link' }));
    assert.match(JSON.stringify(await mounted(link)), /a symbolic link/);
  });

  test("a container's volume is copied by an older destination, which only knows image directories", async (t) => {
    const { top, context, there } = hosts(t, ['both'], ['both']);
    mkdirSync(path.join(top, 'both', 'db'));
    const earlier = {
      ...context,
      peer: peerOf({
        storage: async ({ body }: { body: StorageProof }) => {
          const places = body.places.map(({ directory, file }) => ({ directory, file }));
          return answerStorage(there, { id: 'm-1', from: 'a' }, { places });
        },
      }),
    } as unknown as LookDependencies;
    const one = volume(path.join(top, 'both/db'));
    const { places, checks } = await proveVolumes(earlier, [one], soon());
    assert.deepEqual(places, []);
    assert.match(checks[1]?.evidence ?? '', /b is of an earlier build/);
  });

  test("a container's volume is refused by name if the destination sees it but may not write there", () => {
    const why = 'b reads what a wrote there, and may not write there (EROFS)';
    const ends = { guest: 'box', from: 'a', to: 'b' };
    const [found] = judgeVolume(volume('/srv/db'), { why, readOnly: true }, ends);
    assert.equal(found?.error?.code, 'GODWIT_DEVICE_UNMAPPED');
    assert.match(found.evidence, /the volume \/data of box .* may not write there \(EROFS\)/);
  });

  test('a volume that only prevents sending memory does not refuse a cold move', async (t) => {
    const { top, context } = hosts(t, ['both'], ['both'], 'cold');
    mkdirSync(path.join(top, 'both', 'db'));
    const { checks } = await proveVolumes(context, [volume(path.join(top, 'both/db'))], soon());
    assert.deepEqual(
      checks.map(({ name }) => name),
      ['disks'],
    );
  });
});
