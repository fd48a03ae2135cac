import { z } from 'zod';
import { defined } from '../../protocol/defined.ts';
import {
  absolute,
  gpuDevice,
  gpuSpec,
  hostMount,
  MAX_HOST_PARTS,
  type HostMount,
} from './host/host-parts.ts';
import { overlaps, VOLUME_OPTIONS, volume } from './files/volume-names.ts';

/**
 * Container's description for its destination. Only parts in this grammar are created there: no hooks, devices
 * or host paths, and no bind mounts except its volumes, below directories that the destination names.
 */

const word = z.string().max(4096);
const cidr = z
  .string()
  .max(64)
  .regex(/^[0-9a-f.:]+\/\d{1,3}$/i, 'an address with its prefix');
const capability = z.string().regex(/^CAP_[A-Z_]{2,40}$/);

const MAX_MOUNTS = 64 + MAX_HOST_PARTS;
/** Allowed mount types, without host paths. */
const MOUNTS = ['proc', 'sysfs', 'tmpfs', 'devpts', 'mqueue', 'cgroup'] as const;

/** True if runc makes a bind mount with this option, whatever the type. Pure. */
export function isBindOption(option: string): boolean {
  return option.split(',').some((each) => each === 'bind' || each === 'rbind');
}

const mount = z.strictObject({
  destination: absolute,
  type: z.enum(MOUNTS),
  source: z
    .string()
    .max(64)
    .regex(/^[a-z0-9]+$/, 'the name of a file system')
    .optional(),
  options: z
    .array(
      z
        .string()
        .max(256)
        .regex(/^[a-z0-9=:,%.]+$/i)
        .refine((option) => !isBindOption(option), 'no bind mount'),
    )
    .max(32)
    .optional(),
});

const volumeMount = z.strictObject({
  destination: absolute,
  volume: z.number().int().nonnegative().max(31),
  options: z.array(z.enum(VOLUME_OPTIONS)).max(16).optional(),
});
export type VolumeMount = z.infer<typeof volumeMount>;

/** Unlimited is 2^64 - 1, which JavaScript rounds to one more than runc accepts. */
const limit = z
  .number()
  .nonnegative()
  .transform((value) => Math.min(value, 2 ** 63));
const sets = z.array(capability).max(64).optional();

/** Allowed seccomp actions; none reaches the host, such as a listener's socket. */
const action = z.string().regex(/^SCMP_ACT_(ALLOW|ERRNO|KILL|KILL_PROCESS|KILL_THREAD|TRAP|LOG)$/);
const number = z.number().int().nonnegative();
const seccomp = z.strictObject({
  defaultAction: action,
  defaultErrnoRet: number.optional(),
  architectures: z
    .array(z.string().regex(/^SCMP_ARCH_[A-Z0-9]{2,16}$/))
    .max(32)
    .optional(),
  syscalls: z
    .array(
      z.strictObject({
        names: z
          .array(z.string().regex(/^[a-z0-9_]{1,64}$/))
          .min(1)
          .max(1024),
        action,
        errnoRet: number.optional(),
        args: z
          .array(
            z.strictObject({
              index: number.max(5),
              value: number,
              valueTwo: number.optional(),
              op: z.string().regex(/^SCMP_CMP_[A-Z_]{2,16}$/),
            }),
          )
          .max(8)
          .optional(),
      }),
    )
    .max(256)
    .optional(),
});

/** Process and restrictions, in the form of the OCI runtime specification. */
export const ociParts = z.strictObject({
  process: z.strictObject({
    terminal: z.literal(false).optional(),
    user: z.strictObject({
      uid: z.number().int().nonnegative(),
      gid: z.number().int().nonnegative(),
      umask: z.number().int().optional(),
      additionalGids: z.array(z.number().int().nonnegative()).max(64).optional(),
    }),
    args: z.array(word).min(1).max(256),
    env: z.array(word).max(256).optional(),
    cwd: absolute,
    capabilities: z
      .strictObject({
        bounding: sets,
        effective: sets,
        permitted: sets,
        inheritable: sets,
        ambient: sets,
      })
      .optional(),
    rlimits: z
      .array(
        z.strictObject({
          type: z.string().regex(/^RLIMIT_[A-Z]{2,16}$/),
          hard: limit,
          soft: limit,
        }),
      )
      .max(32)
      .optional(),
    noNewPrivileges: z.boolean().optional(),
  }),
  hostname: z.string().max(64).optional(),
  readonlyRoot: z.boolean(),
  mounts: z.array(z.union([mount, volumeMount, hostMount])).max(MAX_MOUNTS),
  devices: z.array(gpuDevice).min(1).max(64).optional(),
  maskedPaths: z.array(absolute).max(64).optional(),
  readonlyPaths: z.array(absolute).max(64).optional(),
  seccomp: seccomp.optional(),
  /** Memory limit, bytes; absent: none. */
  memoryLimit: z.number().int().positive().optional(),
  pidsLimit: z.number().int().positive().optional(),
});
export type OciParts = z.infer<typeof ociParts>;

