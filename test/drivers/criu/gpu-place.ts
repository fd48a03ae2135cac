import { execFile } from 'node:child_process';
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ContainerDevice } from '../../../lab/container/config.ts';
import { librariesOf } from '../../../lab/image/program.ts';
import { asToolkit } from './toolkit-place.ts';
import type { Differs } from './trial-container.ts';

/**
 * A container that works on a GPU: on the stand-in for the driver, or, with GODWIT_TEST_GPU=LIBRARY, on the GPU of this
 * machine by that library (`/usr/lib/x86_64-linux-gnu/libcuda.so.1`). GODWIT_TEST_GPU_MIB: how much it has there.
 */

const run = promisify(execFile);
const HERE = path.resolve(import.meta.dirname, '../../gpu');
const LOG = '/log';
const STATES = '/fake-cuda';

export const REAL_LIBRARY = process.env['GODWIT_TEST_GPU'];
export const GPU_MIB = Number(process.env['GODWIT_TEST_GPU_MIB'] ?? 16);

export interface GpuPlace {
  /** The driver's library. */
  readonly library: string;
  readonly differs: Differs;
  /** The same container as NVIDIA's Container Toolkit starts it. */
  readonly byToolkit: () => Promise<Differs>;
  /** What the driver is to say of who works on its GPU; nothing of it where there is a real one. */
  says(apps: string): Promise<void>;
  restore(): void;
}

export async function makeGpuPlace(directory: string, mib: number): Promise<GpuPlace> {
  const layers = path.join(directory, 'layers');
  const layer = path.join(layers, 'worker');
  for (const each of ['proc', 'sys', 'dev', 'lib', 'lib64', STATES])
    await mkdir(path.join(layer, each), { recursive: true });
  const worker = path.join(layer, 'worker');
  await compile('container-worker.c', worker, []);
  const { stdout } = await run('ldd', [worker]);
  for (const { name, file } of librariesOf(stdout))
    await copyFile(await realpath(file), path.join(layer, name));
  const args = ['/worker', String(mib), LOG];
  if (REAL_LIBRARY !== undefined) return onRealGpu(REAL_LIBRARY, { layer, args }, layers);
  const library = path.join(layer, 'lib/libcuda.so.1');
  await compile('fake-cuda.c', library, ['-shared', '-fPIC', '-Wl,-soname,libcuda.so.1']);
  const programs = path.join(directory, 'bin');
  const apps = path.join(directory, 'apps');
  await mkdir(programs);
  await writeFile(apps, '');
  const gpu = `GPU-${uuidOf(0xa0)}, Fake GPU 0, 65536, 512, Disabled, 580.1`;
  const script = `#!/bin/sh\ncase "$1" in --query-gpu=*) echo '${gpu}' ;; *) cat '${apps}' ;; esac\n`;
  await writeFile(path.join(programs, 'nvidia-smi'), script, { mode: 0o755 });
  const before = { ...process.env };
  process.env['FAKE_CUDA_IN'] = STATES;
  process.env['PATH'] = `${programs}:${before['PATH'] ?? ''}`;
  const env = [`FAKE_CUDA=${STATES}`, 'FAKE_CUDA_FILE=/dev/nvidia0'];
  const differs = {
    program: { layer, args, env },
    section: { layerDirs: [layers], gpuLibrary: library },
  };
  return {
    differs,
    byToolkit: async () => {
      const driver = path.join(directory, 'driver');
      await mkdir(driver);
      await rename(library, path.join(driver, 'libcuda.so.580.1'));
      const gpuLibrary = path.join(driver, 'libcuda.so.580.1');
      return asToolkit(
        driver,
        { ...differs, section: { ...differs.section, gpuLibrary } },
        directory,
      );
    },
    library,
    says: (text) => writeFile(apps, text),
    restore() {
      delete process.env['FAKE_CUDA_IN'];
      process.env['PATH'] = before['PATH'];
    },
  };
}

async function onRealGpu(
  library: string,
  program: { readonly layer: string; readonly args: readonly string[] },
  layers: string,
): Promise<GpuPlace> {
  const driver = path.dirname(library);
  const names = (await readdir('/dev')).filter((name) =>
    /^nvidia(\d+|ctl|-uvm|-uvm-tools)$/.test(name),
  );
  const { stdout } = await run('ldd', [library]);
  for (const { name, file } of librariesOf(stdout)) {
    const to = path.join(program.layer, name);
    if (path.dirname(file) !== driver) await copyFile(await realpath(file), to);
  }
  const devices: ContainerDevice[] = [];
  for (const name of names) {
    const { rdev } = await stat(`/dev/${name}`);
    devices.push({ path: `/dev/${name}`, major: (rdev >>> 8) & 0xfff, minor: rdev & 0xff });
  }
  const env = [`LD_LIBRARY_PATH=/lib:${driver}`];
  const differs = {
    program: { ...program, env, devices },
    binds: [{ source: driver, destination: driver, options: ['ro'] }],
    section: { layerDirs: [layers], gpuLibrary: library, hostDirs: [driver] },
  };
  return {
    differs,
    byToolkit: () => asToolkit(driver, differs, path.dirname(layers)),
    library,
    says: async () => undefined,
    restore() {},
  };
}

function compile(source: string, to: string, flags: readonly string[]): Promise<unknown> {
  const rest = ['-o', to, path.join(HERE, source)];
  return run('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', ...flags, ...rest, '-ldl']);
}

function uuidOf(byte: number): string {
  const digits = byte.toString(16).repeat(16);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** What the worker has said: its turns, when each of them was (ms), and the one sum that all of them have. */
export async function turnsIn(
  file: string,
): Promise<{ turns: number[]; sums: Set<string>; atMs: number[] }> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const words = text
    .split('\n')
    .filter((line) => /^\d+ [0-9a-f]{16} \d+$/.test(line))
    .map((line) => line.split(' '));
  return {
    turns: words.map(([turn]) => Number(turn)),
    sums: new Set(words.map(([, sum]) => sum ?? '')),
    atMs: words.map(([, , at]) => Number(at)),
  };
}
