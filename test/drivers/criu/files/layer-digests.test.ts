import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { keptDigest } from '../../../../src/drivers/criu/files/layer-digests.ts';
import { until } from '../../../until.ts';

const DIGEST = 'a'.repeat(64);

describe('the digest of a layer', () => {
  let top: string;
  let layer: string;
  let file: string;
  let reads = 0;
  const signal = new AbortController().signal;

  const digest = (): Promise<string> =>
    keptDigest(
      layer,
      file,
      async () => {
        reads += 1;
        return DIGEST;
      },
      signal,
    );

  before(async () => {
    top = await mkdtemp(path.join(os.tmpdir(), 'godwit-layers-'));
    [layer, file] = [path.join(top, 'layer'), path.join(top, '.layers.json')];
    await mkdir(path.join(layer, 'usr/bin'), { recursive: true });
    await writeFile(path.join(layer, 'usr/bin/app'), 'one');
  });
  after(() => rm(top, { recursive: true }));

  /** What has just changed may change again at the same time, and is not kept. */
  const settled = (): Promise<true> =>
    until('the layer to be kept', 20_000, async () => {
      const from = reads;
      assert.equal(await digest(), DIGEST);
      return reads === from ? true : undefined;
    });

  test('the digest is read once, and again once a file deep in the layer was written, whatever its times are', async () => {
    await settled();
    const inside = path.join(layer, 'usr/bin/app');
    const long = new Date(systemClock.wallMs() - 3_600_000);
    await writeFile(inside, 'two');
    await utimes(inside, long, long);
    const from = reads;
    await digest();
    assert.equal(reads, from + 1);
  });

  test("the digest is kept next to those of the image's other layers, all of which are read at once", async () => {
    const layers = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map(async (name) => {
        const directory = path.join(top, name);
        await mkdir(directory);
        await writeFile(path.join(directory, 'file'), name);
        return directory;
      }),
    );
    let read = 0;
    const all = (): Promise<string[]> =>
      Promise.all(
        layers.map((each) =>
          keptDigest(
            each,
            file,
            async () => {
              read += 1;
              return DIGEST;
            },
            signal,
          ),
        ),
      );
    // Once they have settled: they are read once more, and all of them are kept.
    await until('one of them to be kept', 20_000, async () => {
      const from = read;
      await all();
      return read - from < layers.length ? true : undefined;
    });
    const from = read;
    await all();
    assert.equal(read, from);
  });

  test('the digest is read again if the kept one is damaged', async () => {
    await settled();
    const good = await readFile(file, 'utf8');
    for (const damaged of ['', '{', '[]', '{"x":1}', good.slice(0, -9)]) {
      await writeFile(file, damaged);
      const from = reads;
      assert.equal(await digest(), DIGEST);
      assert.equal(reads, from + 1, damaged);
    }
  });

  test('the digest of a single file is kept as well, until the file changes', async () => {
    const single = path.join(top, 'libcuda.so.580');
    await writeFile(single, 'one');
    let own = 0;
    const once = (): Promise<string> =>
      keptDigest(single, file, async () => ((own += 1), DIGEST), signal);
    await until('the file to be kept', 20_000, async () => {
      const before = own;
      await once();
      return own === before ? true : undefined;
    });
    const before = own;
    await writeFile(single, 'other');
    await once();
    assert.equal(own, before + 1);
  });
});