export const nic = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9.]{0,14}$/),
  mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
  mtu: z.number().int().min(576).max(65_535),
  bridge: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/),
  addresses: z.array(cidr).max(16),
  /** `via` absent: on the link. */
  routes: z
    .array(
      z.strictObject({
        to: z.union([z.literal('default'), cidr]),
        via: z
          .string()
          .max(45)
          .regex(/^[0-9a-f.:]+$/i)
          .optional(),
      }),
    )
    .max(32),
});
export type Nic = z.infer<typeof nic>;

/** podman container, which podman creates at the destination from its record. */
const podmanSpec = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/),
  runtime: z.enum(['runc', 'crun']),
  version: z.string().max(32),
  image: z.string().regex(/^[0-9a-f]{64}$/),
  imageName: z.string().max(512),
  networks: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/),
        driver: z.string().max(64),
        subnets: z.array(z.string().max(64)).max(16),
      }),
    )
    .max(8),
  /** podman's directories for containers and for their state until the next boot; the record contains such paths. */
  graph: absolute,
  run: absolute,
});
export type PodmanSpec = z.infer<typeof podmanSpec>;

export const containerSpec = z
  .strictObject({
    /** Absent for a podman container, whose record contains it. */
    oci: ociParts.optional(),
    podman: podmanSpec.optional(),
    nics: z.array(nic).max(8),
    /** SHA-256 of each image layer, uppermost first; empty: the whole root file system is sent. */
    layers: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(64),
    /** Absent: none, as in earlier builds. */
    volumes: z.array(volume).min(1).max(32).optional(),
    /** Host paths that it reads, with the SHA-256 of their contents; absent: none, as in earlier builds. */
    hostParts: z
      .array(z.strictObject({ path: absolute, digest: z.string().regex(/^[0-9a-f]{64}$/) }))
      .min(1)
      .max(MAX_HOST_PARTS)
      .optional(),
    gpu: gpuSpec.optional(),
    criu: z.string().max(32),
    runc: z.string().max(32),
    features: z.array(z.string().max(32)).max(512),
  })
  .refine(({ oci, podman }) => (oci === undefined) !== (podman === undefined), 'one manager')
  .refine(({ oci, volumes = [] }) => {
    const used = (oci?.mounts ?? []).flatMap((each) => ('volume' in each ? [each.volume] : []));
    return used.toSorted((one, other) => one - other).join() === [...volumes.keys()].join();
  }, 'each volume is mounted once, and each mount has its volume')
  .refine(({ oci, hostParts = [] }) => {
    const used = (oci?.mounts ?? []).flatMap((each) => ('host' in each ? [each.host] : []));
    return used.toSorted((one, other) => one - other).join() === [...hostParts.keys()].join();
  }, 'each part of the host is mounted once, and each such mount has its part')
  .refine(({ volumes = [] }) => {
    const names = volumes.map(({ name }) => name);
    return names.every(
      (name, index) => !names.slice(index + 1).some((each) => overlaps(each, name)),
    );
  }, 'no volume lies in another');
export type ContainerSpec = z.infer<typeof containerSpec>;

/** runc configuration for the destination: `netns`, `cgroup` and the volumes' places are this host's. */
export function configOf(
  oci: OciParts,
  netns: string,
  cgroup: string,
  volumes: readonly (string | undefined)[] = [],
  hostParts: readonly string[] = [],
): object {
  const { process, hostname, maskedPaths, readonlyPaths, memoryLimit, pidsLimit } = oci;
  const mounts = oci.mounts.map((each) => {
    if ('volume' in each) return bindOf(each, each.volume, volumes);
    return 'host' in each ? bindOf(each, each.host, hostParts) : each;
  });
  const devices = (oci.devices ?? []).map(({ name, ...numbers }) => {
    const rights = { fileMode: 0o666, uid: 0, gid: 0 };
    return { path: `/dev/${name}`, type: 'c', ...numbers, ...rights };
  });
  const allowed = devices.map(({ type, major, minor }) => {
    return { allow: true, type, major, minor, access: 'rw' };
  });
  const { seccomp: filter } = oci;
  const memory = memoryLimit === undefined ? {} : { memory: { limit: memoryLimit } };
  const pids = pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } };
  return {
    ociVersion: '1.0.2',
    process,
    root: { path: 'rootfs', readonly: oci.readonlyRoot },
    ...defined({ hostname }),
    mounts,
    linux: {
      cgroupsPath: cgroup,
      ...(devices.length === 0 ? {} : { devices }),
      resources: { devices: [{ allow: false, access: 'rwm' }, ...allowed], ...memory, ...pids },
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'network', path: netns },
      ],
      ...defined({ maskedPaths, readonlyPaths, seccomp: filter }),
    },
  };
}

function bindOf(
  { destination, options = [] }: VolumeMount | HostMount,
  number: number,
  places: readonly (string | undefined)[],
) {
  const source = places[number];
  if (source === undefined) throw new Error(`no place for what is mounted at ${destination}`);
  return { destination, type: 'bind', source, options: ['bind', 'rprivate', ...options] };
}
