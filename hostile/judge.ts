import { ERRORS } from '../src/errors.ts';
import { jsonOf } from '../src/formats/json.ts';
import { errorBody } from '../src/protocol/errors.ts';
import { connectionsAnswer } from '../src/protocol/peer/connections.ts';
import { watchAnswer } from '../src/protocol/peer/probe.ts';
import type { Route } from '../src/protocol/route.ts';
import { contractOf, type Answer, type Ask } from './cases/case.ts';

/**
 * What an answer shows to be wrong with the host that gave it. Judged by the contract and the table of errors alone: a
 * host with the role `agent` asks. Pure.
 */

/** Longer than any limit of a server for one request. */
const LONGEST_MS = 40_000;
/**
 * What any host may ask about a migration that is not its own: whether it is one, and which guest it moves. A watch is
 * known by who asked for it, so that its end, and what is seen after it, is only ever one's own.
 */
const FOR_ALL: ReadonlySet<string> = new Set([
  'admittedGuest',
  'sighting',
  'endWatch',
  'laterWatch',
  // An announcement belongs to the host that made it, whatever its id: another host's stays as it is.
  'expectArrival',
  'dropArrival',
]);

/** Undefined: nothing. */
export function judgeAnswer(ask: Ask, answer: Answer): string | undefined {
  const route = contractOf(ask.target)[ask.route];
  if (route === undefined) return `${ask.route} is no route`;
  if (answer.tookMs > LONGEST_MS) return `answered after ${Math.round(answer.tookMs)} ms`;
  if (answer.status === 0) return 'ended the connection without an answer';
  return answer.status < 400 ? judgeGiven(ask, route, answer) : judgeRefusal(answer);
}

function judgeRefusal({ status, body }: Answer): string | undefined {
  const parsed = errorBody.safeParse(jsonOf(body));
  if (!parsed.success) return `refused with ${status} and no error of the table: ${shown(body)}`;
  const { code, message } = parsed.data.error;
  if (code === 'GODWIT_INTERNAL') return `failed by a defect: ${message}`;
  const { http } = ERRORS[code];
  return http === status ? undefined : `${code} came with ${status} instead of ${http}`;
}

function judgeGiven(ask: Ask, route: Route, { status, body }: Answer): string | undefined {
  if (status !== 200) return `answered with ${status}`;
  if (route.access === 'operator' || route.access === 'orders' || route.access === 'local') {
    return `did for a host what is for ${route.access}: ${shown(body)}`;
  }
  if (ask.isForeign && ask.route === 'watch' && isNoWatch(body)) return undefined;
  if (ask.isForeign && route.access === 'agent' && !FOR_ALL.has(ask.route)) {
    return `answered for another host’s migration: ${shown(body)}`;
  }
  if (ask.isForged === true && !isRefusalInWords(body))
    return `took an epoch that is not the migration’s: ${shown(body)}`;
  const [line = ''] = route.stream ? body.trimStart().split('\n', 1) : [body];
  if (route.stream && line === '') return undefined;
  return route.response.safeParse(jsonOf(line)).success
    ? undefined
    : `answered against its contract: ${shown(body)}`;
}

/** Nothing is watched then, and why is what the host that asks, or the one that it named, has said itself. */
function isNoWatch(body: string): boolean {
  const said = watchAnswer.safeParse(jsonOf(body));
  return said.success && !said.data.watching;
}

/** Connections of a guest are a help that its migration can do without: what is wrong with them is no error. */
function isRefusalInWords(body: string): boolean {
  const said = connectionsAnswer.safeParse(jsonOf(body));
  return said.success && said.data.put === 0 && said.data.problem !== undefined;
}

function shown(text: string): string {
  return text.slice(0, 300);
}
