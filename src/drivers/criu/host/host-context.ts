import type { Canary } from '../canary.ts';
import type { HostGpus } from '../gpu/gpu.ts';
import type { PodmanContainer, Records } from '../link/records.ts';
import type { Runc } from '../runtimes/runc.ts';

/** What both ends of a container's migration work with on their host. */
export interface HostContext {
  readonly host: string;
  readonly runc: Runc;
  readonly records: Records;
  readonly canary: Canary;
  /** The process in whose mount namespace the containers are; absent: this one's. */
  readonly mountsOf: number | undefined;
  /** Put before paths of that mount namespace that this process does not see itself. */
  readonly prefix: string;
  readonly layerDirs: readonly string[];
  readonly volumeDirs: readonly string[];
  /** Directories that other hosts have too, with the same content. */
  readonly hostDirs: readonly string[];
  readonly gpus: HostGpus;
  /** What may be kept of containers that have left. */
  readonly keptBytes: number;
  /** Containers may leave by post-copy. */
  readonly postcopy: boolean;
  /** The same for one container of podman. */
  readonly forPodman: (container: PodmanContainer) => HostContext;
  /** How the names of the cgroups of containers that come begin; runc removes them with the container. */
  readonly cgroup: string;
}
