import { godwitError } from '../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../migration/preflight/check.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { isAbandonedCopy, whyNameInUse } from './host/container-ownership.ts';
import { cgroupVersion } from './host/cgroup.ts';
import { processorFeatures } from './inspect.ts';
import type { HostContext } from './host/host-context.ts';
import { kernelGivesPages } from './pager/kernel.ts';
import { keptSize } from './pages/kept-pages.ts';
import { placesOf, whyNoRoom, whyNotThere } from './files/made-volumes.ts';
import { judgePrivileges } from './host/privileges.ts';
import { findLayers } from './files/rootfs.ts';
import { whyNotMounted } from './files/shared-volumes.ts';
import { judgePodman } from './podman/assess.ts';
import type { ContainerSpec, PodmanSpec } from './spec.ts';
import { overlaps } from './files/volume-names.ts';
import { stat } from 'node:fs/promises';
import { whyNoGpu } from './gpu/gpu-checks.ts';
import { missingPart } from './host/host-parts-here.ts';
import { availableBytes } from './gpu/look-at-gpus.ts';

export const ROOM_TIMES = 2;

export interface Where {
  readonly host: string;
  readonly guest: string;
  readonly migration?: string;
  readonly networks: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly cgroups?: number | undefined;
  readonly shared?: ReadonlyMap<number, string>;
}

/** Checks whether this host can supply memory to a running container: tests the kernel features of a pager. */
export function judgePager(host: string): NamedCheck {
  try {
    kernelGivesPages();
    return pass('stream', 'the kernel lets a pager give pages (userfaultfd)', 'destination');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = `${host} needs a kernel with userfaultfd, and Godwit there CAP_SYS_PTRACE. Or leave --mode out: it moves by pre-copy.`;
    const facts = {
      what: 'post-copy',
      reason: `${host} gets no userfaultfd with its events: ${why}`,
    };
    return refusal(
      'stream',
      godwitError('GODWIT_CAPABILITY', facts, { hint, cause }),
      'destination',
    );
  }
}

export async function assessSpec(
  context: HostContext,
  spec: ContainerSpec,
  where: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const lacks = await judgePrivileges(where.host, 'destination');
  if (lacks !== undefined) return [lacks];
  if (spec.podman !== undefined) return assessPodman(context, spec, spec.podman, where, signal);
  const [canary, versions, images, network, features, name, volumes, room] = await Promise.all([
    context.canary.check(where.host, 'destination', signal),
    judgeVersions(context, spec, where, signal),
    judgeLayers(context, spec, where, signal),
    judgeBridges(context, spec, where, signal),
    processorFeatures(),
    judgeName(context, where, signal),
    judgeVolumes(context, spec, where, signal),
    judgeRoom(context, where),
  ]);
  const processor = judgeProcessor(spec, where, features);
  const groups = judgeCgroups(where, cgroupVersion(context.prefix));
  const gpu = await judgeGpu(context, spec, where, signal);
  return [
    canary,
    versions,
    images,
    ...volumes,
    ...room,
    ...network,
    processor,
    ...groups,
    ...name,
    ...gpu,
  ];
}

/** podman creates the container from its own record and finds image, networks and links itself. */
async function assessPodman(
  context: HostContext,
  spec: ContainerSpec,
  podman: PodmanSpec,
  where: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const [canary, versions, features, room, own] = await Promise.all([
    context.canary.check(where.host, 'destination', signal),
    judgeVersions(context, spec, where, signal),
    processorFeatures(),
    judgeRoom(context, where),
    judgePodman(context, podman, where, signal),
  ]);
  const processor = judgeProcessor(spec, where, features);
  const groups = judgeCgroups(where, cgroupVersion(context.prefix));
  const inUse = whyNameInUse(context.records, where);
  const name = inUse === undefined ? [] : [refusal('name', inUse, 'destination')];
  return [canary, versions, processor, ...room, ...groups, ...name, ...own];
}

/** CRIU reads images of older CRIU versions, but not of newer ones. */
async function judgeVersions(
  { runc }: HostContext,
  spec: ContainerSpec,
  { host, guest }: Where,
  signal: AbortSignal,
): Promise<NamedCheck> {
  const here = await runc.versions(signal);
  if (!isOlder(here.criu, spec.criu)) {
    return pass(
      'machine',
      `CRIU ${here.criu} and runc ${here.runc}; ${spec.criu} at the source`,
      'destination',
    );
  }
  const what = `images of CRIU ${spec.criu}, and ${host} has ${here.criu}`;
  const hint = `Bring CRIU ${spec.criu} or newer to ${host}: \`tools/setup.sh --only containers\`, or drivers.criu.programs.`;
  const error = godwitError(
    'GODWIT_DEVICE_UNMAPPED',
    { device: 'the dump', guest, host, what },
    { hint },
  );
  return refusal('machine', error, 'destination');
}

