import type { DestinationSession } from '../../drivers/driver.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { createTap, tapName } from '../../network/tap.ts';
import type { Preparation } from '../../protocol/peer.ts';
import type { Ledger } from './ledger.ts';
import { streamSetup } from './parts.ts';
import type { DestinationParts } from './parts.ts';
import type { DestinationWay } from './way.ts';

/** Makes the guest's ports and its paused hypervisor. What was begun is in the journal before it is made. */
export async function build(
  parts: DestinationParts & { readonly way: DestinationWay },
  ledger: Ledger,
  session: DestinationSession,
  preparation: Preparation,
  signal: AbortSignal,
): Promise<void> {
  const { way } = parts;
  const nics = session.nics(preparation.description);
  const { id, from } = ledger.state.admission;
  const ports = Object.fromEntries(nics.map((nic, index) => [nic.id, tapName(id, index)]));
  await ledger.record({ type: 'preparing', preparation, ports });
  try {
    for (const nic of nics) {
      const name = ports[nic.id];
      if (name !== undefined) await createTap({ ...nic, name }, signal);
    }
    const setup = streamSetup(parts, preparation, from, way.socketFor(ledger.state));
    const taps = new Map(Object.entries(ports));
    const started = await session.start(preparation.description, setup, taps, signal);
    const memoryAddress = await way.address(ledger.state, started.memoryAddress);
    await ledger.record({ type: 'prepared', handle: started.handle, memoryAddress });
  } catch (thrown) {
    way.letGo('it could not be prepared');
    await ledger.record({ type: 'failed', error: toGodwitError(thrown).toJSON() });
    throw thrown;
  }
}

/** Tells the network where the guest is now. Never rejects: the guest’s own next frame tells it as well. */
export async function announce(session: DestinationSession, log: Log): Promise<void> {
  try {
    await session.announce(AbortSignal.timeout(10_000));
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'not announced');
  }
}
