import { guestInfo } from '../../protocol/public/host.ts';
import type { GuestInfo } from '../../protocol/public/host.ts';
import type { GuestRow } from '../store/tables.ts';

/** A guest as far as it matters who runs it. */
export type Claim = Pick<GuestRow, 'host' | 'name' | 'uuid' | 'state' | 'info' | 'changed_at'>;

/** States in which a host says that it runs the guest, or may go on with it. */
const RUNS: ReadonlySet<string> = new Set(['running', 'paused', 'migrating']);

/** Both ends of a move report that it has ended, one after the other. */
export const SETTLED_MS = 10_000;

/** The same guest: by its uuid; one without is known by its name alone. */
export function identityOf({ name, uuid }: Pick<Claim, 'name' | 'uuid'>): string {
  return uuid === '' ? `name ${name}` : `uuid ${uuid}`;
}

/**
 * Hosts that say they run the very same guest, sorted; none or one where nothing is wrong. A guest that moves is on both
 * of its hosts; what has just changed is not judged yet. Containers of managers have no uuid, and names of one host alone: two of
 * one name are two.
 */
export function claimants(claims: readonly Claim[], nowMs: number): string[] {
  if (claims.length < 2) return [];
  const running = claims.filter((each) => RUNS.has(each.state) && !isManagersOwn(each));
  if (new Set(running.map(({ host }) => host)).size < 2) return [];
  if (running.some(({ changed_at: at }) => nowMs - at < SETTLED_MS)) return [];
  const moves = running.map(({ info }) => infoIn(info)?.migration);
  const [first] = moves;
  if (first !== undefined && moves.every((each) => each === first)) return [];
  return [...new Set(running.map(({ host }) => host))].toSorted();
}

const isManagersOwn = ({ uuid, info }: Claim): boolean =>
  uuid === '' && infoIn(info)?.manager !== undefined;

function infoIn(info: string): GuestInfo | undefined {
  return guestInfo.safeParse(JSON.parse(info)).data;
}
