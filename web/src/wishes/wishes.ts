import { signal } from '@preact/signals';
import type { Move, Wish, WishAsk, WishPhase } from '../../../src/protocol/controller/wish.ts';
import type { WishPlan } from '../../../src/protocol/controller/wishes.ts';
import { ask, asProblem, Problem } from '../base/http.ts';

/** What was asked of the fleet, newest first. */
export const wishes = signal<readonly Wish[] | Problem | undefined>(undefined);

/** Of those that have ended, no more than this; all that are open stay. */
export const MAX_ENDED = 1000;

/** For each ask under way, what was reported since it began: its answer may be older than that. */
const reportedMeanwhile = new Set<Wish[]>();

export async function askForWishes(until: AbortSignal): Promise<void> {
  const reported: Wish[] = [];
  reportedMeanwhile.add(reported);
  try {
    const answer = await ask<{ wishes: Wish[] }>('/v1/wishes', { signal: until });
    wishes.value = reported.reduce<readonly Wish[]>(withWish, answer.wishes);
  } catch (thrown) {
    if (until.aborted) return;
    if (knownWishes() === undefined) wishes.value = asProblem(thrown);
  } finally {
    reportedMeanwhile.delete(reported);
  }
}

/** A wish that is new or has changed. */
export function newsOfWish(wish: Wish): void {
  for (const reported of reportedMeanwhile) reported.push(wish);
  const known = knownWishes();
  if (known !== undefined) wishes.value = withWish(known, wish);
}

/** The list with one wish new or changed, without the oldest of too many that have ended. Pure. */
function withWish(list: readonly Wish[], wish: Wish): readonly Wish[] {
  const all = [wish, ...list.filter(({ id }) => id !== wish.id)].sort(
    (one, other) => other.createdAtMs - one.createdAtMs,
  );
  let ended = 0;
  return all.filter((each) => isOpen(each) || ++ended <= MAX_ENDED);
}

/** The list, where it is known. */
export function knownWishes(): readonly Wish[] | undefined {
  const { value } = wishes;
  return value instanceof Problem ? undefined : value;
}

export const isOpen = ({ phase }: { readonly phase: WishPhase }): boolean =>
  phase === 'working' || phase === 'cancelling';

/** An id of this page's own: the same ask, sent twice, is one wish. */
export function newWishId(): string {
  const letters = crypto.getRandomValues(new Uint8Array(16));
  return `w-${Array.from(letters, (each) => (each % 36).toString(36)).join('')}`;
}

export type Ask = Pick<WishAsk, 'kind' | 'hosts'> & Partial<WishAsk>;

export function planOf(id: string, body: Ask, until?: AbortSignal): Promise<{ plan: WishPlan }> {
  return ask(`/v1/wishes/${id}?dryRun=true`, { method: 'PUT', body, signal: until });
}

export function begin(id: string, body: Ask): Promise<{ started: boolean }> {
  return ask(`/v1/wishes/${id}`, { method: 'PUT', body });
}

export function wishOf(id: string, until: AbortSignal): Promise<{ wish: Wish; moves: Move[] }> {
  return ask(`/v1/wishes/${encodeURIComponent(id)}`, { signal: until });
}

export function cancel(id: string, rollBack: boolean): Promise<{ accepted: boolean }> {
  return ask(`/v1/wishes/${encodeURIComponent(id)}/cancel?rollBack=${rollBack}`, {
    method: 'POST',
  });
}

export function undrain(host: string): Promise<{ ok: true }> {
  return ask(`/v1/hosts/${encodeURIComponent(host)}/drain`, { method: 'DELETE' });
}
