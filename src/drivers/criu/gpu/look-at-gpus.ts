import { readFile } from 'node:fs/promises';
import { parseMemory } from '../../../system/kernel-tables.ts';
import { pass, type NamedCheck } from '../../../migration/preflight/check.ts';
import { formatBytes } from '../../../protocol/quantity.ts';
import { onGpu } from './gpu.ts';
import { gpuObstacle, gpuObstacles, predictedSeconds, useOf } from './gpu-checks.ts';
import type { HostContext } from '../host/host-context.ts';
import type { GpuSpec } from '../host/host-parts.ts';
import type { Obstacle } from '../obstacle.ts';
import { residentBytes } from '../host/processes.ts';

const SUSPENDED_HINT =
  'See what has happened to it (`dmesg`, `cuda-checkpoint --get-state`), or move the container cold.';

export interface LookedAtGpus {
  /** Undefined if no process uses a GPU, or its state cannot be removed. */
  readonly spec: GpuSpec | undefined;
  readonly obstacles: readonly Obstacle[];
  readonly checks: readonly NamedCheck[];
}

export async function lookAtGpus(
  { gpus }: Pick<HostContext, 'gpus'>,
  processes: readonly number[],
  limitBytes: number | undefined,
  signal: AbortSignal,
): Promise<LookedAtGpus> {
  const pids = await onGpu(processes);
  const why = await gpus.whySuspended(processes.filter((pid) => !pids.includes(pid)));
  const left = why === undefined ? [] : [gpuObstacle(why, SUSPENDED_HINT)];
  if (pids.length === 0) return { spec: undefined, obstacles: left, checks: [] };
  const facts = await gpus.facts(signal);
  const use = typeof facts === 'string' ? { bytes: 0 } : useOf(facts, pids);
  const usedBytes = await residentBytes(processes);
  const limit = limitBytes === undefined ? undefined : { bytes: limitBytes, usedBytes };
  const room = { availableBytes: await availableBytes(), limit };
  const obstacles = [...left, ...gpuObstacles(facts, use, room)];
  if (obstacles.length > 0 || typeof facts === 'string')
    return { spec: undefined, obstacles, checks: [] };
  const { bytes } = use;
  const evidence = `${formatBytes(bytes)} on GPUs: ${predictedSeconds(bytes)}`;
  const spec: GpuSpec = {
    gpus: facts.gpus.map(({ name, uuid }) => ({ name, uuid })),
    driver: facts.gpus[0]?.driver ?? '',
    bytes,
  };
  return { spec, obstacles, checks: [pass('blocked', evidence)] };
}

/** Memory that is available without taking any from programs. */
export async function availableBytes(): Promise<number> {
  return parseMemory(await readFile('/proc/meminfo', 'utf8')).availableBytes;
}
