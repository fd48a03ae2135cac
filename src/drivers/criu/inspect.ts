import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { pass, refusal, warn, type NamedCheck } from '../../migration/preflight/check.ts';
import { defined } from '../../protocol/defined.ts';
import type { StreamSettings } from '../../protocol/peer/migration.ts';
import type { Inspection, SourceVolume } from '../../port/inspection.ts';
import { cgroupOf, isFrozen, isStoppedNow, processesIn, dumpedBytes } from './host/processes.ts';
import { cgroupVersion } from './host/cgroup.ts';
import { bytesInTime, fileLimits } from './files/file-limits.ts';
import type { HostContext } from './host/host-context.ts';
import type { CriuHandle } from './handle.ts';
import { giveBackMs } from './gpu/gpu-checks.ts';
import { lookAtGpus } from './gpu/look-at-gpus.ts';
import { ghostObstacles } from './files/ghosts.ts';
import { hostPartsOf } from './host/host-parts-here.ts';
import { findPod } from './runtimes/pods.ts';
import { judgePrivileges } from './host/privileges.ts';
import { ProcessorUses } from './host/processor-use.ts';
import { lookForNested } from './runtimes/nested.ts';
import { networkOf, type FoundNic } from './host/network.ts';
import { readConfig } from './read-config.ts';
import type { Bind } from './files/binds.ts';
import type { Obstacle } from './obstacle.ts';
import { fileObstacles } from './files/open-files.ts';
import { lookForOpen } from './files/open-in-volume.ts';
import { layerDigest, rootOf, type RootFileSystem } from './files/rootfs.ts';
import { handOverMs, type RuncState } from './runtimes/runc.ts';
import type { ContainerSpec } from './spec.ts';
import { treesOf, type Tree } from './files/trees.ts';
import { lookAtVolumes, type LookedAt, type VolumeHere } from './files/volumes.ts';
import { WIPED, wipesOnFork } from './pages/waiting-regions.ts';

export interface ContainerInspection extends Omit<Inspection, 'volumes'> {
  readonly nicsHere: readonly FoundNic[];
  readonly root: RootFileSystem;
  readonly volumes: readonly VolumeHere[];
  /** The same volumes at their places in the container, with the results of copying and of sharing. */
  readonly mounted: readonly SourceVolume[];
  /** Sent size of its root file system; 0 if it could not be counted in time. */
  readonly rootBytes: number;
  readonly cgroup: string;
  /** GPU memory of its processes; undefined if none uses a GPU. */
  readonly gpuBytes: number | undefined;
  readonly onlyPrecopy?: string;
}

/** Facts for the movers. Without the rights to inspect it, only that obstacle. */
export async function inspectionOf(
  host: string,
  { name, memoryBytes }: CriuHandle,
  mode: Mode,
  examined: () => Promise<ContainerInspection>,
): Promise<Inspection> {
  const lacks = await judgePrivileges(host, 'source');
  if (lacks !== undefined) {
    const unknown = { runc: 'unknown', criu: 'unknown', cgroups: 0, vcpus: 1 };
    return { description: describe(name, memoryBytes, unknown, undefined), checks: [lacks] };
  }
  const found = await examined();
  const { description, mounted, handsOverMs, resumesMs } = found;
  return {
    description,
    checks: [...found.checks, ...(await postcopyChecks(mode, found))],
    ...(mounted.length === 0 ? {} : { volumes: mounted }),
    ...defined({ handsOverMs, resumesMs }),
  };
}

type Mode = StreamSettings['mode'];

async function postcopyChecks(mode: Mode, found: ContainerInspection): Promise<NamedCheck[]> {
  const reason = await whyNoPostcopy(mode, found);
  if (reason === undefined) return [];
  const facts = { what: `--mode ${mode}`, reason };
  const hint = 'Use --mode precopy.';
  return [refusal('stream', godwitError('GODWIT_CAPABILITY', facts, { hint }), 'source')];
}

/** Reason why its memory cannot follow by post-copy; undefined if it can, as far as its processes show, or need not. */
export async function whyNoPostcopy(
  mode: Mode,
  { cgroup, gpuBytes, onlyPrecopy }: ContainerInspection,
): Promise<string | undefined> {
  if (mode === 'precopy') return undefined;
  if (onlyPrecopy !== undefined) return onlyPrecopy;
  if (gpuBytes !== undefined)
    return 'what it has on a GPU is given back at once, and would wait for each page';
  if (!(await wipesOnFork(await processesIn(cgroup)))) return undefined;
  return WIPED;
}

