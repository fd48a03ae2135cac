import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { systemClock } from '../../clock.ts';
import { hostsOf, loadAgentConfig } from '../../config.ts';
import { toGodwitError } from '../../errors.ts';
import { hostCredentials } from '../../host/credentials.ts';
import { cacheFor, codecCores } from '../../host/wire.ts';
import { plainLog } from '../../log.ts';
import { receiverOrder } from '../../protocol/mover/receiver.ts';
import type { ReceiverLine } from '../../protocol/mover/receiver.ts';
import type { TargetWire } from '../../wire/open.ts';
import { wireOpeners } from '../engine/wire-openers.ts';

/** The source's mover connects right after it has its answer, ms. */
const UNUSED_MS = 60_000;
/** As the source's mover counts it. */
const EPOCH = 1;

/**
 * The destination's end of the wire, for a guest that its manager moves: hands to the manager's hypervisor what the source's
 * mover sends. It keeps nothing, and decides nothing. It lives as long as its session, also where its agent ends; if it
 * dies, the manager's stream breaks. Never rejects.
 */
export async function runReceiver(
  configFile: string,
  text: string,
  say: (line: ReceiverLine) => void,
): Promise<void> {
  let order;
  let wire;
  const session = randomBytes(16).toString('hex');
  try {
    order = receiverOrder.parse(JSON.parse(text));
    wire = await open(configFile, order, session);
  } catch (thrown) {
    return say({ error: toGodwitError(thrown).toJSON() });
  }
  say({ address: wire.address, session });
  void endUnused(wire);
  // Whoever opened it knows why it is over.
  await wire.ended.catch(() => undefined);
  return rm(order.socket, { force: true });
}

async function open(
  configFile: string,
  order: ReturnType<typeof receiverOrder.parse>,
  session: string,
): Promise<TargetWire> {
  const config = loadAgentConfig(configFile);
  const { id, guest, from, memoryBytes, terms, socket } = order;
  const write = (line: string): void => void process.stderr.write(line);
  const log = plainLog(write, config.logLevel, { receiver: id });
  const cache = cacheFor(config, guest, terms, from);
  return wireOpeners.target({
    migration: id,
    epoch: EPOCH,
    session,
    peer: from,
    credentials: hostCredentials(config),
    memoryBytes,
    graceMs: terms.linkGraceMs,
    cores: codecCores(config),
    socket,
    hosts: hostsOf(config),
    ports: config.ports,
    log,
    ...(cache === undefined ? {} : { cache }),
  });
}

async function endUnused(wire: TargetWire): Promise<void> {
  await systemClock.sleep(UNUSED_MS);
  const { connections, cutForMs } = wire.measure;
  // A session that has begun is connected, or cut.
  if (connections > 0 || cutForMs !== undefined) return;
  wire.abort(new Error('nobody has opened the session'));
}
