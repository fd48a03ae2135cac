import { z } from 'zod';
import { serialError } from './errors.ts';
import { hostName, splitAddress } from './names.ts';

/**
 * The relay between sites (docs/sites.md): both sides connect to it, and it joins a waiting stream with a caller. The
 * protocol before the join is lines of JSON; afterwards the relay copies bytes, which are TLS between the two ends.
 */

/** Distinguishes a relay from other listeners with these certificates. */
export const RELAY_ALPN = 'godwit-relay';
export const RELAY_VERSION = 1;
export const MAX_RELAY_LINE = 16_384;
export const MAX_CALLER_LINE = 512;

/** Where a stream waits: the host's name, and the port of the same program on its own network. */
export const rendezvous = z
  .string()
  .max(69)
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
    'a rendezvous: HOST:PORT',
  );

/**
 * First line to a relay. `wait`: under the caller's own name; `call`: a waiting peer; `look`: whether a stream of that
 * host waits.
 */
export const relayAsk = z.strictObject({
  version: z.literal(RELAY_VERSION),
  does: z.enum(['wait', 'call', 'look']),
  at: rendezvous,
});
export type RelayAsk = z.infer<typeof relayAsk>;

/** Lines of a waiting stream: it lives, or accepts the caller. */
export const waiterLine = z.enum(['pong', 'ready']);

/** A relay's lines. After `joined`, and after the waiter's `ready`, none follows. */
export const relayLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('waits') }),
  z.object({ type: z.literal('ping') }),
  z.object({ type: z.literal('offer'), by: z.string().max(128) }),
  z.object({ type: z.literal('joined') }),
  z.object({ type: z.literal('seen'), waiting: z.number().int().nonnegative() }),
  z.object({ type: z.literal('refused'), error: serialError }),
]);
export type RelayLine = z.infer<typeof relayLine>;

const RELAYED = '.relay';

/** The rendezvous of an address such as `b.relay:7443`; undefined for a direct address. */
export function rendezvousOf(address: string): string | undefined {
  const { host, port } = splitAddress(address);
  const name = relayedName(host);
  return name === undefined ? undefined : `${name}:${port}`;
}

/** First hops of these addresses: for relayed ones, each relay. */
export function firstHops(
  addresses: readonly string[],
  relays: readonly { readonly address: string }[],
): string[] {
  return addresses.flatMap((each) =>
    rendezvousOf(each) === undefined ? [each] : relays.map(({ address }) => address),
  );
}

/** The host of a relayed address without its port: `b` of `b.relay`. */
export function relayedName(host: string): string | undefined {
  if (!host.endsWith(RELAYED)) return undefined;
  const name = host.slice(0, -RELAYED.length);
  return hostName.safeParse(name).success ? name : undefined;
}

export function hostOfRendezvous(at: string): string {
  return at.slice(0, at.lastIndexOf(':'));
}
