/** config.json of the lab's container, as the OCI runtime specification has it. Pure. */

export interface ContainerLoad {
  readonly staticBytes: number;
  readonly dirtyBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** In the place of the lab's workload. */
  readonly program?: ContainerProgram | undefined;
}

/** Of a layer of its own, below the lab's directory of layers. */
export interface ContainerProgram {
  readonly layer: string;
  readonly args: readonly string[];
  readonly env?: readonly string[] | undefined;
  /** Of the host, that it may use: what config.json says of each. */
  readonly devices?: readonly ContainerDevice[] | undefined;
  /** As config.json has them, by the moment at which they run. */
  readonly hooks?: object | undefined;
}

export interface ContainerDevice {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

export interface ContainerPlace {
  readonly hostname: string;
  /** Path of its network namespace. */
  readonly netns: string;
  readonly cgroup: string;
}

/** What of its host a container mounts. */
export interface ContainerBind {
  readonly source: string;
  readonly destination: string;
  readonly options?: readonly string[];
}

/** ENOSYS: as on a kernel without it. CRIU cannot dump io_uring, which Node uses where it is there. */
const NO_SUCH_CALL = 38;

function devicesOf(devices: readonly ContainerDevice[]): object {
  const nothing = { allow: false, access: 'rwm' };
  const allowed = devices.map(({ major, minor }) => {
    return { allow: true, type: 'c', major, minor, access: 'rw' };
  });
  const made = devices.map((each) => ({ ...each, type: 'c', fileMode: 0o666, uid: 0, gid: 0 }));
  return {
    ...(made.length === 0 ? {} : { devices: made }),
    resources: { devices: [nothing, ...allowed] },
  };
}

export function containerConfig(
  place: ContainerPlace,
  load: ContainerLoad,
  binds: readonly ContainerBind[] = [],
): object {
  const { staticBytes, dirtyBytes, dirtyBytesPerSecond, program } = load;
  const words = [staticBytes, dirtyBytes, dirtyBytesPerSecond].map(String);
  const args = program?.args ?? ['/bin/node', '/workload.ts', ...words];
  const capabilities = ['CAP_KILL', 'CAP_NET_BIND_SERVICE'];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin', 'LD_LIBRARY_PATH=/lib', ...(program?.env ?? [])],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    hostname: place.hostname,
    ...(program?.hooks === undefined ? {} : { hooks: program.hooks }),
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/sys',
        type: 'sysfs',
        source: 'sysfs',
        options: ['nosuid', 'noexec', 'nodev', 'ro'],
      },
      ...binds.map(({ source, destination, options = [] }) => ({
        destination,
        type: 'bind',
        source,
        options: ['rbind', 'rprivate', ...options],
      })),
    ],
    linux: {
      cgroupsPath: place.cgroup,
      ...devicesOf(program?.devices ?? []),
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'network', path: place.netns },
      ],
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      seccomp: {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          {
            names: ['io_uring_setup', 'io_uring_enter', 'io_uring_register'],
            action: 'SCMP_ACT_ERRNO',
            errnoRet: NO_SUCH_CALL,
          },
        ],
      },
    },
  };
}
