import { z } from 'zod';
import type { Obstacle } from '../obstacle.ts';

/** Parses podman's description of a container, and finds parts that cannot move. Pure. */

const some = z.array(z.unknown()).nullish();
const labels = z.record(z.string(), z.string()).nullish();

const inspected = z.looseObject({
  Id: z.string().regex(/^[0-9a-f]{64}$/),
  Name: z.string().min(1).max(256),
  Image: z.string().max(128),
  ImageName: z.string().max(512),
  Rootfs: z.string().nullish(),
  Pod: z.string().nullish(),
  IsInfra: z.boolean().nullish(),
  OCIRuntime: z.string().max(4096),
  StaticDir: z.string().max(4096),
  ExecIDs: some,
  Dependencies: some,
  RestartCount: z.number().nullish(),
  Mounts: z
    .array(z.looseObject({ Type: z.string(), Destination: z.string(), Name: z.string().nullish() }))
    .nullish(),
  State: z.looseObject({ Status: z.string(), Pid: z.number().int(), ConmonPid: z.number().int() }),
  NetworkSettings: z.looseObject({
    Networks: z.record(z.string(), z.unknown()).nullish(),
    Ports: z.record(z.string(), z.unknown()).nullish(),
  }),
  Config: z.looseObject({
    Labels: labels,
    Tty: z.boolean().nullish(),
    OpenStdin: z.boolean().nullish(),
    Healthcheck: z.unknown().optional(),
    Secrets: some,
    SystemdMode: z.boolean().nullish(),
  }),
  HostConfig: z.looseObject({
    LogConfig: z.looseObject({ Type: z.string(), Path: z.string().nullish() }),
    Devices: some,
    Init: z.boolean().nullish(),
    IpcMode: z.string().nullish(),
    PidMode: z.string().nullish(),
    UTSMode: z.string().nullish(),
    UsernsMode: z.string().nullish(),
    NetworkMode: z.string().nullish(),
    CgroupMode: z.string().nullish(),
    CgroupManager: z.string().nullish(),
    Cgroups: z.string().nullish(),
  }),
});
export type PodmanFacts = z.infer<typeof inspected>;

/** Parses the answer of `podman container inspect ID`. Throws if the answer has another form. */
export function factsIn(text: string): PodmanFacts {
  const [one] = z.array(inspected).length(1).parse(JSON.parse(text));
  if (one === undefined) throw new Error('podman described no container');
  return one;
}

interface Rule {
  readonly device: string;
  readonly type: string;
  readonly reason: string;
  readonly hint: string;
  readonly applies: (facts: PodmanFacts) => boolean;
}

const has = (list: readonly unknown[] | null | undefined): boolean =>
  Array.isArray(list) && list.length > 0;
const isPrivate = (mode: string | null | undefined): boolean =>
  ['', 'private', 'shareable', undefined, null].includes(mode);

