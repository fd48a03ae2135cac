import { formatBytes } from '../../../protocol/quantity.ts';
import type { Obstacle } from '../obstacle.ts';
import type { HostGpuFacts } from './gpu.ts';
import type { GpuSpec } from '../host/host-parts.ts';

/** Measured on one H200, bytes/s: bench/results/containers.md. */
const TAKEN_BYTES_PER_S = 1.75e9;
const GIVEN_BYTES_PER_S = 5.9e9;
/** Rates for GPU state in container memory: reading, comparing and sending it, and the freeze. */
const SENT_BYTES_PER_S = 0.21e9;
const FROZEN_BYTES_PER_S = 0.3e9;
/** Margin for slower systems: eight H100s restored 290 GB in 122 s, at 2.4 GB/s (nvcf#1183). */
const GIVE_TIMES = 10;
const SPARE = 1.1;

export interface GpuUse {
  /** GPU memory of all its processes; if the driver does not report one, all used GPU memory. */
  readonly bytes: number;
}

export function useOf({ gpus, apps }: HostGpuFacts, pids: readonly number[]): GpuUse {
  const own = apps.filter(({ pid }) => pids.includes(pid));
  const isWhole = own.every(({ bytes }) => bytes !== undefined);
  const listed = new Set(own.map(({ pid }) => pid));
  const isKnown = isWhole && pids.every((pid) => listed.has(pid));
  const bytes = isKnown
    ? own.reduce((sum, each) => sum + (each.bytes ?? 0), 0)
    : gpus.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  return { bytes };
}

export interface SourceRoom {
  readonly availableBytes: number;
  readonly limit?: { readonly bytes: number; readonly usedBytes: number } | undefined;
}

export function gpuObstacle(reason: string, hint: string): Obstacle {
  return { device: 'the GPU', type: 'GPU state', reason, hint, ofMemory: true };
}

export function gpuObstacles(
  facts: HostGpuFacts | string,
  use: GpuUse,
  room: SourceRoom,
): Obstacle[] {
  if (typeof facts === 'string') {
    const hint =
      'Bring NVIDIA’s driver 580 or newer with nvidia-smi, and name its library in `drivers.criu.gpuLibrary`; or move the container cold.';
    return [gpuObstacle(`its driver cannot take state away: ${facts}`, hint)];
  }
  const found: Obstacle[] = [];
  if (facts.gpus.some(({ mig }) => mig)) {
    const hint = 'Stop the container, or move it cold.';
    found.push(gpuObstacle('a GPU is divided into instances (MIG)', hint));
  }
  if (facts.shared) {
    const hint = 'Start its program without MPS, and end nvidia-cuda-mps-control; or move it cold.';
    found.push(gpuObstacle('processes share the GPU by MPS', hint));
  }
  const needs = Math.ceil(use.bytes * SPARE);
  if (room.availableBytes < needs) {
    const reason = `its ${formatBytes(use.bytes)} on GPUs go through this host’s memory, and ${formatBytes(room.availableBytes)} are free`;
    found.push(gpuObstacle(reason, 'Free memory of this host, or move the container cold.'));
  }
  if (room.limit !== undefined && room.limit.usedBytes + needs > room.limit.bytes) {
    const reason = `its ${formatBytes(use.bytes)} on GPUs become memory of the container, which may have ${formatBytes(room.limit.bytes)}`;
    const hint = 'Raise its memory limit (`runc update --memory`) for the move, or move it cold.';
    found.push(gpuObstacle(reason, hint));
  }
  return found;
}

export function whyNoGpu(
  spec: GpuSpec,
  facts: HostGpuFacts | string,
  availableBytes: number,
): { readonly what: string; readonly hint: string } | undefined {
  if (typeof facts === 'string') {
    const hint = 'Choose a host with the same GPUs and the same driver.';
    return { what: `no driver that gives GPU state back: ${facts}`, hint };
  }
  const { gpus } = facts;
  const [there, here] = [spec.gpus, gpus].map((all) => all.map(({ name }) => name).join(', '));
  if (there !== here) {
    const hint = 'Choose a host with as many GPUs of the same kind.';
    return { what: `${here || 'no GPU'}, and the source has ${there}`, hint };
  }
  const driver = gpus[0]?.driver ?? '';
  if (driver !== spec.driver) {
    const hint = 'Bring the same version of the driver to both hosts.';
    return { what: `driver ${driver}, and the source has ${spec.driver}`, hint };
  }
  if (gpus.some(({ mig }) => mig) || facts.shared) {
    const hint = 'Choose a host whose GPUs are neither divided (MIG) nor shared (MPS).';
    return { what: 'a GPU that is divided or shared', hint };
  }
  const free = gpus.reduce((sum, each) => sum + each.totalBytes - each.usedBytes, 0);
  if (free < spec.bytes) {
    const hint = 'Stop what uses the GPUs there.';
    return { what: `${formatBytes(free)} free on its GPUs, of ${formatBytes(spec.bytes)}`, hint };
  }
  if (availableBytes < spec.bytes * SPARE) {
    const hint = 'Free memory there: the state of GPUs goes through it.';
    const lacks = `${formatBytes(availableBytes)} of memory, of ${formatBytes(spec.bytes)} for GPU state`;
    return { what: lacks, hint };
  }
  return undefined;
}

/** Time limit on a busy machine, including the driver's start, ms. */
export function giveBackMs(bytes: number): number {
  return 60_000 + Math.ceil((GIVE_TIMES * bytes * 1000) / GIVEN_BYTES_PER_S);
}

/** Predicted pause of the GPU's work as text, from measurements on an idle machine and link. */
export function predictedSeconds(bytes: number): string {
  const parts = [
    [TAKEN_BYTES_PER_S, 'to take away'],
    [SENT_BYTES_PER_S, 'to send as memory'],
    [FROZEN_BYTES_PER_S, 'frozen'],
    [GIVEN_BYTES_PER_S, 'to give back'],
  ] as const;
  const all = parts.reduce((sum, [rate]) => sum + bytes / rate, 0);
  const each = parts.map(([rate, what]) => `${(bytes / rate).toFixed(1)} s ${what}`);
  return `their work stops for about ${all.toFixed(0)} s, longer on a busy machine or a slow link: ${each.join(', ')}`;
}
