import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HostGpus } from '../../../src/drivers/criu/gpu/gpu.ts';
import { Records } from '../../../src/drivers/criu/link/records.ts';
import { filesOf } from '../../../src/drivers/criu/host/processes.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { refusals, TLS_NAME, Trial } from '../../conformance/trial.ts';
import { until } from '../../until.ts';
import { GPU_MIB as MIB, makeGpuPlace, REAL_LIBRARY, turnsIn, type GpuPlace } from './gpu-place.ts';
import { makeContainerSite, type ContainerSite } from './trial-container.ts';
import { granted } from '../../migration/permission/granted.ts';

const TURNS = 5;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

describe('a container that works on a GPU', { skip }, () => {
  let directory: string;
  let place: GpuPlace;
  let site: ContainerSite;
  let trial: Trial;

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-gpu-move-'));
  });
  after(() => removeTree(directory));

  /** Each with a container of its own. */
  async function begin(
    name: string,
    { byToolkit = false, ...more }: { byToolkit?: boolean; gpuLibrary?: string } = {},
  ): Promise<void> {
    const own = await mkdtemp(path.join(directory, `${name}-`));
    place = await makeGpuPlace(own, MIB);
    const differs = byToolkit ? await place.byToolkit() : place.differs;
    site = await makeContainerSite({ ...differs, section: { ...differs.section, ...more } });
    trial = new Trial(site);
    await untilItWorks('a');
  }
  async function end(): Promise<void> {
    await trial.dispose();
    place.restore();
  }

  const logOf = (host: 'a' | 'b'): string =>
    host === 'a'
      ? path.join(site.directory, 'a/box/upper/log')
      : path.join(site.directory, 'b', 'containers', site.guest, 'upper/log');

  /** More turns than at the time of the call. */
  async function untilItWorks(host: 'a' | 'b'): Promise<void> {
    const from = (await turnsIn(logOf(host))).turns.length;
    await until(`${TURNS} turns of the worker on ${host}`, 30_000, async () => {
      const { turns, sums } = await turnsIn(logOf(host));
      assert.ok(sums.size <= 1, `what is on the GPU changed: ${[...sums].join()}`);
      return turns.length >= from + TURNS ? true : undefined;
    });
  }

  async function gpuFiles(): Promise<string[]> {
    const { pid } = await infoOf();
    const files = await filesOf(pid);
    return [...files.values()].filter((each) => each.startsWith('/dev/nvidia'));
  }
  async function infoOf(): Promise<{ pid: number }> {
    const options = { host: 'a', busy: new Set<string>(), configured: [] };
    const found = await site.source.discover(options, trial.signal);
    const pid = found.find(({ info }) => info.name === site.guest)?.info.pid;
    assert.ok(pid !== undefined);
    return { pid };
  }

  /** Moves the container that has begun, and sees it work on. */
  async function moves(): Promise<void> {
    try {
      const { pid } = await infoOf();
      await place.says(`${pid}, GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0, ${MIB}\n`);
      const { source, destination, memoryAddress, description } = await trial.prepare('precopy');
      const { gpu } = description.spec as { gpu?: { bytes: number } };
      const limits = await source.inspect({ mode: 'precopy', ...trial.shape }, trial.signal);
      assert.ok(
        (limits.handsOverMs ?? 0) > 0 && (limits.resumesMs ?? 0) > 0,
        'as its memory needs',
      );
      assert.ok(gpu !== undefined && gpu.bytes >= MIB * 1024 ** 2);
      await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
      await trial.heard('source', 'pre-switchover');
      assert.deepEqual(await gpuFiles(), [], 'a frozen container has nothing of the GPU open');
      await source.continueSwitchover(trial.signal);
      await trial.heard('source', 'completed');
      assert.deepEqual(await trial.runsAt(), []);
      const before = (await turnsIn(logOf('b'))).turns;
      await destination.resumeGuest(granted(source.handle.name), trial.signal);
      await destination.resumeGuest(granted(source.handle.name), trial.signal);
      assert.deepEqual(await trial.runsAt(), ['destination']);
      await source.quit(trial.signal);
      await untilItWorks('b');
      const { turns } = await turnsIn(logOf('b'));
      assert.deepEqual(
        turns,
        [...turns.keys()].map((index) => index + 1),
        'each turn once',
      );
      assert.ok(turns.length > before.length && before.length >= TURNS);
      await destination.settle(trial.signal);
    } finally {
      await end();
    }
  }

  test('a container moves with its GPU state, and continues its work', async () => {
    await begin('moves');
    await moves();
  });

  test("a container that NVIDIA's Container Toolkit has started moves", async () => {
    await begin('toolkit', { byToolkit: true });
    const { pid } = await infoOf();
    const mounted = await readFile(`/proc/${pid}/mountinfo`, 'utf8');
    assert.match(mounted, / \/proc\/(driver\/nvidia\/params|version) /, 'its hooks have run');
    await moves();
  });

  test('a container continues at the source after a cancel with all of its state in memory', async () => {
    await begin('cancels');
    try {
      const { source, memoryAddress } = await trial.prepare('precopy');
      await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
      await trial.heard('source', 'pre-switchover');
      assert.equal((await source.cancel(trial.signal)).run, 'running');
      await source.unconfigure(trial.signal);
      assert.notDeepEqual(await gpuFiles(), []);
      await untilItWorks('a');
    } finally {
      await end();
    }
  });

  test('a container continues after its mover has died with its state in memory, before the freeze', async () => {
    await begin('dies');
    try {
      const records = new Records(path.join(site.directory, 'a/containers'));
      const source = await trial.openSource();
      await source.inspect({ mode: 'precopy', ...trial.shape }, trial.signal);
      await source.configure(trial.setup('precopy', 'source'), trial.signal);
      await records.change(site.guest, { leaving: 'sending', gpu: { pairs: [] } });
      const gpus = new HostGpus('a', { run: async () => '' }, place.library);
      await gpus.takeAway([(await infoOf()).pid]);
      gpus.close();
      assert.deepEqual(await gpuFiles(), []);
      const { run, stream } = await source.status(trial.signal);
      assert.deepEqual([run, stream], ['paused', 'failed']);
      assert.equal((await source.cancel(trial.signal)).run, 'running');
      await untilItWorks('a');
      assert.equal(records.readSync(site.guest)?.gpu, undefined);
    } finally {
      await end();
    }
  });

  test(
    'a container whose GPU state no driver can take away is refused by name',
    { skip: REAL_LIBRARY !== undefined && 'there is one' },
    async () => {
      await begin('refused', { gpuLibrary: '/nowhere/libcuda.so.1' });
      try {
        const source = await trial.openSource();
        const { checks } = await source.inspect({ mode: 'precopy', ...trial.shape }, trial.signal);
        assert.match(refusals(checks).join('; '), /the GPU .*its driver cannot take state away/);
        await untilItWorks('a');
      } finally {
        await end();
      }
    },
  );
});
