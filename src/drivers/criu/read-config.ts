import { z } from 'zod';
import { defined } from '../../protocol/defined.ts';
import { sortMounts, type Bind, type HostBind } from './files/binds.ts';
import { GPU_DEVICE, type GpuDevice } from './host/host-parts.ts';
import type { Obstacle } from './obstacle.ts';
import { ociParts, type OciParts } from './spec.ts';
import { hookObstacles } from './gpu/toolkit-hooks.ts';
import { isRecord, jsonOf } from '../../formats/json.ts';

/** Converts a container's config.json to the grammar of a description. Pure. */

const whole = z.looseObject({
  process: z.looseObject({}),
  root: z.looseObject({ readonly: z.boolean().optional() }).optional(),
  hostname: z.string().optional(),
  mounts: z
    .array(
      z.looseObject({
        destination: z.string(),
        type: z.string().optional(),
        source: z.string().optional(),
        options: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  hooks: z.unknown().optional(),
  linux: z
    .looseObject({
      namespaces: z
        .array(z.looseObject({ type: z.string(), path: z.string().optional() }))
        .default([]),
      devices: z
        .array(
          z.looseObject({
            path: z.string(),
            type: z.string().optional(),
            major: z.number().optional(),
            minor: z.number().optional(),
          }),
        )
        .optional(),
      maskedPaths: z.array(z.string()).optional(),
      readonlyPaths: z.array(z.string()).optional(),
      seccomp: z.unknown().optional(),
      resources: z
        .looseObject({
          memory: z.looseObject({ limit: z.number().optional() }).optional(),
          pids: z.looseObject({ limit: z.number().optional() }).optional(),
        })
        .optional(),
    })
    .optional(),
});

type Linux = NonNullable<z.infer<typeof whole>['linux']>;

export interface ReadConfig {
  /** Undefined if a part is not in the grammar; `obstacles` names it. */
  readonly oci: OciParts | undefined;
  readonly netns: string | undefined;
  readonly memoryLimit: number | undefined;
  /** Volumes in the order of their numbers in `oci`. */
  readonly binds: readonly Bind[];
  /** Host paths that it only reads, in the order of their numbers in `oci`. */
  readonly ofHost: readonly HostBind[];
  readonly obstacles: readonly Obstacle[];
}

const WANTED = ['pid', 'ipc', 'uts', 'mount', 'network'];

export function readConfig(
  text: string,
  volumeDirs: readonly string[] = [],
  hostDirs: readonly string[] = [],
): ReadConfig {
  const given = whole.safeParse(jsonOf(text));
  if (!given.success) {
    const reason = z.prettifyError(given.error).slice(0, 300);
    const hint = 'Look at the bundle of the container: runc itself reads it only when it starts.';
    const obstacles = [{ device: 'config.json', type: 'configuration', reason, hint }];
    const none = { oci: undefined, netns: undefined, memoryLimit: undefined };
    return { ...none, binds: [], ofHost: [], obstacles };
  }
  const { process, root, hostname, mounts = [], linux } = given.data;
  const { maskedPaths, readonlyPaths, resources, seccomp } = linux ?? {};
  const limit = resources?.memory?.limit;
  const pids = resources?.pids?.limit;
  const memoryLimit = limit !== undefined && limit > 0 ? limit : undefined;
  const {
    apparmorProfile: _a,
    selinuxLabel: _s,
    oomScoreAdj: _o,
    consoleSize: _c,
    ...own
  } = process;
  const sorted = sortMounts(mounts, volumeDirs, hostDirs);
  const devices = gpuDevices(linux?.devices ?? []);
  const parts = ociParts.safeParse({
    process: own,
    hostname,
    readonlyRoot: root?.readonly === true,
    mounts: sorted.mounts,
    ...(devices.length === 0 ? {} : { devices }),
    maskedPaths,
    readonlyPaths,
    ...(seccomp === undefined || seccomp === null ? {} : { seccomp }),
    ...defined({ memoryLimit }),
    ...(pids !== undefined && pids > 0 ? { pidsLimit: pids } : {}),
  });
  const obstacles = [
    ...namespaceObstacles(linux?.namespaces ?? []),
    ...sorted.obstacles,
    ...partObstacles(given.data),
    ...filterObstacle(parts.error),
  ];
  if (!parts.success && obstacles.length === 0) {
    const reason = z.prettifyError(parts.error).replaceAll('\n', ' ').slice(0, 300);
    const hint = 'Start the container without that part, or leave it where it is.';
    obstacles.push({ device: 'config.json', type: 'configuration', reason, hint });
  }
  const netns = linux?.namespaces.find(({ type }) => type === 'network')?.path;
  const { binds, ofHost } = sorted;
  return { oci: parts.data, netns, memoryLimit, binds, ofHost, obstacles };
}

/** Example: a filter that asks a host program (SCMP_ACT_NOTIFY). */
function filterObstacle(error: z.ZodError | undefined): Obstacle[] {
  const wrong = error?.issues.find(({ path: [first] }) => first === 'seccomp');
  if (wrong === undefined) return [];
  const where = wrong.path.join('.');
  const reason = `${where} is none that the destination would set: ${wrong.message}`.slice(0, 300);
  const hint = 'Start the container with a filter that allows, refuses, logs or kills by itself.';
  return [{ device: 'linux.seccomp', type: 'seccomp', reason, hint }];
}

function namespaceObstacles(
  namespaces: readonly { readonly type: string; readonly path?: string | undefined }[],
): Obstacle[] {
  const found: Obstacle[] = [];
  for (const wanted of WANTED) {
    const own = namespaces.find(({ type }) => type === wanted);
    const device = `the ${wanted} namespace`;
    if (own === undefined) {
      const hint = `Start the container with a ${wanted} namespace of its own.`;
      found.push({ device, type: 'namespace', reason: 'it is the host’s own', hint });
    } else if (wanted !== 'network' && own.path !== undefined) {
      const hint = 'Containers that share namespaces (a pod) do not move yet; start it alone.';
      found.push({ device, type: 'namespace', reason: 'another container shares it', hint });
    } else if (wanted === 'network' && own.path === undefined) {
      const hint =
        'Make it with `ip netns add`, and name its path in config.json, as CNI and podman do.';
      found.push({
        device,
        type: 'namespace',
        reason: 'runc made it, and CRIU would move its links',
        hint,
      });
    }
  }
  if (namespaces.some(({ type }) => type === 'user')) {
    const hint = 'Start the container without a user namespace.';
    const reason = 'containers with a user namespace do not move yet';
    found.push({ device: 'the user namespace', type: 'namespace', reason, hint });
  }
  for (const { type } of namespaces) {
    if (WANTED.includes(type) || type === 'user') continue;
    const hint = `Start the container without a ${type} namespace.`;
    const reason = 'the destination would not make one';
    found.push({ device: `the ${type} namespace`, type: 'namespace', reason, hint });
  }
  return found;
}

/** Parts of `linux` that are carried over, checked elsewhere, or included in CRIU's images (seccomp). */
const LINUX = ['namespaces', 'devices', 'maskedPaths', 'readonlyPaths', 'resources', 'seccomp'];
const TRAVELS = new Set(['memory.limit', 'pids.limit']);

/** Restrictions that the destination would not apply. */
function lostObstacles(linux: Linux | undefined, process: Record<string, unknown>): Obstacle[] {
  const { resources = {}, ...rest } = linux ?? {};
  const lost: string[] = ['apparmorProfile', 'selinuxLabel']
    .filter((key) => saysSomething(process[key]))
    .map((key) => `process.${key}`);
  for (const [key, value] of Object.entries(rest)) {
    if (LINUX.includes(key) || key === 'cgroupsPath') continue;
    if (saysSomething(value)) lost.push(`linux.${key}`);
  }
  for (const [kind, limits] of Object.entries(resources)) {
    // The destination allows the devices that every container has.
    if (kind === 'devices') continue;
    const parts = isRecord(limits) ? Object.entries(limits) : [['', limits] as const];
    for (const [key, value] of parts) {
      const name = key === '' ? kind : `${kind}.${key}`;
      if (!TRAVELS.has(name) && saysSomething(value)) lost.push(`linux.resources.${name}`);
    }
  }
  return lost.map((device) => {
    const hint = `Start the container without ${device}; of its limits memory.limit and pids.limit move.`;
    const reason = 'the container would run without it at the destination';
    return { device, type: 'confinement', reason, hint };
  });
}

/** False for values that runc treats as absent: 0, -1, empty. */
function saysSomething(value: unknown): boolean {
  if (isRecord(value)) return Object.values(value).some(saysSomething);
  if (Array.isArray(value)) return value.length > 0;
  return ![undefined, null, false, 0, -1, ''].includes(value as null);
}

function partObstacles({ linux, hooks, process }: z.infer<typeof whole>): Obstacle[] {
  const found: Obstacle[] = [];
  const own = new Set(gpuDevices(linux?.devices ?? []).map(({ name }) => `/dev/${name}`));
  for (const { path } of linux?.devices ?? []) {
    if (own.has(path)) continue;
    const hint = 'Start the container without the device.';
    found.push({ device: path, type: 'device', reason: 'a device of this host stays there', hint });
  }
  found.push(...lostObstacles(linux, process));
  found.push(...hookObstacles(hooks));
  if (process['terminal'] === true) {
    const hint = 'Start the container without a terminal (`terminal: false`, `runc run -d`).';
    found.push({
      device: 'the terminal',
      type: 'tty',
      reason: 'its other end stays on this host',
      hint,
    });
  }
  const [first = ''] = Array.isArray(process['args']) ? (process['args'] as unknown[]) : [];
  if (typeof first === 'string' && /(^|\/)(systemd|init)$/.test(first)) {
    const hint = 'Move it as a virtual machine, or run its service without systemd.';
    found.push({
      device: first,
      type: 'entry point',
      reason: 'systemd does not come back from CRIU',
      hint,
      ofMemory: true,
    });
  }
  return found;
}

/** GPU driver's devices, which the other host also has. */
function gpuDevices(devices: NonNullable<Linux['devices']>): GpuDevice[] {
  return devices.flatMap(({ path, type, major = 0, minor = 0 }): GpuDevice[] => {
    const name = path.startsWith('/dev/') ? path.slice('/dev/'.length) : '';
    return type === 'c' && GPU_DEVICE.test(name) ? [{ name, major, minor }] : [];
  });
}
