import { networkTool } from '../../network/ip.ts';
import { splitAddress } from '../../protocol/names.ts';

/**
 * Unacknowledged bytes of all of this host's connections to an address. Undefined without a connection.
 * GODWIT_HOST_LACKS without iproute2's `ss`.
 */
export type QueuedBytes = (address: string, signal: AbortSignal) => Promise<number | undefined>;

export const queuedBytes: QueuedBytes = async (address, signal) => {
  const { host, port } = splitAddress(address);
  const words = ['-tnH', 'dst', host.replace(/[[\]]/g, ''), 'dport', '=', `:${port}`];
  const { output } = await networkTool('ss', words, signal);
  return sendQueuesOf(output);
};

/** Sum of the third column of `ss`: state, receive queue, send queue, addresses. */
export function sendQueuesOf(said: string): number | undefined {
  const all = [...said.matchAll(/^[ \t]*\S+[ \t]+\d+[ \t]+(\d+)\s/gm)].map(([, bytes]) =>
    Number(bytes),
  );
  return all.length === 0 ? undefined : all.reduce((sum, each) => sum + each, 0);
}
