import type { GuestSize, FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { PlanAnswer } from '../../protocol/public/plan.ts';
import { leftOf } from './candidates.ts';
import { priorityOf, whyClosed, type World } from './facts.ts';

/** Bytes that an evacuation's moves send, as the guests' hosts measure them before the start. Pure. */

export interface SizedGuest {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

/** Pre-copy counts as ending from this probability. */
const SURE = 0.95;
/** Upper bound of a believable measurement of one guest. */
const MAX_BYTES = 2 ** 46;

/** The guests of a site's evacuation, most important first; empty for other requests. */
export function guestsToSize(request: FleetRequest, world: World): SizedGuest[] {
  const { sites, to: named = [] } = request.ask;
  const to = named.find((host) => whyClosed(world, host) === undefined);
  if (sites === undefined || to === undefined) return [];
  return leftOf(request, [], world)
    .candidates.map(({ guest, from }) => ({ guest, from, to }))
    .toSorted((left, right) => priorityOf(world, right.guest) - priorityOf(world, left.guest));
}

/** The host's prediction of the guest's transfer; undefined without one. */
export function sizeOf({
  prediction,
  others = [],
}: Pick<PlanAnswer, 'prediction' | 'others'>): GuestSize | undefined {
  if (prediction === undefined) return undefined;
  const { path, bytes, converges } = prediction;
  const postcopy = others.find((each) => each.mode === 'postcopy' && each.path === path);
  const ends = converges.probability >= SURE;
  if (!ends && postcopy === undefined) return undefined;
  const sent = [bytes.middle, postcopy?.bytes.middle ?? 0];
  if (sent.some((each) => !(each <= MAX_BYTES))) return undefined;
  return {
    ...(ends ? { precopyBytes: Math.ceil(bytes.middle) } : {}),
    ...(postcopy === undefined ? {} : { postcopyBytes: Math.ceil(postcopy.bytes.middle) }),
  };
}
