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

export interface KnownOfGuests {
  readonly labels?: Pick<HostLabels, 'of'>;
  readonly guestLoads?: Pick<GuestLoads, 'of'>;
}

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
  // Only the present and the previous hour count.
  const { dirtyBytesPerS } = hours.slice(-2).findLast((hour) => hour.dirtyBytesPerS) ?? {};
  const linkRate = rateOf(load && known.links.now(to));
  const { maxDowntimeMs: ownersDowntimeMs, realtime } = labelsOf(known, guest) ?? {};
  const written = load && dirtyBytesPerS;
  const ofGuest = { load, dirtyBytesPerS: written, ownersDowntimeMs, isRealtime: realtime };
  return { ...ofGuest, linkRate, settings };
}

/** The link may carry more than the measured minimum, so such a rate does not limit the guest's traffic. */
const rateOf = (link: LinkMeasure | undefined): number | undefined =>
  link?.isLeast === true ? undefined : link?.rate;

export function withWorkload(
  host: CheckedHost,
  facts: WorkloadFacts,
  learned: { readonly copiesDisks?: boolean | undefined; readonly link?: LinkMeasure | undefined },
): CheckedHost {
  if (!host.checks.some(({ name }) => name === 'workload')) return host;
  const { copiesDisks, link } = learned;
  const linkRate = link === undefined ? facts.linkRate : rateOf(link);
  const findings = judgeWorkload({ ...facts, linkRate, copiesDisks });
  const checks = judgedAgain(host.checks, 'workload', findings);
  return { ...host, verdict: verdictOf(checks), checks };
}
