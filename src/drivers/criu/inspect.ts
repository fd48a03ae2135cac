import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { pass, refusal } from '../../migration/preflight/check.ts';
import type { NamedCheck } from '../../migration/preflight/check.ts';
import type { Inspection, SourceVolume } from '../port/inspection.ts';
import {
  cgroupOf,
  filesOf,
  isFrozen,
  isStoppedNow,
  processesIn,
  dumpedBytes,
} from './processes.ts';
import { bytesInTime, fileLimits } from './fits.ts';
import type { HostContext } from './host-context.ts';
import { giveBackMs } from './gpu-checks.ts';
import { lookAtGpus } from './look-at-gpus.ts';
import { hostPartsOf } from './host-parts-here.ts';
import { findPod } from './pods.ts';
import { networkOf } from './network.ts';
import type { FoundNic } from './network.ts';
import { readConfig } from './read-config.ts';
import type { Bind } from './binds.ts';
import type { Obstacle } from './obstacle.ts';
import { lookForOpen } from './open-in-volume.ts';
import { layerDigest, rootOf } from './rootfs.ts';
import type { RootFileSystem } from './rootfs.ts';
import { handOverMs } from './runc.ts';
import type { Listed } from './runc.ts';
import type { ContainerSpec } from './spec.ts';
import { treesOf } from './trees.ts';
import type { Tree } from './trees.ts';
import { lookAtVolumes } from './volumes.ts';
import type { LookedAt, VolumeHere } from './volumes.ts';

/** What a container is, found out without touching it. */
export interface Examined extends Omit<Inspection, 'volumes'> {
  readonly nicsHere: readonly FoundNic[];
  readonly root: RootFileSystem;
  readonly volumes: readonly VolumeHere[];
  /** The same, as they are in the container, with what follows if one is copied and if it stays. */
  readonly mounted: readonly SourceVolume[];
  /** What of its root is sent; 0 where it could not be counted in time. */
  readonly rootBytes: number;
  readonly cgroup: string;
  /** What its processes have on GPUs; undefined: none of them works on one. */
  readonly gpuBytes: number | undefined;
}

/** What the movers learn of it. */
export function inspectionOf({
  description,
  checks,
  mounted,
  handsOverMs,
  resumesMs,
}: Examined): Inspection {
  return {
    description,
    checks,
    ...(mounted.length === 0 ? {} : { volumes: mounted }),
    ...(handsOverMs === undefined ? {} : { handsOverMs }),
    ...(resumesMs === undefined ? {} : { resumesMs }),
  };
}

