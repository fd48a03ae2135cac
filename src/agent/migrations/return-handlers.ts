import type { CancelAnswer } from '../../protocol/public/migration.ts';
import type { SideView } from '../../protocol/public/resolve.ts';
import type { Caller } from '../../rpc/caller.ts';
import { mustName, type Follow } from './follow.ts';
import type { Peers } from '../peers.ts';
import type { Returns } from './returns.ts';
import { checkPartner } from './sides.ts';
import type { MigrationStore } from './store.ts';

interface ReturnHandlerDependencies {
  readonly store: MigrationStore;
  readonly returns: Returns;
}

/**
 * Cancels the site's check of a guest after its migration has ended, here or at the destination; the guest may then not
 * return. `named`: requests of the fleet; see `mustName`.
 */
export async function cancelOrKeep(
  {
    follow,
    returns,
    store,
    peers,
  }: ReturnHandlerDependencies & { readonly follow: Follow; readonly peers: Peers },
  id: string,
  named: readonly (string | undefined)[],
  by: string,
): Promise<CancelAnswer> {
  const answer = await returns.cancel(id, by);
  if (answer !== undefined) return answer;
  const { request } = store.need(id);
  if (!store.isEnded(id)) mustName(store.need(id), named);
  const isAway =
    request.side === 'source' && store.isEnded(id) && store.runsAt(id) === 'destination';
  if (!isAway || request.request.returnIfUnhealthy === undefined) return follow.cancel(id);
  return peers.endSiteCheck(request.toHost, id, by);
}

export async function endSiteCheck(
  { returns, store }: ReturnHandlerDependencies,
  id: string,
  by: string,
  caller: Caller,
): Promise<CancelAnswer> {
  checkPartner(store.need(id), caller);
  const what = `${id} has ended, and its guest is not checked any more`;
  return (await returns.cancel(id, `${by} at ${caller.name}`)) ?? { accepted: false, what };
}

export function returnsSeen(
  { returns }: ReturnHandlerDependencies,
  id: string,
): Pick<SideView, 'siteCheck'> {
  const siteCheck = returns.of(id);
  return siteCheck === undefined ? {} : { siteCheck };
}
