import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { systemClock } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { hostsOf, loadAgentConfig } from '../../config.ts';
import type { AgentConfig } from '../../config.ts';
import { toGodwitError } from '../../errors.ts';
import { hostCredentials } from '../../host/credentials.ts';
import { forgetReceiver, recordReceiver } from '../../host/receiver-records.ts';
import { cacheFor, codecCores } from '../../host/wire.ts';
import { plainLog } from '../../log.ts';
import { CANCEL_MS } from '../../migration/managed/lifecycle.ts';
import { receiverOrder } from '../../protocol/mover/receiver.ts';
import type { ReceiverLine, ReceiverOrder } from '../../protocol/mover/receiver.ts';
import type { TargetWire } from '../../wire/open.ts';
import { wireOpeners } from '../engine/wire-openers.ts';

/** The source's mover connects right after it has its answer, ms. */
const UNUSED_MS = 60_000;
/** Once the migration has had its time, the manager is asked to end its task, and ends it. */
const AFTER_TIMEOUT_MS = 2 * CANCEL_MS;
/** What the stream's end leaves to be kept of it may take this long, ms. */
const CLOSE_MS = 10_000;
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
  let config;
  let order;
  let wire;
  const session = randomBytes(16).toString('hex');
  try {
    config = loadAgentConfig(configFile);
    order = receiverOrder.parse(JSON.parse(text));
    recordReceiver(config.stateDir, order);
    wire = await open(config, order, session);
  } catch (thrown) {
    if (config !== undefined && order !== undefined) forgetReceiver(config.stateDir, order);
    return say({ error: toGodwitError(thrown).toJSON() });
  }
  say({ address: wire.address, session });
  await receive(wire, order, systemClock);
  await rm(order.socket, { force: true }).catch(() => undefined);
  forgetReceiver(config.stateDir, order);
}

/** Until its session is over and what is kept of it is written. A session that nobody opens, or ends, is broken off. */
export async function receive(
  wire: TargetWire,
  { timeoutMs }: Pick<ReceiverOrder, 'timeoutMs'>,
  clock: Clock,
): Promise<void> {
  const over = new AbortController();
  const after = (ms: number, act: () => void): void =>
    void clock.sleep(ms, over.signal).then(act, () => undefined);
  after(UNUSED_MS, () => {
    const { connections, cutForMs } = wire.measure;
    // A session that has begun is connected, or cut.
    if (connections > 0 || cutForMs !== undefined) return;
    wire.abort(new Error('nobody has opened the session'));
  });
  after(timeoutMs + AFTER_TIMEOUT_MS, () => wire.abort(new Error('its migration is long over')));
  // Whoever opened it knows why it is over.
  await wire.ended.catch(() => undefined);
  over.abort();
  await wire.close(CLOSE_MS);
}

async function open(
  config: AgentConfig,
  order: ReceiverOrder,
  session: string,
): Promise<TargetWire> {
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
