import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestOptions } from 'node:test';
import { GHOST_BYTES } from '../../../src/drivers/criu/files/ghosts.ts';
import { containerLayer } from '../../../lab/container/layer.ts';
import { refusals, TLS_NAME, Trial } from '../../conformance/trial.ts';
import { until } from '../../until.ts';
import { makeContainerSite, type ContainerSite } from './trial-container.ts';
import { granted } from '../../migration/permission/granted.ts';

/** CRIU by itself takes along 1 MiB of a file that was deleted and is open. */

const options: TestOptions = {
  skip: process.getuid?.() === 0 ? false : 'CRIU and runc need root',
  timeout: 120_000,
};
const MIB = 1024 ** 2;
const SIGNAL = new AbortController().signal;

/** Holds a file open that it has deleted, and says again and again how much of it there is, and the sum of it. */
const program = (fill: string, bytes: number): string =>
  `const fs = require('fs');
   const file = fs.openSync('/gone', 'w+');
   ${fill}
   fs.unlinkSync('/gone');
   let turn = 0;
   setInterval(() => {
     const all = Buffer.alloc(${bytes});
     const count = fs.readSync(file, all, 0, all.length, 0);
     const sum = all.reduce((left, right) => left + right, 0);
     const size = fs.fstatSync(file).size;
     fs.writeFileSync('/new', JSON.stringify({ size, count, sum, turn: (turn += 1) }));
     fs.renameSync('/new', '/said');
   }, 50);`;

async function siteOf(fill: string, bytes: number): Promise<ContainerSite> {
  const args = ['/bin/node', '-e', program(fill, bytes)];
  return makeContainerSite({ program: { layer: await containerLayer(), args } });
}

interface FileReading {
  readonly size: number;
  readonly count: number;
  readonly sum: number;
  readonly turn: number;
}

/** What it has said since `turn`. */
const said = (upper: string, turn = 0): Promise<FileReading> =>
  until('what it says', 60_000, async () => {
    const text = await readFile(path.join(upper, 'said'), 'utf8').catch(() => '');
    const found = text === '' ? undefined : (JSON.parse(text) as FileReading);
    return found !== undefined && found.turn > turn ? found : undefined;
  });

test('a container moves with a deleted file of 2 MiB that it has open', options, async () => {
  const site = await siteOf(`fs.writeSync(file, Buffer.alloc(${2 * MIB}, 7));`, 2 * MIB);
  const trial = new Trial(site);
  try {
    const before = await said(path.join(site.directory, 'a/box/upper'));
    trial.held = false;
    const { source, destination, memoryAddress } = await trial.prepare('precopy');
    await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
    await trial.heard('source', 'completed');
    await destination.resumeGuest(granted(source.handle.name), trial.signal);
    const upper = path.join(site.directory, 'b/containers', site.guest, 'upper');
    const { turn } = await said(upper);
    const after = await said(upper, turn);
    assert.deepEqual({ ...after, turn: before.turn }, before);
    assert.equal(after.sum, 7 * 2 * MIB);
  } finally {
    await trial.dispose();
  }
});

test(
  'a deleted file over the limit is refused by its name, with the way out',
  options,
  async () => {
    const site = await siteOf(`fs.ftruncateSync(file, ${GHOST_BYTES + 1});`, 1);
    const trial = new Trial(site);
    try {
      await said(path.join(site.directory, 'a/box/upper'));
      const source = await trial.openSource();
      const { tls: _, ...stream } = trial.stream('precopy');
      const { checks } = await source.inspect(stream, SIGNAL);
      assert.deepEqual(
        checks.filter(({ verdict }) => verdict === 'refuse').map(({ name }) => name),
        ['blocked'],
      );
      assert.match(refusals(checks).join(), /\/gone.*at most 64 MiB/);
    } finally {
      await trial.dispose();
    }
  },
);
