import type { Answer, SideView } from '../../protocol/public/resolve.ts';
import { evidenceOf, joined, type Evidence, type GuestSightings } from './guest-sightings.ts';

/** A host outside the migration that has the guest, and what shows it. */
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

/** The first third host that runs the guest, or has sent it on. */
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
 * `answers` once other hosts are known: a destination that has not run the guest is not given it while any host shows it
 * (one of the two as well, in another process), and the source can give its copy up. Its copy is then ended and no disk is
 * removed, so nothing runs by this answer.
 */
export function withElsewhere(answers: readonly Answer[], sides: Sides): Answer[] {
  const { destination } = sides;
  // A destination with the right that has not run the guest may still be told to run it.
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

/** Undefined if it is not offered: another answer is safe, or the source cannot end its copy now. */
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
    // Memory is not given up on the word of one host: a person looks there first.
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

/** Signs of the guest at third hosts, and third hosts that did not answer. */
function doubtsAbroad({ guest, from, to, fleet }: Sides, shown: readonly Evidence[]): string[] {
  const isThird = ({ host }: { readonly host: string }): boolean => host !== from && host !== to;
  return [
    ...shown.filter(isThird).map(({ what }) => what),
    ...fleet.unasked
      .filter(isThird)
      .map(({ host, why }) => `${host} was not asked about ${guest}: ${why}`),
  ];
}
