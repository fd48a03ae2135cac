import { formatBytes } from '../../../protocol/quantity.ts';
import type { Obstacle } from '../obstacle.ts';
import type { HostGpuFacts } from './gpu.ts';
import type { GpuSpec } from '../host/host-parts.ts';

/** Whether the state that a container has on its GPUs can move. Pure. */

/** Measured on one H200, bytes/s: bench/results/containers.md. */
const TAKEN_BYTES_PER_S = 1.75e9;
const GIVEN_BYTES_PER_S = 5.9e9;
/** Of what was on GPUs, as memory of the container: read, compared and sent; and what the freeze takes of it. */
const SENT_BYTES_PER_S = 0.21e9;
const FROZEN_BYTES_PER_S = 0.3e9;
/** Slower than measured: eight H100s gave back 290 GB in 122 s, at 2.4 GB/s (nvcf#1183). */
const GIVE_TIMES = 10;
/** What the driver needs beside what is on the GPU. */
const SPARE = 1.1;

export interface GpuUse {
  /** What all of them have on GPUs; of one that the driver says nothing of, all that is used there. */
  readonly bytes: number;
}

/** `pids`: those of the container that work on a GPU, as this host counts them. */
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
  /** What the container may have, and has; absent: no limit. */
  readonly limit?: { readonly bytes: number; readonly usedBytes: number } | undefined;
}

/** It only speaks against moving memory. */
export function gpuObstacle(reason: string, hint: string): Obstacle {
  return { device: 'the GPU', type: 'GPU state', reason, hint, ofMemory: true };
}

/** What stands in the way at the source; each only speaks against moving its memory. */
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

/** Why a destination cannot take it; undefined where it can. */
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

/** On a machine that is busy, and to begin to work with the driver, ms. */
export function giveBackMs(bytes: number): number {
  return 60_000 + Math.ceil((GIVE_TIMES * bytes * 1000) / GIVEN_BYTES_PER_S);
}

/** For how long the GPU's work stops, for people: as it was measured, on a machine and a link with nothing else to do. */
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
