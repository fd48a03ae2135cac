import type { ManagedDriver } from '../../port/managed.ts';
import { godwitError, hasCode, toGodwitError } from '../../errors.ts';
import { whyNoSockets } from '../../port/memory-sockets.ts';
import { pass, refusal } from '../../migration/preflight/check.ts';
import type { ReceiverOffer, ReceiverRequest } from '../../protocol/peer/receiver.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { WIRE_VERSION } from '../../protocol/wire.ts';

const OFFER_MS = 8000;

export interface WireAsked {
  readonly driver: Pick<ManagedDriver, 'name' | 'memorySockets'>;
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  /** Disks are copied with it. */
  readonly disks: boolean;
  readonly ask: (
    query: Pick<ReceiverRequest, 'guest' | 'from' | 'driver'>,
    options: { readonly signal: AbortSignal; readonly deadlineMs: number },
  ) => Promise<ReceiverOffer>;
}

/** Checks that a manager's memory stream and disk copies can take the wire; opens nothing. */
export async function checkWire(asked: WireAsked, signal: AbortSignal): Promise<Check> {
  try {
    const why = await whyNot(asked, signal);
    if (why === undefined) {
      const evidence = `${asked.to} opens a receiver at ${asked.driver.memorySockets?.place ?? ''}`;
      return pass('path', evidence, 'both');
    }
    const hint = 'Leave --path wire out, or make good what is named.';
    const facts = { what: '--path wire', reason: why };
    return refusal('path', godwitError('GODWIT_CAPABILITY', facts, { hint }), 'both');
  } catch (thrown) {
    signal.throwIfAborted();
    return refusal('path', toGodwitError(thrown), 'both');
  }
}

async function whyNot(asked: WireAsked, signal: AbortSignal): Promise<string | undefined> {
  const { from, to, disks } = asked;
  const { memorySockets: sockets } = asked.driver;
  if (sockets === undefined) return `the manager of ${from} sends memory by a path of its own`;
  const unusable = await whyNoSockets(sockets, from, signal);
  if (unusable !== undefined) return `at ${from}, ${unusable}`;
  const { wire, place, why, disks: takesDisks = false } = await offerOr(asked, signal);
  if (wire === undefined) return `Godwit at ${to} is of a build that opens no receiver`;
  if (place === undefined) return `${to} opens no receiver: ${why ?? 'it does not say why'}`;
  if (wire.version !== WIRE_VERSION)
    return `${to} has version ${wire.version} of the wire, ${from} has ${WIRE_VERSION}`;
  if (place !== sockets.place)
    return `the managers’ sockets are in ${sockets.place} at ${from} and in ${place} at ${to}, and must have one name`;
  if (disks && !takesDisks) return `Godwit at ${to} is of a build that takes memory alone`;
  return undefined;
}

/** Empty for an earlier build. */
async function offerOr(
  { driver, guest, from, ask }: WireAsked,
  signal: AbortSignal,
): Promise<Partial<ReceiverOffer>> {
  try {
    return await ask({ guest, from, driver: driver.name }, { signal, deadlineMs: OFFER_MS });
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN')) return {};
    throw thrown;
  }
}
