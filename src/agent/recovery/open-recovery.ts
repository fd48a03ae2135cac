import { lookAtKernel } from '../../host/watch-dark-host.ts';
import { KeepStandbys, type KeepStandbysDependencies } from './keep-standbys.ts';
import { OfferedStandbys } from './offered.ts';
import { SourceWatch, type SourceWatchDependencies } from './source-watch.ts';
import { Standbys } from './standbys.ts';

type Needs = Omit<KeepStandbysDependencies, 'offered'> &
  Pick<SourceWatchDependencies, 'peers'> & {
    readonly config: { readonly name: string; readonly stateDir: string };
  };

export interface Recovery {
  /** Other hosts' guests, kept here. */
  readonly standbys: Standbys;
  readonly sourceWatch: SourceWatch;
  /** This host's guests, kept elsewhere. */
  readonly keepStandbys: KeepStandbys;
  start(): void;
  close(): Promise<void>;
}

export function openRecovery(deps: Needs): Recovery {
  const { config, clock, log } = deps;
  const standbys = new Standbys(config.stateDir, config.name, clock);
  const sourceWatch = new SourceWatch({ ...deps, standbys, lookAtKernel });
  const offered = new OfferedStandbys(config.stateDir, log);
  const keepStandbys = new KeepStandbys({ ...deps, offered });
  return {
    standbys,
    sourceWatch,
    keepStandbys,
    start: () => {
      sourceWatch.start();
      keepStandbys.start();
    },
    close: async () => {
      await Promise.all([sourceWatch.close(), keepStandbys.close(), standbys.close()]);
    },
  };
}
