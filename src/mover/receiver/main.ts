import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../../clock.ts';
import { hostsOf, loadAgentConfig, type AgentConfig } from '../../config.ts';
import type { TargetTunnel } from '../../disks/copy/tunnel/open.ts';
import { toGodwitError } from '../../errors.ts';
import { hostCredentials } from '../../host/credentials.ts';
import {
  forgetReceiver,
  recordReceiver,
  removeSockets,
} from '../../host/journal/receiver-records.ts';
import { cacheFor, codecCores } from '../../host/wire.ts';
import type { SessionTerms, TargetEndpoint } from '../../links/endpoint.ts';
import { plainLog } from '../../log.ts';
import { CANCEL_MS } from '../../migration/managed/lifecycle.ts';
import { defined } from '../../protocol/defined.ts';
import {
  receiverOrder,
  type ReceiverLine,
  type ReceiverOrder,
  type ReceiverPlace,
} from '../../protocol/mover/receiver.ts';
import type { TargetWire } from '../../wire/open.ts';
import { wireOpeners } from '../shared/wire-openers.ts';

/** Time for the source's mover to connect after its answer, ms. */
const UNUSED_MS = 60_000;
/** Time beyond the migration's timeout, ms: the manager is asked to end its task, and ends it. */
const AFTER_TIMEOUT_MS = 2 * CANCEL_MS;
/** Time to save data after the stream's end, ms. */
const CLOSE_MS = 10_000;
/** Epoch of the source's mover. */
const EPOCH = 1;

/**
 * Destination end of the wire for a managed guest: passes the source mover's data to the manager's hypervisor. Lives
 * as long as its session, even without its agent; if it dies, the manager's stream breaks. Never rejects.
 */
export async function runReceiver(
  configFile: string,
  text: string,
  say: (line: ReceiverLine) => void,
): Promise<void> {
  let config;
  let order;
  let opened;
  try {
    config = loadAgentConfig(configFile);
    order = receiverOrder.parse(JSON.parse(text));
    recordReceiver(config.stateDir, order);
    opened = await open(config, order);
  } catch (thrown) {
    if (config !== undefined && order !== undefined) forgetReceiver(config.stateDir, order);
    return say({ error: toGodwitError(thrown).toJSON() });
  }
  say(opened.place);
  await receive(opened, order, systemClock);
  try {
    removeSockets(order);
    forgetReceiver(config.stateDir, order);
  } catch {
    // The agent tries again.
  }
}

/** Incoming memory, and disks if they are copied. */
export interface Ends {
  readonly wire: TargetWire;
  readonly disks?: Pick<TargetTunnel, 'close' | 'abort'>;
}

async function open(
  config: AgentConfig,
  order: ReceiverOrder,
): Promise<Ends & { readonly place: ReceiverPlace }> {
  const [session, ofDisks] = [sessionName(), sessionName()];
  const wire = await openWire(config, order, session);
  const place = { address: wire.address, session };
  if (order.diskSocket === undefined) return { wire, place };
  try {
    const disks = await openDisks(config, order, order.diskSocket, ofDisks);
    return {
      wire,
      disks,
      place: { ...place, disks: { address: disks.address, session: ofDisks } },
    };
  } catch (thrown) {
    // Nothing else would close it.
    wire.abort(toGodwitError(thrown));
    throw thrown;
  }
}

function sessionName(): string {
  return randomBytes(16).toString('hex');
}

/**
 * Runs until the session is over and saved data is written. Aborts a session that is never opened or never ends. The
 * disks' session ends with memory's; if it breaks before, the manager reports broken copies.
 */
export async function receive(
  { wire, disks }: Ends,
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
  // The other end knows the reason.
  await wire.ended.catch(() => undefined);
  over.abort();
  await Promise.all([wire.close(CLOSE_MS), disks?.close(CLOSE_MS)]);
}

async function openWire(
  config: AgentConfig,
  order: ReceiverOrder,
  session: string,
): Promise<TargetWire> {
  const { guest, from, memoryBytes, terms, socket } = order;
  const cache = cacheFor(config, guest, terms, from);
  return wireOpeners.target({
    ...endpointOf(config, order, session),
    memoryBytes,
    cores: codecCores(config),
    socket,
    ...defined({ cache }),
  });
}

async function openDisks(
  config: AgentConfig,
  order: ReceiverOrder,
  socket: string,
  session: string,
): Promise<TargetTunnel> {
  const { openTargetTunnel } = await import('../../disks/copy/tunnel/open.ts');
  return openTargetTunnel({ ...endpointOf(config, order, session), socket });
}

function endpointOf(
  config: AgentConfig,
  { id, from, terms }: ReceiverOrder,
  session: string,
): SessionTerms & Omit<TargetEndpoint, 'socket'> {
  const write = (line: string): void => void process.stderr.write(line);
  return {
    migration: id,
    epoch: EPOCH,
    session,
    peer: from,
    credentials: hostCredentials(config),
    graceMs: terms.linkGraceMs,
    hosts: hostsOf(config),
    ports: config.ports,
    log: plainLog(write, config.logLevel, { receiver: id }),
  };
}
