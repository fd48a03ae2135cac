import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { suspend } from '../../src/gpu/checkpoint.ts';
import { CudaError } from '../../src/gpu/driver-library.ts';
import { GpuHelper } from '../../src/gpu/helper-client.ts';
import { Worker } from '../../tools/gpu-check/worker.ts';

const run = promisify(execFile);
const MAIN = path.resolve(import.meta.dirname, '../../tools/gpu-check/main.ts');
const WORKER = path.resolve(import.meta.dirname, '../../tools/gpu-check/worker.ts');
const SOURCE = path.join(import.meta.dirname, 'fake-cuda.c');
const MIB = 1024 ** 2;

interface GpuCheckOutput {
  gpu: boolean;
  ok?: boolean;
  reason?: string;
  lines?: { what: string; ok: boolean; bytes?: number; freedBytes?: number }[];
}

describe('the check of a GPU', () => {
  let directory: string;
  let library: string;

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-gpu-'));
    library = path.join(directory, 'libcuda-fake.so');
    await run('cc', ['-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', library, SOURCE]);
  });
  after(() => rm(directory, { recursive: true }));

  async function fresh(name: string): Promise<NodeJS.ProcessEnv> {
    const state = path.join(directory, name);
    await mkdir(state);
    return { ...process.env, FAKE_CUDA: state };
  }

  async function check(
    program: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<GpuCheckOutput> {
    const argv = [...program, '--json', '--most', '0.1'];
    const { stdout } = await run(process.execPath, argv, { env }).catch((error: unknown) => {
      // It ends with 1 where something is not as it should be, and has said what.
      assert.ok(error instanceof Error && 'stdout' in error);
      return { stdout: String(error.stdout) };
    });
    return JSON.parse(stdout) as GpuCheckOutput;
  }

  test('the GPU check reports that there is no GPU without a driver, or if the driver has none', async () => {
    const none = await check([MAIN, '--library', path.join(directory, 'none.so')]);
    assert.equal(none.gpu, false);
    assert.match(none.reason ?? '', /none\.so cannot be loaded/);
    const env = { ...(await fresh('no-gpu')), FAKE_CUDA_GPUS: '0' };
    const empty = await check([MAIN, '--library', library], env);
    assert.deepEqual(empty, { gpu: false, reason: 'cuInit: CUDA_ERROR_NO_DEVICE' });
  });

  test('the GPU check removes, frees, restores and compares memory, and tries a wrong GPU and a kill', async () => {
    const found = await check([MAIN, '--library', library], await fresh('whole'));
    assert.equal(found.ok, true, JSON.stringify(found));
    assert.equal(found.lines?.length, 4);
    assert.equal(found.lines[0]?.freedBytes, 64 * MIB);
  });

  test('the GPU check detects memory that cannot be restored, and ends by itself', async () => {
    const env = await fresh('broken');
    await writeFile(path.join(env['FAKE_CUDA'] ?? '', 'broken-restore'), '');
    const found = await check([MAIN, '--library', library], env);
    assert.equal(found.ok, false);
    assert.equal(found.lines?.[0]?.ok, false);
  });

  test('the GPU check runs from a bundle of less than 50 MiB at another place', async () => {
    const bundle = path.join(directory, 'bundle');
    const { stdout } = await run(process.execPath, [MAIN, '--bundle', bundle]);
    assert.match(stdout, /^\S+: \d+\.\d MiB/);
    const names = await readdir(path.join(bundle, 'node_modules', '@koromix'));
    assert.deepEqual(names, [`koffi-linux-${process.arch}`]);
    const program = [path.join(bundle, 'gpu-check.mjs'), '--library', library];
    const found = await check(program, await fresh('bundled'));
    assert.equal(found.ok, true, JSON.stringify(found));
  });

  test('a worker that cannot start is an error at once, and delays nothing', async () => {
    const script = `
      const { Worker } = await import(${JSON.stringify(WORKER)});
      await Worker.start(['false']).catch((error) => console.log(error.message));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 60_000,
    });
    assert.equal(stdout, 'the process that holds GPU memory has ended\n');
  });

  test("a process with memory that cannot be removed is refused in the driver's words, and keeps running", async () => {
    const env = await fresh('uvm');
    await writeFile(path.join(env['FAKE_CUDA'] ?? '', 'uvm'), '');
    const state = `FAKE_CUDA=${env['FAKE_CUDA']}`;
    const program = ['env', state, process.execPath, MAIN, '--library', library] as const;
    const helper = new GpuHelper([...program, '--as', 'helper']);
    const worker = await Worker.start([...program, '--as', 'worker', '--bytes', String(MIB)]);
    try {
      await assert.rejects(
        suspend(helper, worker.pid, 1000, () => performance.now()),
        (error) => error instanceof CudaError && error.result === 'CUDA_ERROR_NOT_SUPPORTED',
      );
      assert.equal(await helper.state(worker.pid), 'running');
      assert.ok(await worker.isIntact());
      await assert.rejects(helper.state(2 ** 22 + 1), /CUDA_ERROR_INVALID_VALUE/);
    } finally {
      helper.close();
      await worker.end();
    }
  });
});
