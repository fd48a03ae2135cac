import { withElsewhere } from './elsewhere.ts';
import { vouched, type GuestSightings } from './guest-sightings.ts';
import type { Answer, SideView } from '../../../protocol/public/resolve.ts';

/** Reports of both sides; undefined if a host could not be asked. */
export interface ResolutionFacts {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly source: SideView | undefined;
  readonly destination: SideView | undefined;
  /** Answers of every host of the fleet about the guest, including both sides. */
  readonly fleet: GuestSightings;
}

/**
 * Verdicts on each answer: the source, the destination, and `elsewhere` if the source may give its copy up. Even an
 * insisting operator cannot choose a `wrong` answer. Pure.
 */
export function judge(known: ResolutionFacts): Answer[] {
  const { fleet, guest } = known;
  const both = [judgeSource(known), judgeDestination(known)];
  const isDead = both.every(({ verdict }) => verdict === 'wrong');
  const judged = isDead ? both.map((each) => ending(known, each)) : both;
  const answers = judged.map((each) => vouched(each, fleet, guest));
  return withElsewhere(answers, known);
}

/**
 * A migration may be ended if neither host can run the guest any more: the destination has no copy or a part, and the
 * source has none or an outdated one. Nothing is run. Every held migration has a way out by this.
 */
function ending(known: ResolutionFacts, answer: Answer): Answer {
  const { guest, from, to, source, destination } = known;
  if (source === undefined || destination === undefined) return answer;
  const isHalf = !destination.complete && destination.right !== 'running';
  if (!hasNone(destination) && !isHalf) return answer;
  const isOfUse = source.hypervisor === 'running' || source.hypervisor === 'unknown';
  // After the guest has run there, the migration can only go forward, so it ends as lost.
  const runAt = source.right === 'passed' ? 'destination' : 'source';
  if (isOfUse || answer.runAt !== runAt) return answer;
  if (runAt === 'source' && destination.hasRun === true) return answer;
  const why = `no copy of ${guest} that can run is left at ${from} or ${to}: the migration is ended`;
  if (runAt === 'destination') return at(runAt, { verdict: 'safe', why, proof: 'ask' });
  const mayHaveRun = destination.right === 'running' || destination.unsure;
  const proof = hasNone(destination) ? 'observed' : 'ask';
  if (!mayHaveRun) return at(runAt, { verdict: 'safe', why, proof });
  const risks = [`if ${guest} ran at ${to}, its disks there are the newest`];
  return at(runAt, { verdict: 'risky', why, risks });
}

function hasNone({ hypervisor }: SideView): boolean {
  return hypervisor === 'gone' || hypervisor === 'none';
}

/** The only safe answer; undefined if none is safe, or if both are and neither is urgent. */
export function safeAnswer(answers: readonly Answer[]): Answer['runAt'] | undefined {
  const safe = answers.filter(({ verdict }) => verdict === 'safe');
  return safe.length === 1 ? safe[0]?.runAt : undefined;
}

type AnswerDraft = Omit<Answer, 'runAt' | 'risks' | 'proof'> & Partial<Answer>;

function at(runAt: Answer['runAt'], judged: AnswerDraft): Answer {
  return { risks: [], proof: 'none', ...judged, runAt };
}

function judgeSource(known: ResolutionFacts): Answer {
  const { guest, from, to, source, destination } = known;
  const answer = (judged: AnswerDraft): Answer => at('source', judged);
  const wrong = (why: string): Answer => answer({ verdict: 'wrong', why });
  const isGone = destination !== undefined && hasNone(destination);
  if (destination?.right === 'running' && !isGone) {
    return wrong(`${to} answers that it runs ${guest}`);
  }
  if (destination?.hasRun === true) return sourceAfterRun(known);
  if (source?.right === 'passed') {
    return wrong(`${to} has run ${guest}: what ${from} holds is older than its disks`);
  }
  if (source?.hypervisor === 'gone') return wrong(`nothing of ${guest} is left at ${from}`);
  // A destination that answers and has not run the guest can refuse, since the source has all memory.
  const mayRefuse =
    destination !== undefined && destination.right !== 'running' && !destination.unsure;
  if (source?.postcopy === true && source.complete && !mayRefuse) {
    return wrong(`post-copy had begun: ${from} no longer has the state of the devices`);
  }
  if (source?.hypervisor === 'running') {
    return answer({ verdict: 'safe', why: `it runs at ${from} already`, proof: 'ask' });
  }
  if (destination?.right === 'running' || destination?.unsure === true) {
    return sourceUnreported(known, destination);
  }
  if (source === undefined) {
    return answer({
      verdict: destination?.complete === true ? 'risky' : 'safe',
      why: `${to} gives its copy up; ${from} is dark and finds that out when it comes back`,
      risks:
        destination?.complete === true
          ? [`${to} holds all of ${guest}: if ${from} is gone for good, so is the guest`]
          : [],
      proof: 'ask',
    });
  }
  if (destination !== undefined) {
    const why = `${to} answers, has not run ${guest}, and refuses to; ${from} has all of it`;
    return answer({ verdict: 'safe', why, proof: 'ask' });
  }
  if (source.right !== 'committing') {
    const isClosed = source.right === 'abandoned';
    const why = isClosed
      ? `${from} has closed the epoch: ${to} may not run ${guest} under it any more`
      : `${from} has never given ${to} the right to run it`;
    return answer({ verdict: 'safe', why, proof: 'observed' });
  }
  return answer({
    verdict: 'risky',
    why: `${to} was ordered to run ${guest}, has not answered, and cannot be asked now`,
    risks: [
      `if ${to} runs ${guest}, two copies run, both write to its disks, and neither can be trusted after that`,
      `if ${to} ran ${guest} and is off now, what it did there is lost`,
    ],
  });
}

