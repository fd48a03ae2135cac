import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CriuDriver } from '../../../../src/drivers/criu/driver.ts';
import { criuOptions } from '../../../../src/drivers/criu/options.ts';
import { findLayers, layerDigest } from '../../../../src/drivers/criu/files/rootfs.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { until } from '../../../until.ts';

const SIGNAL = new AbortController().signal;

test('a host that lists its guests reads their layers, so that a later request need not wait', async (t) => {
  const top = await mkdtemp(path.join(os.tmpdir(), 'godwit-rootfs-'));
  t.after(() => removeTree(top));
  const [layers, records] = [path.join(top, 'layers'), path.join(top, 'records')];
  for (const name of ['one', 'two']) {
    await mkdir(path.join(layers, name, 'bin'), { recursive: true });
    await writeFile(path.join(layers, name, 'bin/app'), name);
  }
  const options = criuOptions.parse({ programs: top, layerDirs: [path.join(top, 'none'), layers] });
  // What has just been written may change again at the same time, and is not kept.
  const kept = await until('both to be kept', 20_000, async () => {
    const driver = new CriuDriver('a', options, records);
    assert.deepEqual(
      await driver.discover({ host: 'a', busy: new Set(), configured: [] }, SIGNAL),
      [],
    );
    const text = await readFile(path.join(records, '.layers.json'), 'utf8').catch(() => '{}');
    const all = JSON.parse(text) as Record<string, { digest: string }>;
    return Object.keys(all).length === 2 ? all : undefined;
  });
  const one = path.join(layers, 'one');
  const digest = await layerDigest(one, records, SIGNAL);
  assert.equal(kept[one]?.digest, digest);
  const wanted = [digest, '0'.repeat(64)];
  const found = await findLayers(wanted, options.layerDirs, records, SIGNAL);
  assert.deepEqual([...found], [[digest, one]]);
  await appendFile(path.join(one, 'bin/app'), 'more');
  assert.deepEqual([...(await findLayers(wanted, options.layerDirs, records, SIGNAL))], []);
});
