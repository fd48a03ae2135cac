import type { Canary } from '../canary.ts';
import type { HostGpus } from '../gpu/gpu.ts';
import type { PodmanContainer, Records } from '../link/records.ts';
import type { Runc } from '../runtimes/runc.ts';

export interface HostContext {
  readonly host: string;
  readonly runc: Runc;
  readonly records: Records;
  readonly canary: Canary;
  /** A process in the containers' mount namespace; absent: this process's. */
  readonly mountsOf: number | undefined;
  /** Prefix for paths of that mount namespace if this process is in another one. */
  readonly prefix: string;
  readonly layerDirs: readonly string[];
  readonly volumeDirs: readonly string[];
  /** Directories with the same content on other hosts. */
  readonly hostDirs: readonly string[];
  readonly gpus: HostGpus;
  readonly keptBytes: number;
  readonly postcopy: boolean;
  readonly forPodman: (container: PodmanContainer) => HostContext;
  /** Prefix of arriving containers' cgroup names; runc removes the cgroups with the container. */
  readonly cgroup: string;
}
