import { godwitError } from '../errors.ts';
import type { SourceMoverRequest } from '../protocol/mover/request.ts';
import { fullAddress } from '../protocol/names.ts';
import type { MigrationRequest } from '../protocol/public/migration.ts';
import type { Peers } from './peers.ts';

type OtherAgent = SourceMoverRequest['peer'];
type Known = Pick<Peers, 'address' | 'furtherAddresses'>;

/** The destination's agent as a mover is to reach it: its other paths are those asked for, or those of the configuration. */
export function otherAgent(
  peers: Known,
  { to, pathAddresses }: MigrationRequest,
  address: string,
): OtherAgent {
  const given = pathAddresses ?? peers.furtherAddresses(to);
  const all = given.map((each) => fullAddress(each, address));
  const addresses = [...new Set(all)].filter((each) => each !== address);
  return { name: to, address, ...(addresses.length === 0 ? {} : { addresses }) };
}

/**
 * The agent beside which a manager has the guest afterwards, which also holds the other end of the wire; undefined where this
 * host knows none. GODWIT_CAPABILITY where memory is to take the wire then.
 */
export function receivingAgent(
  peers: Known,
  host: string,
  request: MigrationRequest,
): OtherAgent | undefined {
  const { to, path } = request;
  const address = peers.address(to);
  if (address !== undefined) return otherAgent(peers, request, address);
  if (path !== 'wire') return undefined;
  const reason = `${host} knows no agent of Godwit at ${to}`;
  const hint = `Leave the option out, or start an agent at ${to} and name it in \`peers\`.`;
  throw godwitError('GODWIT_CAPABILITY', { what: '--path wire', reason }, { hint });
}