/**
 * The guest ran at the destination, and its copy there was shut down, moved on or ended. The source's copy is older
 * than that, unless the source had closed the epoch on a proof or an operator's decision before.
 */
function sourceAfterRun({ guest, from, to, source, destination }: ResolutionFacts): Answer {
  if (source?.right === 'abandoned' && destination?.right === 'refused') {
    const why = `${from} has taken ${guest} back before, and ${to} has taken its copy down since`;
    return at('source', { verdict: 'risky', why, risks: [`what ${guest} did at ${to} is lost`] });
  }
  const why = `${to} has run ${guest}, whatever became of it there: what ${from} holds is older`;
  return at('source', { verdict: 'wrong', why });
}

/** Absence now does not prove that the guest never ran there. */
function sourceUnreported({ guest, from, to }: ResolutionFacts, destination: SideView): Answer {
  const why = destination.unsure
    ? `${to} was restarted and does not know whether ${guest} ran there`
    : `${to} was given the right to run ${guest}, and does not know whether it ran there`;
  const risks = [
    `if ${guest} ran at ${to}, what it did there is lost, and its disks are newer than what ${from} holds`,
  ];
  return at('source', { verdict: 'risky', why, risks });
}

function judgeDestination(known: ResolutionFacts): Answer {
  const { guest, from, to, source, destination } = known;
  const answer = (judged: AnswerDraft): Answer => at('destination', judged);
  const wrong = (why: string): Answer => answer({ verdict: 'wrong', why });
  if (source?.hypervisor === 'running') return wrong(`${from} answers that ${guest} runs there`);
  if (source?.right === 'abandoned' || source?.right === 'held') {
    return wrong(`${from} has closed the epoch: ${to} may not run ${guest} under it any more`);
  }
  if (destination !== undefined) {
    if (destination.right === 'refused' || destination.phase === 'failed') {
      return wrong(`${to} has refused, and taken its copy down`);
    }
    const isGone = hasNone(destination);
    if (isGone && destination.hasRun === true && source !== undefined) {
      const why = `${to} has run ${guest}, and has it no more: what is left of the migration at ${from} is ended`;
      return answer({ verdict: 'safe', why, proof: 'ask' });
    }
    if (isGone) {
      return wrong(`nothing of ${guest} is left at ${to}`);
    }
    if (destination.right === 'running') {
      const why = `${to} answers that it runs ${guest}; what is left to do at ${from} is done`;
      return answer({ verdict: 'safe', why, proof: 'ask' });
    }
    if (!destination.complete) return wrong(`${to} has not all of ${guest}`);
  }
  if (source === undefined) {
    return answer({
      verdict: 'risky',
      why: `${to} holds all of ${guest}; ${from} cannot be asked whether it released it`,
      risks: [`if ${from} runs ${guest}, two copies run, and both write to its disks`],
    });
  }
  if (!source.complete && source.hypervisor !== 'gone') {
    return wrong(`${from} has not handed everything over`);
  }
  if (destination === undefined) {
    const why = `${to} cannot be asked: ${from} offers it the guest again, and holds until it answers`;
    return answer({ verdict: 'waits', why, proof: 'ask' });
  }
  const why = `${to} answers and holds all of ${guest}, and ${from} does not run it`;
  return answer({ verdict: 'safe', why, proof: 'ask' });
}
