import { defined } from '../../protocol/defined.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { SourceEvent } from '../direct/source/source-state.ts';

/** Splits the time between the guest's stop and resume, from the journal. Pure. */

/** Wall clock of the last switchover, ms. */
export interface Marks {
  readonly stopped?: number;
  readonly continued?: number;
  readonly handedOver?: number;
  readonly ran?: number;
  /** Time of it that the destination's hypervisor took to resume the guest, ms. */
  readonly resumeMs?: number;
}

export function marksAfter(marks: Marks, event: SourceEvent, at: number): Marks {
  if (event.type === 'did' && event.step === 'commit') {
    const { running } = event.facts;
    return { ...marks, ran: at, ...defined({ resumeMs: running?.resumeMs }) };
  }
  if (event.type !== 'hypervisor' || marks.ran !== undefined) return marks;
  switch (event.event.type) {
    case 'stopped':
      return { stopped: at };
    case 'resumed':
      return {};
    case 'device':
      return marks.stopped === undefined ? marks : { ...marks, continued: at };
    case 'completed':
    case 'postcopy-active':
      if (marks.stopped === undefined) return marks;
      return { ...marks, handedOver: marks.handedOver ?? at };
    default:
      return marks;
  }
}

/** Parts in order; their sum is the blackout. Empty if the guest did not run at the destination. */
export function blackoutParts(marks: Marks): NonNullable<Report['blackoutParts']> {
  const { stopped, ran, resumeMs = 0 } = marks;
  if (stopped === undefined || ran === undefined || ran < stopped) return [];
  const continued = within(marks.continued ?? stopped, stopped, ran);
  const handedOver = within(marks.handedOver ?? continued, continued, ran);
  const resume = Math.min(resumeMs, ran - handedOver);
  return [
    { part: 'stop', ms: continued - stopped },
    { part: 'state', ms: handedOver - continued },
    { part: 'commit', ms: ran - handedOver - resume },
    { part: 'resume', ms: resume },
  ];
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
