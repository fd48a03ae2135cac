import type { Occupancy } from '../../protocol/public/closing.ts';
import type { Waiting, FleetRequest } from '../../protocol/controller/fleet-request.ts';
import { emptiedBy } from './aim.ts';
import type { RemainingWork } from './candidates.ts';
import type { World } from './facts.ts';
import { isRecovery } from './recover.ts';
import type { Situation } from './transition.ts';

/**
 * Only the host itself can state that it is empty: a list is seconds old and lacks guests that another program moves
 * there. A request asks its hosts before it ends. They were closed first, so the answer stays true.
 */

export type HostHeard =
  | { readonly of: 'host'; readonly occupancy: Occupancy }
  | { readonly of: 'silent'; readonly words: string };

export interface Confirmation {
  readonly situation: Situation;
  readonly asks: readonly string[];
  readonly waiting: readonly Waiting[];
  /** The reason, for people, why it is unknown whether a host is empty. */
  readonly unconfirmed: readonly string[];
}

/** The host must be empty in these stages of a roll. */
const EMPTYING: ReadonlySet<string> = new Set(['draining', 'noting']);

/** Without an answer a request does not end. */
export function confirmed(
  found: Situation,
  {
    request,
    left,
    world,
  }: { readonly request: FleetRequest; readonly left: RemainingWork; readonly world: World },
  heard: ReadonlyMap<string, HostHeard>,
): Confirmation {
  const asIs = { situation: found, asks: [], waiting: [], unconfirmed: [] };
  if (found !== 'fulfilled' && found !== 'stuck') return asIs;
  // A recovery's hosts are dead, and were proved off.
  if (isRecovery(request)) return asIs;
  if (request.roll !== undefined && !EMPTYING.has(request.roll.stage)) return asIs;
  const hosts = emptiedBy(request, world);
  const asks = hosts.filter((host) => !heard.has(host));
  if (asks.length > 0) {
    const unconfirmed = [`${asks.slice(0, 3).join(', ')} is asked whether it is empty`];
    return { ...asIs, situation: 'able', asks, unconfirmed };
  }
  const answers = hosts.flatMap((host) => {
    const answer = heard.get(host);
    return answer === undefined ? [] : [{ host, answer }];
  });
  const waiting = answers.flatMap(({ host, answer }) =>
    answer.of === 'host' ? unlisted(host, answer.occupancy, left) : [],
  );
  const unconfirmed = answers.flatMap(({ host, answer }) =>
    answer.of === 'silent' ? [`${host} does not confirm that it is empty: ${answer.words}`] : [],
  );
  if (unconfirmed.length > 0) return { ...asIs, situation: 'blind', waiting, unconfirmed };
  return waiting.length > 0 ? { ...asIs, situation: 'able', waiting } : asIs;
}

function unlisted(
  host: string,
  { guests, underWay }: Occupancy,
  { stays }: RemainingWork,
): Waiting[] {
  const known = new Set(stays.filter((each) => each.host === host).map(({ guest }) => guest));
  const moving = underWay.filter(({ guest, to }) => to === host || !known.has(guest));
  const named = new Set([...known, ...moving.map(({ guest }) => guest)]);
  return [
    ...moving.map(({ guest, migration, from, to }): Waiting => {
      const words = `the migration ${migration} moves it from ${from} to ${to}`;
      return { guest, from, to, waitsFor: 'other-move', words };
    }),
    ...guests
      .filter((guest) => !named.has(guest))
      .map((guest): Waiting => {
        const words = `${host} reports it, and the controller does not list it there yet`;
        return { guest, from: host, waitsFor: 'plan', words };
      }),
  ];
}
