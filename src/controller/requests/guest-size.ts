import type { GuestSize, FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import { leftOf } from './candidates.ts';
import { priorityOf, whyClosed, type World } from './facts.ts';

/** What the moves of an evacuation send, as the guests' own hosts measure it before the start. Pure. */

/** A guest that is to be measured, and a host to which it may go. */
export interface SizedGuest {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

/** Pre-copy counts as one that ends from this probability on. */
const SURE = 0.95;
/** Of one guest: more than that is no measurement, whoever says it. */
const MAX_BYTES = 2 ** 46;

/** The guests of an evacuation of a site, the most important first; none of any other request. */
export function guestsToSize(request: FleetRequest, world: World): SizedGuest[] {
  const { sites, to: named = [] } = request.ask;
  const to = named.find((host) => whyClosed(world, host) === undefined);
  if (sites === undefined || to === undefined) return [];
  return leftOf(request, [], world)
    .candidates.map(({ guest, from }) => ({ guest, from, to }))
    .toSorted((left, right) => priorityOf(world, right.guest) - priorityOf(world, left.guest));
}

/** What a guest's own host predicts that its move sends; undefined where the host predicts nothing. */
export function sizeOf({
  prediction,
  others = [],
}: Pick<PlanAnswer, 'prediction' | 'others'>): GuestSize | undefined {
  if (prediction === undefined) return undefined;
  const { path, bytes, converges } = prediction;
  const postcopy = others.find((each) => each.mode === 'postcopy' && each.path === path);
  const ends = converges.probability >= SURE;
  // No measured size for either mode: the plan uses the memory and the write rate of the guest.
  if (!ends && postcopy === undefined) return undefined;
  const sent = [bytes.middle, postcopy?.bytes.middle ?? 0];
  if (sent.some((each) => !(each <= MAX_BYTES))) return undefined;
  return {
    ...(ends ? { precopyBytes: Math.ceil(bytes.middle) } : {}),
    ...(postcopy === undefined ? {} : { postcopyBytes: Math.ceil(postcopy.bytes.middle) }),
  };
}