export async function examine(
  context: HostContext,
  listed: Listed,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<Examined> {
  const { host, runc, mountsOf } = context;
  const { id: name, pid, bundle, rootfs } = listed;
  const cgroup = (await cgroupOf(pid, context.prefix)) ?? '';
  const text = await readFile(path.join(bundle, 'config.json'), 'utf8').catch(() => '');
  const config = readConfig(text, context.volumeDirs, context.hostDirs);
  const [network, processes, root, versions, features] = await Promise.all([
    networkOf(runc.run.bind(runc), pid, signal),
    processesIn(cgroup),
    rootOf(rootfs, mountsOf),
    runc.versions(signal),
    processorFeatures(),
  ]);
  const all = await runc.list(signal);
  const volumes = await lookAtVolumes(context, config.binds, { processes, all }, signal);
  const rootBytes = await bytesInTime(context, root.upper, signal);
  const [ofRoot, ...ofVolumes] = treesOf(root, volumes.here, rootBytes);
  const gpu = await lookAtGpus(context, processes, config.memoryLimit, signal);
  // What is on GPUs becomes memory before it leaves.
  const allBytes = memoryBytes + (gpu.spec?.bytes ?? 0);
  const ofHost = await hostPartsOf(context, config.ofHost, signal);
  const obstacles = [
    ...config.obstacles,
    ...ofHost.obstacles,
    ...volumes.obstacles,
    ...network.obstacles,
    ...(await fileObstacles(processes)).map((each) => ({ ...each, ofMemory: true as const })),
    ...gpu.obstacles,
    ...(await findPod(listed, all)),
    ...(await limitsOf(context, ofRoot, volumes, processes, signal)),
  ];
  const around = { guest: name, binds: config.binds, volumes, processes };
  const isPaused = (await isFrozen(cgroup)) || processes.some(isStoppedNow);
  const checks = [
    ...judge(name, obstacles),
    isPaused ? paused(name) : pass('state', `${processes.length} processes on ${host}`),
    await context.canary.check(host, 'source', signal),
    tracking(),
    ...gpu.checks,
  ];
  const oci = ofHost.obstacles.length === 0 ? config.oci : undefined;
  const spec: ContainerSpec | undefined = oci && {
    oci,
    nics: network.nics.map(({ nic }) => nic),
    layers: await layersOf(context, root, signal),
    ...(volumes.volumes.length === 0 ? {} : { volumes: [...volumes.volumes] }),
    ...(ofHost.parts.length === 0 ? {} : { hostParts: [...ofHost.parts] }),
    ...(gpu.spec === undefined ? {} : { gpu: gpu.spec }),
    ...versions,
    features,
  };
  return {
    description: describe(name, allBytes, `runc ${versions.runc}, criu ${versions.criu}`, spec),
    checks,
    handsOverMs: handOverMs(allBytes),
    ...(gpu.spec === undefined ? {} : { resumesMs: giveBackMs(gpu.spec.bytes) }),
    gpuBytes: gpu.spec?.bytes,
    nicsHere: network.nics,
    root,
    rootBytes,
    volumes: volumes.here,
    mounted: await mountedVolumes(context, ofVolumes, around, signal),
    cgroup,
  };
}

interface Around {
  readonly guest: string;
  readonly binds: readonly Bind[];
  readonly volumes: LookedAt;
  readonly processes: readonly number[];
}

/** `trees`: in the order of the binds. */
function mountedVolumes(
  context: HostContext,
  trees: readonly Tree[],
  { guest, binds, volumes, processes }: Around,
  signal: AbortSignal,
): Promise<SourceVolume[]> {
  return Promise.all(
    trees.map(async (tree, index) => {
      const { name: node, path: file, kind, bytes } = tree;
      const device = binds[index]?.destination ?? file;
      const limits = await limitsOf(context, tree, volumes, processes, signal);
      const open = await lookForOpen(processes, device);
      const ifCopied = limits.map((each) => unmovable(guest, each));
      const ifShared = open === undefined ? [] : [unmovable(guest, open)];
      return { node, device, file, kind, bytes, ifCopied, ifShared };
    }),
  );
}

function layersOf(
  { records }: HostContext,
  { lower }: RootFileSystem,
  signal: AbortSignal,
): Promise<string[]> {
  return Promise.all(lower.map((each) => layerDigest(each, records.directory, signal)));
}

function describe(
  name: string,
  memoryBytes: number,
  hypervisorVersion: string,
  spec: ContainerSpec | undefined,
): Examined['description'] {
  return { driver: 'criu', name, memoryBytes, vcpus: vcpus(), hypervisorVersion, spec };
}

function judge(guest: string, obstacles: readonly Obstacle[]): NamedCheck[] {
  const refused = obstacles.map((each) => unmovable(guest, each));
  if (obstacles.some(({ ofMemory }) => ofMemory !== true)) return refused;
  return [...refused, pass('devices', 'nothing of it is bound to this host')];
}

function paused(guest: string): NamedCheck {
  const hint = `Resume it first (\`runc resume ${guest}\`); a process that a signal has stopped, with SIGCONT.`;
  return refusal('state', godwitError('GODWIT_GUEST_STATE', { guest, state: 'paused' }, { hint }));
}

/** A volume that does not move anyway is not looked at. */
async function limitsOf(
  context: HostContext,
  tree: Tree | undefined,
  { obstacles }: LookedAt,
  processes: readonly number[],
  signal: AbortSignal,
): Promise<Obstacle[]> {
  if (obstacles.length > 0 || tree === undefined) return [];
  return fileLimits(context, [tree], await dumpedBytes(processes), signal);
}

/** A container has no processors of its own. */
export function vcpus(): number {
  return Math.max(1, os.availableParallelism());
}

function unmovable(guest: string, { device, type, reason, hint, ofMemory }: Obstacle): NamedCheck {
  return refusal(
    ofMemory === true ? 'blocked' : 'devices',
    godwitError('GODWIT_DEVICE_UNMOVABLE', { device, type, guest, reason }, { hint }),
  );
}

/** Said each time: the kernels of this kind do not say which pages were written, so each round reads all of them. */
function tracking(): NamedCheck {
  const evidence =
    'each round reads the memory of the running container and compares it by content';
  return pass('dirty-tracking', evidence);
}

/** Files of its processes that CRIU cannot dump, or that lie on this host. */
async function fileObstacles(pids: readonly number[]): Promise<Obstacle[]> {
  const found = new Map<string, Obstacle>();
  for (const pid of pids) {
    for (const [number, target] of await filesOf(pid)) {
      const obstacle = fileObstacle(number, target);
      if (obstacle !== undefined) found.set(`${obstacle.device} ${obstacle.type}`, obstacle);
    }
  }
  return [...found.values()].slice(0, 32);
}

const STREAMS = ['standard input', 'standard output', 'standard error'];

/** Pure. */
export function fileObstacle(number: number, target: string): Obstacle | undefined {
  if (target.includes('[io_uring]')) {
    const hint = 'Start its program without io_uring (for Node.js UV_USE_IO_URING=0).';
    return { device: 'io_uring', type: 'kernel object', reason: 'CRIU cannot dump it', hint };
  }
  if (/^\/dev\/(dri\/|kfd)/.test(target)) {
    const hint = 'Stop what uses the GPU first, or leave the container where it is.';
    return { device: target, type: 'GPU', reason: 'the state of such GPUs does not move', hint };
  }
  const stream = STREAMS[number];
  if (stream === undefined) return undefined;
  const hint =
    'Start it detached with its standard streams on /dev/null, and let it write its log inside.';
  if (/^\/dev\/(pts|tty)/.test(target)) {
    return { device: stream, type: 'tty', reason: 'its other end stays on this host', hint };
  }
  if (target.startsWith('pipe:') || target.startsWith('socket:')) {
    return {
      device: stream,
      type: 'pipe',
      reason: 'its other end may be a process of this host',
      hint,
    };
  }
  return undefined;
}

export async function processorFeatures(): Promise<string[]> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '';
  return flags
    .split(' ')
    .filter((each) => each !== '' && each.length <= 32)
    .slice(0, 512);
}