const RULES: readonly Rule[] = [
  {
    device: 'its pod',
    type: 'pod',
    reason: 'the containers of a pod share namespaces and do not move yet',
    hint: 'Run the container outside of a pod.',
    applies: ({ Pod, IsInfra }) => (Pod ?? '') !== '' || IsInfra === true,
  },
  {
    device: 'its dependencies',
    type: 'dependency',
    reason: 'podman exports no container that depends on others',
    hint: 'Run the container without --requires and without a namespace of another container.',
    applies: ({ Dependencies }) => has(Dependencies),
  },
  {
    device: 'its health check',
    type: 'health check',
    reason: 'its timer does not move',
    hint: 'Run the container with --no-healthcheck.',
    applies: ({ Config }) => Config.Healthcheck !== undefined && Config.Healthcheck !== null,
  },
  {
    device: 'its exec sessions',
    type: 'exec session',
    reason: 'CRIU does not dump processes that `podman exec` started',
    hint: 'End the sessions, then move the container.',
    applies: ({ ExecIDs }) => has(ExecIDs),
  },
  {
    device: 'its published ports',
    type: 'published port',
    reason: 'the ports stay on this host',
    hint: 'Give the container an address of its own on a bridge that both hosts have, without --publish.',
    applies: ({ NetworkSettings }) => Object.keys(NetworkSettings.Ports ?? {}).length > 0,
  },
  {
    device: 'its devices',
    type: 'device',
    reason: 'devices of this host stay there',
    hint: 'Run the container without --device.',
    applies: ({ HostConfig }) => has(HostConfig.Devices),
  },
  {
    device: 'its secrets',
    type: 'secret',
    reason: 'secrets of podman do not move yet',
    hint: 'Run the container without --secret.',
    applies: ({ Config }) => has(Config.Secrets),
  },
  {
    device: 'its terminal',
    type: 'tty',
    reason: 'the other end of the terminal stays on this host',
    hint: 'Run the container without --tty and --interactive.',
    applies: ({ Config }) => Config.Tty === true || Config.OpenStdin === true,
  },
  {
    device: 'its first process',
    type: 'init',
    reason: 'the init of podman is mounted from this host',
    hint: 'Run the container without --init.',
    applies: ({ HostConfig }) => HostConfig.Init === true,
  },
  {
    device: 'its unit',
    type: 'systemd',
    reason: 'a unit of systemd on this host manages it and would start it again',
    hint: 'Run the container by podman alone, without a quadlet and without a generated unit.',
    applies: ({ Config }) =>
      Config.SystemdMode === true || Config.Labels?.['PODMAN_SYSTEMD_UNIT'] !== undefined,
  },
  {
    device: 'its root file system',
    type: 'rootfs',
    reason: 'it is a directory of this host and not an image',
    hint: 'Run the container from an image, without --rootfs.',
    applies: ({ Rootfs }) => (Rootfs ?? '') !== '',
  },
  {
    device: 'its namespaces',
    type: 'namespace',
    reason: 'it shares a namespace with this host or with another container',
    hint: 'Run the container without --ipc, --pid, --uts, --userns, --network host and --network container.',
    applies: ({ HostConfig: { IpcMode, PidMode, UTSMode, UsernsMode, NetworkMode } }) =>
      ![IpcMode, PidMode, UTSMode, UsernsMode].every(isPrivate) ||
      /^(host|container:|ns:|pasta|slirp)/.test(NetworkMode ?? ''),
  },
  {
    device: 'its cgroup',
    type: 'cgroup',
    reason: 'a container without a cgroup of its own cannot be frozen',
    hint: 'Run the container without --cgroups.',
    applies: ({ HostConfig }) => !['default', 'enabled', ''].includes(HostConfig.Cgroups ?? ''),
  },
  {
    device: 'its runtime',
    type: 'runtime',
    reason: 'podman names it by a path, so Godwit cannot stand in for it',
    hint: 'Run the container with --runtime runc or --runtime crun.',
    applies: ({ OCIRuntime }) => !['runc', 'crun'].includes(OCIRuntime),
  },
];

export function podmanObstacles(facts: PodmanFacts): Obstacle[] {
  const found: Obstacle[] = RULES.filter(({ applies }) => applies(facts)).map(
    ({ device, type, reason, hint }) => ({ device, type, reason, hint }),
  );
  const mounts = (facts.Mounts ?? []).slice(0, 32).map((each): Obstacle => {
    const what = each.Type === 'volume' ? `the volume ${each.Name ?? ''}` : 'a bind mount';
    const reason = `${what} of podman does not move yet`;
    const hint = 'Run the container without --volume and --mount, with its data in the image.';
    return { device: each.Destination, type: each.Type, reason, hint };
  });
  return [...found, ...mounts];
}

/** Losses of a move that do not stop the container, for people. */
export function listLosses(facts: PodmanFacts): string[] {
  const restarts = facts.RestartCount ?? 0;
  const { Type: log } = facts.HostConfig.LogConfig;
  return [
    'its creation time becomes the time of the move',
    ...(restarts > 0 ? [`its restart count (${restarts}) becomes 0`] : []),
    ...(log === 'journald' ? ['the lines that it logged so far stay in this host’s journal'] : []),
    'sessions of `podman attach` and `podman wait` end',
  ];
}