export async function examine(
  context: HostContext,
  listed: RuncState,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<ContainerInspection> {
  const { host, runc, mountsOf } = context;
  const { id: name, pid, bundle, rootfs } = listed;
  const cgroup = (await cgroupOf(pid, context.prefix)) ?? '';
  const text = await readFile(path.join(bundle, 'config.json'), 'utf8').catch(() => '');
  const config = readConfig(text, context.volumeDirs, context.hostDirs);
  const [network, processes, root, versions, features, all] = await Promise.all([
    networkOf(runc.run.bind(runc), pid, signal, config.netns),
    processesIn(cgroup),
    rootOf(rootfs, mountsOf),
    runc.versions(signal),
    processorFeatures(),
    runc.list(signal),
  ]);
  const volumes = await lookAtVolumes(context, config.binds, { processes, all }, signal);
  const rootBytes = await bytesInTime(context, root.upper, signal);
  const [ofRoot, ...ofVolumes] = treesOf(root, volumes.here, rootBytes);
  const gpu = await lookAtGpus(context, processes, config.memoryLimit, signal);
  // GPU state becomes memory before the container leaves.
  const allBytes = memoryBytes + (gpu.spec?.bytes ?? 0);
  const ofHost = await hostPartsOf(context, config.ofHost, signal);
  const obstacles = [
    ...config.obstacles,
    ...ofHost.obstacles,
    ...volumes.obstacles,
    ...network.obstacles,
    ...(await processObstacles(pid, processes)),
    ...gpu.obstacles,
    ...(await findPod(listed, all)),
    ...(await limitsOf(context, ofRoot, volumes, processes, signal)),
  ];
  const around = { guest: name, binds: config.binds, volumes, processes };
  const checks = [
    ...judge(name, obstacles, network.unseen),
    await judgeState(name, host, cgroup, processes),
    await context.canary.check(host, 'source', signal),
    tracking(),
    ...gpu.checks,
  ];
  const said = { ...versions, ...(await sizesOf(context, pid)) };
  const oci = ofHost.obstacles.length === 0 ? config.oci : undefined;
  const spec: ContainerSpec | undefined = oci && {
    oci,
    nics: network.nics.map(({ nic }) => nic),
    layers: await layersOf(context, root, signal),
    ...(volumes.volumes.length === 0 ? {} : { volumes: [...volumes.volumes] }),
    ...(ofHost.parts.length === 0 ? {} : { hostParts: [...ofHost.parts] }),
    ...defined({ gpu: gpu.spec }),
    ...versions,
    features,
  };
  return {
    description: describe(name, allBytes, said, spec),
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

export async function sizesOf(
  { prefix }: HostContext,
  pid: number,
): Promise<Omit<ContainerVersions, 'runc' | 'criu'>> {
  const { vcpus } = await new ProcessorUses(prefix).of(pid);
  return { cgroups: cgroupVersion(prefix), vcpus };
}

export interface ContainerVersions {
  readonly runc: string;
  readonly criu: string;
  readonly cgroups: number;
  readonly vcpus: number;
}

export function describe(
  name: string,
  memoryBytes: number,
  { runc, criu, cgroups, vcpus }: ContainerVersions,
  spec: ContainerSpec | undefined,
): ContainerInspection['description'] {
  const hypervisorVersion = `runc ${runc}, criu ${criu}, cgroups ${cgroups}`;
  return { driver: 'criu', name, memoryBytes, vcpus, hypervisorVersion, spec };
}

export function judge(
  guest: string,
  obstacles: readonly Obstacle[],
  unseen: readonly string[],
): NamedCheck[] {
  const refused = obstacles.map((each) => unmovable(guest, each));
  if (unseen.length > 0) {
    const evidence = `nobody looked whether its network has ${unseen.join(', ')}: what it has of that is lost`;
    const hint = 'Install nftables and iproute2 on its host, so that Godwit can look.';
    refused.push(warn('network', evidence, hint, 'source'));
  }
  if (obstacles.some(({ ofMemory }) => ofMemory !== true)) return refused;
  return [...refused, pass('devices', 'nothing of it is bound to this host')];
}

export async function judgeState(
  guest: string,
  host: string,
  cgroup: string,
  processes: readonly number[],
): Promise<NamedCheck> {
  const isPaused = (await isFrozen(cgroup)) || processes.some(isStoppedNow);
  if (!isPaused) return pass('state', `${processes.length} processes on ${host}`);
  const hint = `Resume it first (\`runc resume ${guest}\`); a process that a signal has stopped, with SIGCONT.`;
  return refusal('state', godwitError('GODWIT_GUEST_STATE', { guest, state: 'paused' }, { hint }));
}

export async function processObstacles(
  first: number,
  pids: readonly number[],
): Promise<Obstacle[]> {
  const files = await fileObstacles(pids);
  return [
    ...files.map((each) => ({ ...each, ofMemory: true as const })),
    ...(await ghostObstacles(pids)),
    ...(await lookForNested(first, pids)),
  ];
}

/** A volume that does not move is not examined. */
export async function limitsOf(
  context: HostContext,
  tree: Tree | undefined,
  { obstacles }: LookedAt,
  processes: readonly number[],
  signal: AbortSignal,
): Promise<Obstacle[]> {
  if (obstacles.length > 0 || tree === undefined) return [];
  return fileLimits(context, [tree], await dumpedBytes(processes), signal);
}

function unmovable(guest: string, { device, type, reason, hint, ofMemory }: Obstacle): NamedCheck {
  return refusal(
    ofMemory === true ? 'blocked' : 'devices',
    godwitError('GODWIT_DEVICE_UNMOVABLE', { device, type, guest, reason }, { hint }),
  );
}

/** Reported each time: these kernels do not tell which pages were written, so each round reads all pages. */
export function tracking(): NamedCheck {
  const evidence =
    'each round reads the memory of the running container and compares it by content';
  return pass('dirty-tracking', evidence);
}

export async function processorFeatures(): Promise<string[]> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '';
  return flags
    .split(' ')
    .filter((each) => each !== '' && each.length <= 32)
    .slice(0, 512);
}
