import { z } from 'zod';
import { serialError } from './errors.ts';
import { hostName, splitAddress } from './names.ts';

/**
 * The relay between sites (docs/sites.md): both sides call out to it, and it joins a stream that waits with one that calls.
 * What is said before two streams are joined are lines of JSON; after that their bytes are the two ends' alone, TLS again.
 */

/** Both ends name it, so that nothing else that listens with these certificates is taken for a relay. */
export const RELAY_ALPN = 'godwit-relay';
export const RELAY_VERSION = 1;
/** Of a relay's line: an error with its words fits in. */
export const MAX_RELAY_LINE = 16_384;
/** Of a caller's line. */
export const MAX_CALLER_LINE = 512;

/** Where a stream waits: the host's name and the port at which the same program listens on its own network. */
export const rendezvous = z
  .string()
  .max(69)
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
    'a rendezvous: HOST:PORT',
  );

/** The first line of whoever connects to a relay. `wait`: under a name of its own; `call`: one who waits there; `look`: whether anybody of that host does. */
export const relayAsk = z.strictObject({
  version: z.literal(RELAY_VERSION),
  does: z.enum(['wait', 'call', 'look']),
  at: rendezvous,
});
export type RelayAsk = z.infer<typeof relayAsk>;

/** What a waiting stream says: that it lives, and that it takes the caller. */
export const waiterLine = z.enum(['pong', 'ready']);

/** A relay's lines. After `joined`, and after the waiter's `ready`, no line comes any more. */
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

/** The rendezvous of an address like `b.relay:7443`, which leads through a relay; undefined for one that does not. */
export function rendezvousOf(address: string): string | undefined {
  const { host, port } = splitAddress(address);
  const name = relayedName(host);
  return name === undefined ? undefined : `${name}:${port}`;
}

/** Where connections to these addresses go first: to each relay, for those that lead through one. */
export function firstHops(
  addresses: readonly string[],
  relays: readonly { readonly address: string }[],
): string[] {
  return addresses.flatMap((each) =>
    rendezvousOf(each) === undefined ? [each] : relays.map(({ address }) => address),
  );
}

/** The host of a relayed address, without its port: `b` of `b.relay`. */
export function relayedName(host: string): string | undefined {
  if (!host.endsWith(RELAYED)) return undefined;
  const name = host.slice(0, -RELAYED.length);
  return hostName.safeParse(name).success ? name : undefined;
}

/** The host whose rendezvous it is. */
export function hostOfRendezvous(at: string): string {
  return at.slice(0, at.lastIndexOf(':'));
}
