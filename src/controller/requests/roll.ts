import {
  isRequestEnd,
  MAX_GUESTS,
  type Roll,
  type RollStage,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';
import { defined } from '../../protocol/defined.ts';
import { bounded } from './bounds.ts';
import { sinceWhen, type RemainingWork } from './candidates.ts';
import { REPLAN_MS } from './begin.ts';
import type { World } from './facts.ts';
import { planFor } from './plan.ts';
import { whyNotBack, type StageAnswer } from './roll-health.ts';
import {
  carryMoves,
  wordsOf,
  type RequestProgress,
  type StepInput,
  type StepOutput,
} from './step.ts';

/**
 * Result of a roll's step. `ready`: all guests of the host have a place. `empty`: the host has none. `occupied`: it has
 * some after all. `failed`: it cannot continue with this host. `late`: it waited too long.
 */
export const ROLL_NEWS = [
  ...(['nothing', 'ready', 'empty', 'occupied', 'noted'] as const),
  ...(['ran', 'back', 'returned', 'failed', 'late'] as const),
] as const;
export type RollNews = (typeof ROLL_NEWS)[number];
export type RollNext = RollStage | 'next-host' | 'stopped';

const staysAs = (stage: RollStage): Readonly<Record<RollNews, RollNext>> => ({
  nothing: stage,
  ready: stage,
  empty: stage,
  occupied: stage,
  noted: stage,
  ran: stage,
  back: stage,
  returned: stage,
  failed: 'stopped',
  late: 'stopped',
});

/** Next stage for each stage and result; the compiler checks completeness. */
const ROLL: Readonly<Record<RollStage, Readonly<Record<RollNews, RollNext>>>> = {
  planning: { ...staysAs('planning'), ready: 'draining' },
  draining: { ...staysAs('draining'), empty: 'noting' },
  // The program runs only on a host that was empty in the step before.
  noting: { ...staysAs('noting'), noted: 'running', occupied: 'draining' },
  running: { ...staysAs('running'), ran: 'waiting' },
  waiting: { ...staysAs('waiting'), back: 'returning' },
  returning: {
    ...staysAs('returning'),
    returned: 'next-host',
    failed: 'next-host',
    late: 'next-host',
  },
};

export const nextRollStage = (stage: RollStage, news: RollNews): RollNext => ROLL[stage][news];

export interface RollInput extends StepInput {
  /** Answer to the stage's call; `pending` while it runs, undefined without a call. */
  readonly heard: StageAnswer | 'pending' | undefined;
}

/** Longest wait for room or a host's answer before anything is done to it. */
const STATE_TIMEOUT_MS = 600_000;
/** An unfinished drain keeps its host closed no longer than this. */
const DRAIN_MS = 24 * 3_600_000;
export const HEALTHY_WITHIN_MS = 1_800_000;

const waitMs = ({ ask }: FleetRequest): Readonly<Record<RollStage, number>> => ({
  planning: STATE_TIMEOUT_MS,
  draining: DRAIN_MS,
  noting: STATE_TIMEOUT_MS,
  running: Infinity,
  waiting: ask.healthyWithinMs ?? HEALTHY_WITHIN_MS,
  returning: STATE_TIMEOUT_MS,
});

interface StageJudgement {
  readonly news: RollNews;
  readonly words?: string;
  readonly roll?: Partial<Roll>;
  readonly request?: Partial<FleetRequest>;
}

/** Pure. */
export function rollStep(input: RollInput): StepOutput {
  const { world, cancel } = input;
  if (isRequestEnd(input.request.phase)) return { request: input.request, moves: input.moves };
  const roll = input.request.roll ?? { at: 0, stage: 'planning', sinceMs: world.nowMs, away: [] };
  const request = { ...input.request, roll };
  const isCancelled = cancel !== 'no' || request.phase === 'cancelling';
  const moving = roll.stage === 'draining' || roll.stage === 'returning';
  const carried = carryMoves({ ...input, request }, moving && !isCancelled);
  const known = { ...carried, request: withAway(carried, input) };
  return isCancelled ? cancelled(known, input) : advanced(known, input);
}

function withAway({ request, moves }: RequestProgress, input: StepInput): FleetRequest {
  const { roll } = request;
  if (roll?.stage !== 'draining' || request.ask.comeBack !== true) return request;
  const before = new Map(input.moves.map((each) => [each.id, each.phase]));
  const gone = moves
    .filter(({ id, phase }) => phase === 'done' && before.get(id) !== 'done')
    .map(({ guest }) => guest);
  const away = [...new Set([...roll.away, ...gone])].slice(0, MAX_GUESTS);
  return { ...request, roll: { ...roll, away } };
}

function advanced(carried: RequestProgress, input: RollInput): StepOutput {
  const { request, world } = carried;
  const { ask } = request;
  const roll = request.roll as Roll;
  const host = ask.hosts[roll.at] ?? '';
  const judged = JUDGES[roll.stage]({ carried, input, roll, host });
  const isLate =
    judged.news === 'nothing' &&
    carried.situation !== 'open' &&
    world.nowMs - roll.sinceMs > waitMs(request)[roll.stage];
  const next = nextRollStage(roll.stage, isLate ? 'late' : judged.news);
  const now: FleetRequest = { ...request, ...judged.request, roll: { ...roll, ...judged.roll } };
  const place = `${host} (${roll.at + 1} of ${ask.hosts.length})`;
  const words = judged.words === undefined ? request.words : `${place}: ${judged.words}`;
  if (next === 'stopped') return ended(now, 'left', stopWords(words, roll.stage, host), carried);
  if (next === 'next-host') return nextHost(now, carried, words);
  if (next === roll.stage) return output({ ...now, words }, carried);
  const stage: Roll = { ...(now.roll as Roll), stage: next, sinceMs: world.nowMs };
  return {
    ...output({ ...now, roll: stage, words: `${place}: ${BEGINS[next]}` }, carried),
    ...(next === 'draining' || next === 'running' ? { begins: true } : {}),
    ...(next === 'draining' && roll.stage === 'planning' ? { closes: host } : {}),
    ...(next === 'returning' ? { opens: host } : {}),
  };
}

const BEGINS: Readonly<Record<RollStage, string>> = {
  planning: 'a place is looked for each of its guests',
  draining: 'it is drained',
  noting: 'it is empty, and is asked what it is',
  running: 'its program begins',
  waiting: 'its program has ended well, and it is waited for',
  returning: 'it is back, and guests may come to it again',
};

const stopWords = (words: string, stage: RollStage, host: string): string =>
  stage === 'planning'
    ? `stopped at ${words}`
    : `stopped at ${words}; ${host} stays closed until \`godwit undrain ${host}\``;

function nextHost(request: FleetRequest, carried: RequestProgress, words: string): StepOutput {
  const { at } = request.roll as Roll;
  const { hosts } = request.ask;
  const done = at + 1;
  if (done >= hosts.length) {
    const all = `${hosts.length === 1 ? '1 host' : `${hosts.length} hosts`} rolled, ${request.moved} moves`;
    return ended(request, 'done', all, carried);
  }
  const roll: Roll = { at: done, stage: 'planning', sinceMs: carried.world.nowMs, away: [] };
  const fresh = { order: [], tries: {}, refused: {}, plannedAtMs: 0 };
  return output({ ...request, ...fresh, roll, words }, carried);
}

function cancelled(carried: RequestProgress, { heard }: RollInput): StepOutput {
  const { request, situation } = carried;
  const roll = request.roll as Roll;
  const host = request.ask.hosts[roll.at] ?? '';
  const runs = roll.stage === 'running';
  if (situation === 'open' || (runs && heard === 'pending')) {
    const what = runs
      ? `${request.ask.run} runs for ${host} and is waited for`
      : 'moves are under way';
    return output(
      { ...request, phase: 'cancelling', words: `it is being cancelled: ${what}` },
      carried,
    );
  }
  const isClosed = roll.stage !== 'planning' && roll.stage !== 'returning';
  const parts = [
    `cancelled at ${host}`,
    ...(runs ? [ranWords(request.ask.run, host, heard)] : []),
    ...(isClosed ? [`${host} stays closed until \`godwit undrain ${host}\``] : []),
  ];
  return ended(request, 'cancelled', parts.join('; '), carried);
}

function ranWords(run = '', host: string, heard: RollInput['heard']): string {
  if (heard === undefined || heard === 'pending' || heard.of !== 'program')
    return `nobody knows whether ${run} has run for ${host}: no controller heard it end`;
  return heard.ok ? `${run} has ended well for ${host}` : `${run} ${heard.words}`;
}

const output = (request: FleetRequest, { moves, left, asks }: RequestProgress): StepOutput => ({
  request: bounded({ ...request, stays: [...left.stays] }),
  moves,
  asks,
});

function ended(
  request: FleetRequest,
  phase: 'done' | 'left' | 'cancelled',
  words: string,
  carried: RequestProgress,
): StepOutput {
  const end = { phase, words, queue: [], endedAtMs: carried.world.nowMs };
  return output({ ...request, ...end }, carried);
}

interface Judge {
  readonly carried: RequestProgress;
  readonly input: RollInput;
  readonly roll: Roll;
  readonly host: string;
}

const JUDGES: Readonly<Record<RollStage, (judge: Judge) => StageJudgement>> = {
  planning: judgePlan,
  draining: ({ carried }) => {
    const { situation, left } = carried;
    if (situation === 'fulfilled') return { news: 'empty', words: 'it is empty' };
    if (situation === 'stuck') return { news: 'failed', words: stayWords(left) };
    return { news: 'nothing', words: wordsOf(carried) };
  },
  noting: ({ carried, input }) => {
    if (carried.situation !== 'fulfilled') {
      return { news: 'occupied', words: 'a guest is there again' };
    }
    const { heard } = input;
    if (heard === undefined || heard === 'pending' || heard.of !== 'host')
      return { news: 'nothing', words: 'it is asked what it is' };
    if (!heard.ok) return { news: 'nothing', words: `it does not say what it is: ${heard.words}` };
    const { version, bootId } = heard;
    const before = { version, ...defined({ bootId }) };
    return { news: 'noted', roll: { before } };
  },
  running: ({ carried, input }) => {
    const { run = '' } = carried.request.ask;
    const { heard } = input;
    if (heard === undefined || heard === 'pending' || heard.of !== 'program')
      return { news: 'nothing', words: `${run} runs for it` };
    if (!heard.ok) return { news: 'failed', words: `${run} ${heard.words}` };
    return { news: 'ran', roll: { promised: heard.promised } };
  },
  waiting: ({ input, roll, host }) => {
    const why = whyNotBack(input.world, roll, host, input.heard);
    return why === undefined ? { news: 'back' } : { news: 'nothing', words: why };
  },
  returning: ({ carried }) => {
    const { situation, left, request } = carried;
    if (situation === 'fulfilled') return { news: 'returned', words: 'it is back' };
    if (situation === 'stuck') return { news: 'failed', words: stayWords(left) };
    return { news: 'nothing', words: `guests come back to it: ${wordsOf(carried)}`, request };
  },
};

const stayWords = ({ stays }: RemainingWork): string => {
  const [first] = stays;
  const others = stays.length > 1 ? `, and ${stays.length - 1} more stay` : '';
  return first === undefined ? 'guests stay' : `${first.guest} stays: ${first.words}${others}`;
};

function judgePlan({ carried, host }: Judge): StageJudgement {
  const { request, left, world } = carried;
  const { deadlineAtMs } = request.ask;
  if (deadlineAtMs !== undefined && world.nowMs > deadlineAtMs) {
    return { news: 'failed', words: 'no host is begun after its deadline' };
  }
  if (left.blind.length > 0) return { news: 'nothing', words: sinceWhen(world, host) };
  if (left.stays.length > 0) return { news: 'failed', words: stayWords(left) };
  const [waiting] = left.waiting;
  if (waiting !== undefined) {
    return { news: 'nothing', words: `${waiting.guest} cannot move yet: ${waiting.words}` };
  }
  if (world.nowMs - request.plannedAtMs < REPLAN_MS) return { news: 'nothing' };
  return judgeRoom(carried, world);
}

function judgeRoom({ request, left }: RequestProgress, world: World): StageJudgement {
  const guests = left.candidates.map(({ guest }) => guest);
  const plan = planFor(request, guests, world);
  const placed = new Set(plan.steps.map(({ guest }) => guest));
  const homeless = guests.filter((guest) => !placed.has(guest));
  const [first] = homeless;
  if (first === undefined) return { news: 'ready' };
  const why = plan.refused.get(first) ?? 'the plan has no place for it';
  const count = homeless.length === 1 ? '1 guest has' : `${homeless.length} guests have`;
  const words = `it is not drained, because ${count} no place elsewhere: ${first}: ${why}`;
  return { news: 'nothing', words, request: { plannedAtMs: world.nowMs } };
}
