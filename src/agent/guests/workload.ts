import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { judgedAgain } from '../../migration/preflight/judge.ts';
import { verdictOf } from '../../migration/preflight/rank.ts';
import { judgeWorkload, type WorkloadFacts } from '../../migration/preflight/workload.ts';
import { asItBegins } from '../../migration/steering/timetable.ts';
import { readLabels, type Labels } from '../../protocol/label-rules.ts';
import type { CheckedHost } from '../../protocol/public/check.ts';
import type { MigrationRequest } from '../../protocol/public/migration.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import type { HostLabels } from './guest-labels.ts';
import type { GuestLoads } from './guest-loads.ts';
import type { LinkRates } from '../host/link-rate.ts';

/** What this host keeps of its guests. */
export interface KnownOfGuests {
  /** What people said of guests; absent: nobody did. */
  readonly labels?: Pick<HostLabels, 'of'>;
  /** How busy guests have been; absent: nobody looks. */
  readonly guestLoads?: Pick<GuestLoads, 'of'>;
}

/** Undefined where there are none, or none that make sense. */
export function labelsOf({ labels }: KnownOfGuests, guest: string): Labels | undefined {
  const given = labels?.of(guest);
  const read = given === undefined ? undefined : readLabels(given);
  return read === undefined || 'words' in read ? undefined : read;
}

interface WorkloadSources extends KnownOfGuests {
  readonly links: Pick<LinkRates, 'now'>;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly config: { readonly limits: Pick<AgentConfig['limits'], 'bandwidth'> };
}

export function workloadOf(known: WorkloadSources, request: MigrationRequest): WorkloadFacts {
  const { guest, to } = request;
  const settings = asItBegins(request, known.config.limits.bandwidth, known.clock.wallMs());
  const { now: load, hours = [] } = known.guestLoads?.of(guest) ?? {};
  // Not what it did long ago: in this hour, or in the one before.
  const { dirtyBytesPerS } = hours.slice(-2).findLast((hour) => hour.dirtyBytesPerS) ?? {};
  // Reports are read for it: not where nobody knows what the guest does.
  const linkRate = rateOf(load && known.links.now(to));
  const { maxDowntimeMs: ownersDowntimeMs, realtime } = labelsOf(known, guest) ?? {};
  const written = load && dirtyBytesPerS;
  const ofGuest = { load, dirtyBytesPerS: written, ownersDowntimeMs, isRealtime: realtime };
  return { ...ofGuest, linkRate, settings };
}

/** A link that carries at least so much may carry what the guest sends beside. */
const rateOf = (link: LinkMeasure | undefined): number | undefined =>
  link?.isLeast === true ? undefined : link?.rate;

/** The checks, that of the workload by what was learned later: whether disks are copied, and what the link was measured to carry. */
export function withWorkload(
  host: CheckedHost,
  facts: WorkloadFacts,
  learned: { readonly copiesDisks?: boolean | undefined; readonly link?: LinkMeasure | undefined },
): CheckedHost {
  // A guest that is busy already, say, is asked nothing more.
  if (!host.checks.some(({ name }) => name === 'workload')) return host;
  const { copiesDisks, link } = learned;
  const linkRate = link === undefined ? facts.linkRate : rateOf(link);
  const findings = judgeWorkload({ ...facts, linkRate, copiesDisks });
  const checks = judgedAgain(host.checks, 'workload', findings);
  return { ...host, verdict: verdictOf(checks), checks };
}
