import type { Answer, HostDoubts, RunAt } from '../../../protocol/public/resolve.ts';
import { NO_ANSWER, doubtsIn, findingsIn, type Finding } from '../../permission/host-answer.ts';
import { evidenceOf, joined, type GuestSightings } from './guest-sightings.ts';

export interface DamagedRecord {
  readonly id: string;
  readonly host: string;
  readonly guest: string;
  readonly damaged: 'request' | 'journal';
  /** False if neither file names the guest; it may then be any guest of this host. */
  readonly isGuestKnown: boolean;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

/**
 * Answers that an operator can give for a damaged record: the guest is here, or there. Each answer only sets the
 * record aside, and none is `safe`. An answer is `wrong` if another host shows that the guest runs there.
 */
export function judgeDamaged(record: DamagedRecord, fleet: GuestSightings): Answer[] {
  const { id, host, guest } = record;
  const evidence = evidenceOf(fleet, guest);
  const ran = evidence.filter(({ kind }) => kind === 'ran');
  const doubts = [
    ...evidence.filter(({ kind }) => kind !== 'ran').map(({ what }) => what),
    ...fleet.unasked.map((each) => `${each.host} was not asked about ${guest}: ${each.why}`),
  ];
  return (['source', 'destination', 'elsewhere'] as const).map((runAt): Answer => {
    const other = ran.find((each) => !isAt(record, runAt, each.host));
    if (other !== undefined) {
      return { runAt, verdict: 'wrong', why: other.what, risks: [], proof: 'none' };
    }
    const shown = ran[0]?.what ?? `no host reports that it runs ${guest}`;
    const why = `${shown}: the record of ${id} at ${host} is set aside; no copy is started or ended`;
    const risks = [
      ...recordFindings(record).map((each) => `${host} ${each.why}`),
      ...(doubts.length === 0 ? [] : [joined(doubts)]),
    ];
    return { runAt, verdict: 'risky', why, risks, proof: 'none' };
  });
}

/** Doubts that an operator accepts by setting the record aside, by host. */
export function doubtsAboutDamaged(record: DamagedRecord, fleet: GuestSightings): HostDoubts[] {
  const shown = fleet.sightings.flatMap((seen): HostDoubts[] => {
    const own = seen.host === record.host ? recordFindings(record) : [];
    const found = findingsIn(seen, { ...fleet, guest: record.guest });
    const doubts = doubtsIn([...own, ...found.filter(({ kind }) => kind !== 'ran')]);
    return doubts.length === 0 ? [] : [{ host: seen.host, doubts }];
  });
  return [...shown, ...fleet.unasked.map(({ host }) => ({ host, doubts: [NO_ANSWER] }))];
}

function isAt({ from, to }: DamagedRecord, runAt: RunAt, host: string): boolean {
  switch (runAt) {
    case 'source':
      return host === from;
    case 'destination':
      return host === to;
    case 'elsewhere':
      return host !== from && host !== to;
  }
}

function recordFindings({ damaged, why, isGuestKnown }: DamagedRecord): Finding[] {
  const doubt = `damaged ${damaged}`;
  const unread: Finding = { kind: 'maybe', doubt, why: `cannot say: ${why}` };
  if (isGuestKnown) return [unread];
  const nameless = 'has no record that names the guest: it may be any guest of this host';
  return [unread, { kind: 'maybe', doubt: 'unknown guest', why: nameless }];
}
