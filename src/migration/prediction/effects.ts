import { defined } from '../../protocol/defined.ts';
import type { Effects } from '../../protocol/public/prediction.ts';
import { LOST_SHARE } from '../steering/cheaper.ts';
import type { Facts } from './facts.ts';
import type { Rounds } from './rounds.ts';
import type { Load } from './load.ts';
import { NOMINAL } from './scenarios.ts';
import { workOf } from './work.ts';

/** Load of a migration on the guest, the link and the hosts. Pure. */

export interface Course {
  readonly load: Load;
  readonly rounds: Rounds;
  readonly downtimeMs: number;
}

const GB = 1e9;

export function effectsOf(
  facts: Pick<Facts, 'link' | 'memoryPath' | 'memoryBytes' | 'mix' | 'factors'>,
  { load, rounds, downtimeMs }: Course,
): Effects {
  const { link, memoryBytes } = facts;
  const { bytes, memoryMs, lateMs = 0, steps } = rounds;
  const throttles = steps.filter(({ what }) => what === 'throttle');
  const slowedMs = throttles.reduce((sum, { atMs, change }, at) => {
    const untilMs = throttles[at + 1]?.atMs ?? memoryMs;
    return sum + (Math.max(0, untilMs - atMs) * (change?.to ?? 0)) / 100;
  }, 0);
  const percent = Math.max(0, ...throttles.map(({ change }) => change?.to ?? 0));
  const lostMs = slowedMs + lateMs * LOST_SHARE + downtimeMs;
  const most = link === undefined ? undefined : (link.rate * memoryMs) / 1000;
  const { secondsPerGb } = workOf(facts, NOMINAL);
  const share = most === undefined || most <= 0 ? undefined : Math.min(1, bytes / most);
  return {
    guest: { ...(percent > 0 ? { throttlePercent: percent } : {}), lostMs: Math.round(lostMs) },
    link: { ...defined({ share }), forMs: Math.round(memoryMs) },
    hosts: {
      processorMs: Math.round((allContent(load, bytes) / GB) * secondsPerGb * 1000),
      memoryBytes,
    },
  };
}

/** Memory, first or repeated, behind this many link bytes. */
function allContent({ contentBytes, passBytes, againBytesPerByte }: Load, bytes: number): number {
  const again = againBytesPerByte > 0 ? Math.max(0, bytes - passBytes) / againBytesPerByte : 0;
  return contentBytes + again;
}