/** Compares the first two numbers: `4.1` is older than `4.2.1`. Pure. */
export function isOlder(left: string, right: string): boolean {
  const [one, other] = [left, right].map((each) =>
    each.split('.').map((part) => Number.parseInt(part, 10) || 0),
  );
  for (const index of [0, 1]) {
    const difference = (one?.[index] ?? 0) - (other?.[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

async function judgeLayers(
  { layerDirs, records }: HostContext,
  { layers }: ContainerSpec,
  { host, guest }: Where,
  signal: AbortSignal,
): Promise<NamedCheck> {
  if (layers.length === 0)
    return pass('images', 'it is of no image: all of it is sent', 'destination');
  const found = await findLayers(layers, layerDirs, records.directory, signal);
  const missing = layers.filter((digest) => !found.has(digest));
  if (missing.length === 0) {
    return pass(
      'images',
      `${layers.length} layers of its image are there, by content`,
      'destination',
    );
  }
  const what = `no layer ${missing[0]?.slice(0, 12)} in ${layerDirs.join(', ')}`;
  const hint = `Bring the image to ${host}, and name the directory of its layers in \`drivers.criu.layerDirs\`.`;
  const facts = {
    device: `the image (${missing.length} of ${layers.length} layers)`,
    guest,
    host,
    what,
  };
  return refusal('images', godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }), 'destination');
}

/** A shared volume is mounted in place. Any other needs a new place: nothing existing is used or overwritten. */
async function judgeVolumes(
  context: HostContext,
  { oci, volumes = [] }: ContainerSpec,
  where: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const { volumeDirs, records } = context;
  const { host, guest, shared = new Map<number, string>() } = where;
  if (volumes.length === 0) return [];
  const hint = `Name a directory that only root may write to in \`drivers.criu.volumeDirs\` of ${host}, with room for the volume; move away what is there under its name. If it is storage that both hosts share, name it in the \`storage\` of both.`;
  const refused = (device: string, what: string): NamedCheck => {
    const error = godwitError('GODWIT_DEVICE_UNMAPPED', { device, guest, host, what }, { hint });
    return refusal('disks', error, 'destination');
  };
  const nameOf = (index: number): string =>
    `the volume ${oci?.mounts.find((each) => 'volume' in each && each.volume === index)?.destination}`;
  const places = placesOf(volumes, volumeDirs, shared);
  if (places === undefined) return [refused('its volumes', 'it has no directory of volumes')];
  const left = records.readSync(guest);
  const goes = isAbandonedCopy(left, where) ? (left?.made?.volumes ?? []) : [];
  const own = new Set(goes.map((each) => each.path));
  const checks: NamedCheck[] = [];
  const bytes = places.reduce((sum, each) => sum + each.bytes, 0);
  for (const place of places) {
    const isIn = [...shared.values()].find((each) => overlaps(each, place.path));
    const why =
      isIn !== undefined
        ? `${place.path} would lie in ${isIn}, another of its volumes`
        : own.has(place.path)
          ? undefined
          : await whyNotThere(place, bytes);
    if (why !== undefined) checks.push(refused(nameOf(place.index ?? 0), why));
  }
  for (const [index, file] of shared) {
    const volume = volumes[index];
    const why = volume && (await whyNotMounted(context, volume, file, { guest, signal }));
    if (why !== undefined) checks.push(refused(nameOf(index), why));
  }
  // Received pages and archives are stored next to the volumes until they are unpacked.
  const lacks = await whyNoRoom(records.directory, ROOM_TIMES * bytes);
  if (lacks !== undefined) checks.push(refused('its volumes', lacks));
  if (checks.length > 0) return checks;
  const stay = shared.size === 0 ? '' : `; ${shared.size} are there already, by proof`;
  const evidence = `${places.length} volumes of ${formatBytes(bytes)} are copied${stay}`;
  return [pass('disks', evidence, 'destination')];
}

/**
 * Memory pages are stored twice: as received and as CRIU's images. The root file system's size is known only on
 * arrival.
 */
async function judgeRoom(
  { records }: HostContext,
  { host, guest, memoryBytes }: Where,
): Promise<NamedCheck[]> {
  const { directory } = records;
  const lacks = await whyNoRoom(directory, ROOM_TIMES * memoryBytes, await keptSize(directory));
  if (lacks === undefined) return [];
  const hint = `Make room on ${host} where Godwit keeps its state (${records.directory}).`;
  const facts = { device: 'its memory', guest, host, what: lacks };
  const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
  return [refusal('memory', error, 'destination')];
}

async function judgeBridges(
  { runc }: HostContext,
  { nics }: ContainerSpec,
  { host, guest, networks }: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const text = await runc.run(['ip', '-j', 'link', 'show', 'type', 'bridge'], { signal });
  const bridges = new Set(
    (JSON.parse(text || '[]') as { ifname?: string }[]).map(({ ifname }) => ifname ?? ''),
  );
  const checks = nics.flatMap(({ name, bridge }): NamedCheck[] => {
    const here = networks[bridge] ?? bridge;
    if (bridges.has(here)) return [];
    const facts = { device: name, guest, host, what: `no bridge ${here}` };
    return [refusal('network', godwitError('GODWIT_DEVICE_UNMAPPED', facts), 'destination')];
  });
  return checks.length > 0 ? checks : [pass('network', `${nics.length} links`, 'destination')];
}

/** A process keeps using the features that it found at start; `offered`: this host's features. */
export function judgeProcessor(
  { features }: Pick<ContainerSpec, 'features'>,
  { host, guest }: Pick<Where, 'host' | 'guest'>,
  offered: readonly string[],
): NamedCheck {
  const here = new Set(offered);
  const lacks = features.filter((each) => !here.has(each));
  if (lacks.length === 0)
    return pass('processor', `${features.length} features, all of them here`, 'destination');
  const facts = { host, guest, features: lacks.slice(0, 20).join(', ') };
  return refusal('processor', godwitError('GODWIT_CPU_FEATURE', facts), 'destination');
}

/** A dump contains the container's cgroups; `own`: this host's cgroup version. Pure. */
export function judgeCgroups(
  {
    host,
    guest,
    memoryBytes,
    cgroups = 0,
  }: Pick<Where, 'host' | 'guest' | 'memoryBytes' | 'cgroups'>,
  own: number,
): NamedCheck[] {
  if (cgroups === 0 || cgroups === own || memoryBytes === 0) return [];
  const what = `${host} has cgroups of version ${own}, and its source of version ${cgroups}`;
  const hint = `Start ${host} with the other version (systemd.unified_cgroup_hierarchy=${cgroups - 1} on the kernel's command line), or move it with --mode cold.`;
  const facts = { device: 'its cgroup', guest, host, what };
  const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
  return [refusal('machine', error, 'destination')];
}

/** Includes an ended container that runc still lists or a migration has brought. */
async function judgeName(
  { runc, records }: HostContext,
  where: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const { host, guest } = where;
  const inUse = whyNameInUse(records, where);
  if (inUse !== undefined) return [refusal('name', inUse, 'destination')];
  const there = await runc.state(guest, signal);
  if (there === undefined || isAbandonedCopy(records.readSync(guest), where)) return [];
  const hint = `It is ${there.status}. Remove it with \`runc delete ${guest}\`, if nobody needs it.`;
  return [
    refusal('name', godwitError('GODWIT_NAME_IN_USE', { host, guest }, { hint }), 'destination'),
  ];
}

/** Host dependencies: files that both hosts have, devices with the same numbers, GPUs of the same kind. */
async function judgeGpu(
  context: HostContext,
  { hostParts = [], oci, gpu }: ContainerSpec,
  { host, guest, memoryBytes }: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const refused = (device: string, what: string, hint: string): NamedCheck[] => {
    const facts = { device, guest, host, what };
    const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
    return [refusal('devices', error, 'destination')];
  };
  const missing = await missingPart(context, hostParts, signal);
  if (missing !== undefined) {
    const hint = `Bring the same files to both hosts, and name their directory in \`drivers.criu.hostDirs\` of ${host}.`;
    return refused(missing.path, missing.what, hint);
  }
  for (const { name, major, minor } of oci?.devices ?? []) {
    const here = await numbersOf(`/dev/${name}`);
    if (here === `${major}:${minor}`) continue;
    const hint =
      'Load the driver’s modules in the same order on both hosts, so that its devices have the same numbers.';
    return refused(
      `/dev/${name}`,
      `${here ?? 'no such device'}, and ${major}:${minor} at the source`,
      hint,
    );
  }
  if (gpu === undefined || memoryBytes === 0) return [];
  const why = whyNoGpu(gpu, await context.gpus.facts(signal), await availableBytes());
  if (why !== undefined) return refused('the GPU', why.what, why.hint);
  return [pass('devices', `GPUs of the same kind, with driver ${gpu.driver}`, 'destination')];
}

async function numbersOf(file: string): Promise<string | undefined> {
  const facts = await stat(file).catch(() => undefined);
  if (facts?.isCharacterDevice() !== true) return undefined;
  const { rdev } = facts;
  return `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
}
