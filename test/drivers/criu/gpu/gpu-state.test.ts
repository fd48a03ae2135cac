import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { HostGpus } from '../../../../src/drivers/criu/gpu/gpu.ts';
import { giveGpus } from '../../../../src/drivers/criu/gpu/gpu-state.ts';
import { identify } from '../../../../src/drivers/criu/host/processes.ts';
import { Records } from '../../../../src/drivers/criu/link/records.ts';
import { GpuHelper } from '../../../../src/gpu/helper-client.ts';
import { lifeOf } from '../../../../src/system/processes/life.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { untilSo } from '../../../until.ts';
import { Worker } from '../../../../tools/gpu-check/worker.ts';

const run = promisify(execFile);
const SOURCE = path.resolve(import.meta.dirname, '../../../gpu/fake-cuda.c');
const MAIN = path.resolve(import.meta.dirname, '../../../../tools/gpu-check/main.ts');
const [PID, MIB] = [process.pid, 1024 ** 2];

describe('the state of a container’s GPUs', () => {
  let directory: string;
  let library: string;
  let states: string;
  const inherited = process.env['FAKE_CUDA'];

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-gpu-state-'));
    library = path.join(directory, 'libcuda.so.1');
    states = path.join(directory, 'states');
    await mkdir(states);
    await run('cc', ['-shared', '-fPIC', '-o', library, SOURCE]);
    process.env['FAKE_CUDA'] = states;
  });
  after(async () => {
    if (inherited === undefined) delete process.env['FAKE_CUDA'];
    else process.env['FAKE_CUDA'] = inherited;
    await removeTree(directory);
  });

  test('the GPU state is restored only once the helper of an ended mover has ended', async () => {
    const records = new Records(path.join(directory, 'records'));
    const earlier = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const [theirs, ours] = [identify(earlier.pid ?? 0), identify(PID)];
    assert.ok(theirs !== undefined && ours !== undefined);
    const known = { token: 't', mover: ours, memoryBytes: MIB };
    await records.write('box', { ...known, gpu: { pairs: [], helper: theirs } });
    const seen: string[] = [];
    const gpus = {
      helper: async () => {
        setImmediate(() => earlier.stdin.end());
        return ours;
      },
      suspended: async () => {
        seen.push(lifeOf(theirs).state);
        assert.deepEqual(records.readSync('box')?.gpu?.helper, ours, 'who comes next waits for it');
        return [PID];
      },
      giveBack: async (pids: readonly number[]) => void seen.push(...pids.map(String)),
    } as unknown as HostGpus;
    await giveGpus({ host: 'a', records, gpus }, 'box', '/nowhere', AbortSignal.timeout(20_000));
    assert.deepEqual(seen, ['gone', String(PID)]);
    assert.equal(records.readSync('box')?.gpu, undefined);
  });

  test('an abandoned GPU state stays to be restored', async () => {
    const records = new Records(path.join(directory, 'cancelled'));
    const ours = identify(PID);
    // One that goes on for as long as this test.
    const theirs = identify(process.ppid);
    assert.ok(theirs !== undefined && ours !== undefined);
    const known = { token: 't', mover: ours, memoryBytes: MIB };
    const over = new Error('the step is over');
    const given: (readonly number[])[] = [];
    const hangs = {
      helper: async () => ours,
      suspended: async () => [PID],
      giveBack: (pids: readonly number[]) => {
        given.push(pids);
        return new Promise(() => {});
      },
    } as unknown as HostGpus;
    for (const helper of [theirs, ours]) {
      await records.write('box', { ...known, gpu: { pairs: [], helper } });
      const stop = new AbortController();
      const giving = giveGpus({ host: 'a', records, gpus: hangs }, 'box', '/no', stop.signal);
      if (helper === ours) await untilSo(() => given.length === 1);
      stop.abort(over);
      await assert.rejects(giving, over);
      assert.ok(records.readSync('box')?.gpu !== undefined);
    }
    assert.deepEqual(given, [[PID]]);
  });

  test('an unreported GPU state does not count as restored: it is reported, and stays to be restored', async () => {
    const program = [process.execPath, MAIN, '--library', library] as const;
    const worker = await Worker.start([...program, '--as', 'worker', '--bytes', String(MIB)]);
    const gpus = new HostGpus('a', { run: async () => '' }, library);
    const other = new GpuHelper([...program, '--as', 'helper']);
    const mute = path.join(states, 'mute');
    try {
      const { pid } = worker;
      assert.equal(await gpus.whySuspended([pid]), undefined);
      assert.deepEqual(await gpus.suspended([pid]), []);
      await writeFile(mute, '');
      await assert.rejects(gpus.suspended([pid]), /process \d+.*CUDA_ERROR_UNKNOWN/);
      assert.match((await gpus.whySuspended([pid])) ?? '', /does not say.*CUDA_ERROR_UNKNOWN/);
      await rm(mute);
      await other.lock(pid, 1000);
      assert.match((await gpus.whySuspended([pid])) ?? '', /was not given back/);
      assert.deepEqual(await gpus.suspended([pid]), [pid]);
      await other.unlock(pid);
      // One that never worked with it.
      await rm(path.join(states, String(pid)));
      assert.equal(await gpus.whySuspended([pid]), undefined);
    } finally {
      other.close();
      gpus.close();
      await worker.end();
    }
  });
});
