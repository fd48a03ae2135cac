import { warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import { bytesInTime } from '../files/file-limits.ts';
import { rootOf } from '../files/rootfs.ts';
import { treesOf } from '../files/trees.ts';
import type { HostContext } from '../host/host-context.ts';
import { networkOf } from '../host/network.ts';
import { cgroupOf, processesIn } from '../host/processes.ts';
import {
  describe,
  judge,
  judgeState,
  limitsOf,
  processObstacles,
  processorFeatures,
  sizesOf,
  tracking,
  type ContainerInspection,
} from '../inspect.ts';
import type { Obstacle } from '../obstacle.ts';
import { handOverMs, type RuncState } from '../runtimes/runc.ts';
import type { ContainerSpec, PodmanSpec } from '../spec.ts';
import { readInfo, isRecent, tooOld, untested } from './assess.ts';
import { listLosses, podmanObstacles, type PodmanFacts } from './facts.ts';
import type { PodmanInfo, PodmanNetwork } from './podman.ts';
import { ONLY_PRECOPY, type PodmanRuntime } from './runtime.ts';

/** conmon's end of them is created again at the destination. */
const STREAMS = new Set(['standard input', 'standard output', 'standard error']);
const isStream = ({ device, type }: Obstacle): boolean => STREAMS.has(device) && type === 'pipe';

export async function examinePodman(
  context: HostContext & { readonly runc: PodmanRuntime },
  listed: RuncState,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<ContainerInspection> {
  const { host, runc, mountsOf, prefix } = context;
  const { id: name, pid, rootfs } = listed;
  const { podman } = runc;
  const cgroup = (await cgroupOf(pid, prefix)) ?? '';
  const info = await readInfo(podman, signal);
  if (!isRecent(info)) throw tooOld(info, { host, guest: name });
  const [facts, network, processes, root, versions, features, known] = await Promise.all([
    podman.inspect(runc.container.id, signal),
    networkOf(runc.run.bind(runc), pid, signal),
    processesIn(cgroup),
    rootOf(rootfs, mountsOf),
    runc.versions(signal),
    processorFeatures(),
    podman.networks(signal),
  ]);
  const rootBytes = await bytesInTime(context, root.upper, signal);
  const [ofRoot] = treesOf(root, [], rootBytes);
  const none = { volumes: [], here: [], obstacles: [] };
  const ofProcesses = await processObstacles(pid, processes);
  const obstacles = [
    ...podmanObstacles(facts),
    ...network.obstacles,
    ...ofProcesses.filter((each) => !isStream(each)),
    ...(await limitsOf(context, ofRoot, none, processes, signal)),
  ];
  const networks = selectNetworks(known, facts);
  const said = { ...versions, ...(await sizesOf(context, pid)) };
  const spec: ContainerSpec = {
    podman: describePodman(runc, facts, info, networks),
    nics: network.nics.map(({ nic }) => nic),
    layers: [],
    ...versions,
    features,
  };
  return {
    description: describe(name, memoryBytes, said, spec),
    checks: [
      ...judge(name, obstacles, network.unseen),
      await judgeState(name, host, cgroup, processes),
      await context.canary.check(host, 'source', signal),
      tracking(),
      ...untested(info, 'source'),
      ...lossChecks(facts, networks),
    ],
    handsOverMs: handOverMs(memoryBytes),
    gpuBytes: undefined,
    onlyPrecopy: ONLY_PRECOPY,
    nicsHere: network.nics,
    root,
    rootBytes,
    volumes: [],
    mounted: [],
    cgroup,
  };
}

function describePodman(
  { container }: PodmanRuntime,
  facts: PodmanFacts,
  { version, graph, run }: PodmanInfo,
  networks: readonly FoundNetwork[],
): PodmanSpec {
  return {
    id: facts.Id,
    name: facts.Name,
    runtime: container.runtime,
    version,
    image: facts.Image,
    imageName: facts.ImageName,
    networks: networks.map(({ isNat: _, ...each }) => each),
    graph,
    run,
  };
}

type FoundNetwork = PodmanSpec['networks'][number] & {
  readonly isNat: boolean;
};

function selectNetworks(known: readonly PodmanNetwork[], facts: PodmanFacts): FoundNetwork[] {
  const names = Object.keys(facts.NetworkSettings.Networks ?? {});
  return known
    .filter(({ name }) => names.includes(name))
    .map(({ name, driver, subnets, options }) => {
      const isNat = driver === 'bridge' && options?.['mode'] !== 'unmanaged';
      return { name, driver, subnets: (subnets ?? []).map(({ subnet }) => subnet), isNat };
    });
}

function lossChecks(facts: PodmanFacts, networks: readonly FoundNetwork[]): NamedCheck[] {
  const lost = listLosses(facts).join('; ');
  const checks = [
    warn(
      'devices',
      `podman at the destination makes a record of its own: ${lost}`,
      'Nothing is to be done if none of that is needed.',
    ),
  ];
  const nat = networks.filter(({ isNat }) => isNat).map(({ name }) => name);
  if (nat.length === 0) return checks;
  const evidence = `podman translates the addresses of ${nat.join(', ')} on each host: connections through them end`;
  const hint =
    'For connections that stay, use a network of mode=unmanaged on a bridge that both hosts have.';
  return [...checks, warn('network', evidence, hint)];
}
