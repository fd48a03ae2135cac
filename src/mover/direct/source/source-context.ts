import type { SourceBackingFiles } from './disks/backing-files.ts';
import type { GuestConnections } from './network/connections.ts';
import type { SourceDataPath } from './stream/data-path.ts';
import type { DiskLatencies } from './disks/disk-latencies.ts';
import type { SourceDisks } from './disks/disks.ts';
import type { Forecast } from './stream/forecast.ts';
import type { GuestChanges } from './guest/guest-changes.ts';
import type { PostcopyPace } from './stream/postcopy-pace.ts';
import type { SourceProbes } from './network/probes.ts';
import type { SourceBase } from './source-base.ts';
import type { TimedCap } from './stream/timed-cap.ts';
import type { UnderWay } from './stream/under-way.ts';
import type { SourceVerification } from './network/verify.ts';

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
