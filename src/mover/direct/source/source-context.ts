import type { SourceBackingFiles } from './backing-files.ts';
import type { GuestConnections } from './connections.ts';
import type { SourceDataPath } from './data-path.ts';
import type { DiskLatencies } from './disk-latencies.ts';
import type { SourceDisks } from './disks.ts';
import type { Forecast } from './forecast.ts';
import type { GuestChanges } from './guest-changes.ts';
import type { PostcopyPace } from './postcopy-pace.ts';
import type { SourceProbes } from './probes.ts';
import type { SourceBase } from './source-base.ts';
import type { TimedCap } from './timed-cap.ts';
import type { UnderWay } from './under-way.ts';
import type { SourceVerification } from './verify.ts';

/** What the steps work with. */
export interface SourceContext extends SourceBase {
  readonly dataPath: SourceDataPath;
  readonly connections: GuestConnections;
  readonly probes: SourceProbes;
  readonly verification: SourceVerification;
  readonly forecast: Forecast;
  readonly changes: Pick<
    GuestChanges,
    'assertReady' | 'assertSame' | 'judgeMachine' | 'explain' | 'watch' | 'checks'
  >;
  readonly underWay: Pick<UnderWay, 'saw' | 'msOf'>;
  readonly pace: Pick<PostcopyPace, 'empty' | 'fill' | 'saw' | 'isHolding'>;
  readonly timedCap: Pick<TimedCap, 'saw'>;
  readonly disks: SourceDisks;
  readonly latencies: DiskLatencies;
  readonly backingFiles: SourceBackingFiles;
}
