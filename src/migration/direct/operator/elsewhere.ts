import type { Answer, SideView } from '../../../protocol/public/resolve.ts';
import { evidenceOf, joined, type Evidence, type GuestSightings } from './guest-sightings.ts';

export interface ThirdHost {
  readonly host: string;
  readonly why: string;
}

export interface Sides {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly source: SideView | undefined;
  readonly destination: SideView | undefined;
  readonly fleet: GuestSightings;
}

type GuestSearch = Pick<Sides, 'guest' | 'from' | 'to' | 'fleet'>;

export function findThirdHost(sides: GuestSearch): ThirdHost | undefined {
  return thirdHostIn(evidenceOf(sides.fleet, sides.guest), sides);
}

function thirdHostIn(
  shown: readonly Evidence[],
  { from, to }: Pick<Sides, 'from' | 'to'>,
): ThirdHost | undefined {
  const seen = shown.find(({ kind, host }) => kind === 'ran' && host !== from && host !== to);
  return seen === undefined ? undefined : { host: seen.host, why: seen.what };
}

/**
 * Answers with evidence from other hosts added. While any host shows the guest, a destination that has not run it
 * does not get it, and the source may give its copy up. Giving up ends that copy, removes no disk, and starts
 * nothing.
 */
export function withElsewhere(answers: readonly Answer[], sides: Sides): Answer[] {
  const { destination } = sides;
  // A destination that holds the right may still be told to run the guest.
  const hasArrived = destination?.hasRun === true || runsThere(destination);
  const shown = evidenceOf(sides.fleet, sides.guest);
  const ran = shown.find(({ kind }) => kind === 'ran');
  const halted = shown.find(({ kind }) => kind === 'halted');
  const judged = answers.map((answer): Answer => {
    if (hasArrived || answer.runAt === 'source') return answer;
    if (ran !== undefined) {
      return { ...answer, verdict: 'wrong', why: ran.what, risks: [], proof: 'none' };
    }
    if (halted === undefined || answer.verdict !== 'safe') return answer;
    return { ...answer, verdict: 'unknown', risks: [...answer.risks.slice(0, 7), halted.what] };
  });
  const elsewhere = judgeElsewhere(judged, sides, shown);
  return elsewhere === undefined ? judged : [...judged, elsewhere];
}

function runsThere(destination: SideView | undefined): boolean {
  return destination?.right === 'running' && destination.hypervisor === 'running';
}

/** Undefined if another answer is safe, or if the source cannot end its copy now. */
function judgeElsewhere(
  answers: readonly Answer[],
  sides: Sides,
  shown: readonly Evidence[],
): Answer | undefined {
  const { guest, from, source, destination } = sides;
  if (source === undefined || source.hypervisor === 'running' || source.hypervisor === 'unknown') {
    return undefined;
  }
  if (runsThere(destination) || answers.some(({ verdict }) => verdict === 'safe')) return undefined;
  const given = `the copy at ${from} is ended, and no disk is removed`;
  const third = thirdHostIn(shown, sides);
  if (third !== undefined) {
    const why = `${third.why}: ${given}`;
    if (source.hypervisor === 'gone') {
      return { runAt: 'elsewhere', verdict: 'safe', why, risks: [], proof: 'observed' };
    }
    // One host's word is not enough to give up memory; an operator must look there first.
    const risks = [
      `${third.host} alone says so: if that is not ${guest}, its memory at ${from} is lost with the copy`,
    ];
    return { runAt: 'elsewhere', verdict: 'unknown', why, risks, proof: 'none' };
  }
  const doubts = doubtsAbroad(sides, shown);
  const isOnly = answers.every(({ verdict }) => verdict === 'wrong' || verdict === 'waits');
  if (doubts.length === 0 && !isOnly) return undefined;
  const ran = shown.find(({ kind }) => kind === 'ran');
  const why = `${ran?.what ?? `no host reports that it runs ${guest}`}: ${given}`;
  const risks = [
    `if no other host has ${guest}, its memory is lost, and it has to be started again from its disks`,
    ...(doubts.length === 0 ? [] : [joined(doubts)]),
  ];
  return { runAt: 'elsewhere', verdict: 'risky', why, risks, proof: 'none' };
}

function doubtsAbroad({ guest, from, to, fleet }: Sides, shown: readonly Evidence[]): string[] {
  const isThird = ({ host }: { readonly host: string }): boolean => host !== from && host !== to;
  return [
    ...shown.filter(isThird).map(({ what }) => what),
    ...fleet.unasked
      .filter(isThird)
      .map(({ host, why }) => `${host} was not asked about ${guest}: ${why}`),
  ];
}
