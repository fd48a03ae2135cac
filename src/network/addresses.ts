import { passes, warns, type Finding } from '../migration/preflight/finding.ts';
import { routesOf, type NicNetwork } from '../protocol/network.ts';
import type { Landing } from './landing.ts';
import type { Judgement } from './segment/judge.ts';

export type OwnHooks = readonly string[];

/** Hook that gives a guest another address, or routes others to its current one. */
const MOVES_ADDRESS = 'after-resume';

/**
 * Decides how a guest keeps a NIC's addresses at the destination, and whether its connections survive; `segment`: the
 * segment's check, for a NIC in a segment. Pure.
 */
export function judgeAddresses(
  nic: NicNetwork,
  landing: Landing,
  segment: Pick<Judgement, 'verdict' | 'notTried'> | undefined,
  hooks: OwnHooks,
): Finding | undefined {
  const { id, attachment } = nic;
  const own = nic.addresses.length === 0 ? 'its addresses' : nic.addresses.join(', ');
  const hasHook = hooks.includes(MOVES_ADDRESS);
  if (landing.kind === 'routed') {
    const routes = routesOf([{ attachment: landing }]).join(', ');
    const leads = hasHook ? `the hook ${MOVES_ADDRESS}` : 'a routing daemon of this host';
    return passes(
      `${id}: it keeps ${own} by its host routes ${routes}; its connections live on as soon as ${leads} leads others here`,
    );
  }
  // The segment's check reports why it was not asked.
  if (segment === undefined || segment.notTried === true) return undefined;
  if (segment.verdict === 'pass') {
    const tunnel = attachment.kind === 'bridge' ? attachment.vxlan : undefined;
    const by =
      tunnel === undefined ? 'the segment of both hosts' : `the overlay, VNI ${tunnel.vni}`;
    return passes(`${id}: it keeps ${own} by ${by}; its connections live on`);
  }
  if (segment.verdict === 'refuse') return undefined;
  const evidence = `${id}: nobody on ${landing.bridge} answers for ${own}: if it is another segment, nothing leads to the guest there under them, and its connections end`;
  const hint = hasHook
    ? `The hook ${MOVES_ADDRESS} of this host may give the guest another address, or lead others here; connections to the old address live on only in the second case.`
    : `Give the guest a host route or an overlay that both sites have, or install the hook ${MOVES_ADDRESS} on this host: it can give the guest another address, or lead others here.`;
  return warns(evidence, hint);
}
