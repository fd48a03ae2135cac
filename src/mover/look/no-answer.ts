import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import { losesFullPackets } from '../../network/path-size.ts';
import { splitAddress } from '../../protocol/names.ts';
import { rendezvousOf } from '../../protocol/relay.ts';

const MTU_HINT =
  'Something on the way drops full packets and says nothing: give the path one MTU, or lower it at both hosts to the least on the way (`ping -M do -s 1472` shows what passes).';

/** Why a host did not answer a question: where its kernel answers small packets and no full ones, that is the reason. */
export async function whyNoAnswer(
  thrown: unknown,
  { to, address }: { readonly to: string; readonly address: string | undefined },
  signal: AbortSignal,
  loses: (host: string, signal: AbortSignal) => Promise<boolean> = losesFullPackets,
): Promise<GodwitError> {
  const isSilent = hasCode(thrown, 'GODWIT_DEADLINE') || hasCode(thrown, 'GODWIT_UNREACHABLE');
  const isDirect = address !== undefined && rendezvousOf(address) === undefined;
  if (!isSilent || !isDirect || !(await loses(splitAddress(address).host, signal)))
    return toGodwitError(thrown);
  const reason = 'small packets come back from there, and full ones do not';
  const facts = { peer: to, address, reason };
  return godwitError('GODWIT_UNREACHABLE', facts, { hint: MTU_HINT, cause: thrown });
}
