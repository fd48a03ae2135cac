import path from 'node:path';
import { loadAgentConfig, type AgentConfig } from '../config.ts';
import type { Clock } from '../clock.ts';
import { driverNamed, isManaged } from '../drivers/registry.ts';
import type { ManagedDriver } from '../port/managed.ts';
import { godwitError } from '../errors.ts';
import { plainLog, type Log } from '../log.ts';
import { moverContract } from '../protocol/mover/contract.ts';
import type { Progress } from '../protocol/public/migration.ts';
import {
  isManagedRequest,
  type DestinationMoverRequest,
  type ManagedMoverRequest,
  type MoverRequest,
  type SourceMoverRequest,
} from '../protocol/mover/request.ts';
import { listenUnix } from '../rpc/listen.ts';
import { ownRefusals } from '../rpc/refusals.ts';
import { serve, type Handlers } from '../rpc/server.ts';
import { Live } from './engine/live.ts';
import { keepPace } from './process-priority.ts';
import { reportReady } from './startup.ts';
import { holdMigration } from '../host/journal/migration-lock.ts';
import { ownIdentity } from '../system/processes/process.ts';
import { damaged, readRequest, requestFile } from '../host/journal/request-file.ts';
import { keepRefused } from '../host/journal/kept-refusals.ts';
import { surroundingsOf } from './shared/surroundings.ts';
import { openDiskTunnel, wireOpeners } from './shared/wire-openers.ts';
import type { HostLooksDependencies } from './managed/host-looks.ts';
import type { OtherHosts } from './managed/other-hosts.ts';
import type { HostLooks } from './managed/verification.ts';

/** Time for live view followers to read the last line, ms. */
const LINGER_MS = 2000;

export interface MoverArguments {
  /** stateDir/migrations/<id> */
  readonly dir: string;
  readonly config: string;
  readonly side: 'source' | 'destination';
}

/** Runs one side of one migration to its end. Resolves once the process may exit. */
export async function runMover(args: MoverArguments): Promise<void> {
  const config = loadAgentConfig(args.config);
  const request = requestIn(args.dir);
  if (request.side !== args.side) {
    throw godwitError('GODWIT_INTERNAL', { what: `${args.dir} is the ${request.side} side` });
  }
  const write = (line: string): void => void process.stderr.write(line);
  const log = plainLog(write, config.logLevel, { mover: request.id, side: request.side });
  const { id, side } = request;
  const lock = await holdMigration({ dir: args.dir, host: config.name, id, side });
  keepRefused(args.dir, ownRefusals);
  try {
    await (request.side === 'source'
      ? runSource(args.dir, config, request, log)
      : runDestination(args.dir, config, request, log));
  } finally {
    lock.release();
  }
}

function requestIn(dir: string): MoverRequest {
  const request = readRequest(dir);
  if (request !== undefined) return request;
  throw damaged(requestFile(dir), 'it is missing');
}

async function runSource(
  dir: string,
  config: AgentConfig,
  request: SourceMoverRequest | ManagedMoverRequest,
  log: Log,
): Promise<void> {
  const driver = await driverNamed(request.handle.driver, config);
  if (isManagedRequest(request)) {
    if (!isManaged(driver)) throw shapeError(request);
    return runManaged(dir, config, { request, driver }, log);
  }
  if (isManaged(driver)) throw shapeError(request);
  // Each side only loads its half, to stay small.
  const { openSource } = await import('./direct/source/main.ts');
  const { coordinator, run } = openSource(
    dir,
    config,
    request,
    driver,
    surroundingsOf(config, log),
  );
  const { live } = coordinator;
  const socket = await serveLocally(dir, config, log, {
    progress: () => live.latest,
    events: ({ signal }) => live.follow(signal),
    cancel: () => coordinator.cancel(),
    resolve: notHere,
  });
  void keepPace('source', live, new AbortController().signal);
  ready(dir);
  const outcome = await run();
  log.info({ outcome }, 'migration ended');
  await socket.close(LINGER_MS);
}

/** This mover may be on either host or on neither, since the manager moves the guest. */
async function runManaged(
  dir: string,
  config: AgentConfig,
  { request, driver }: { request: ManagedMoverRequest; driver: ManagedDriver },
  log: Log,
): Promise<void> {
  const { ManagedMover } = await import('./managed/main.ts');
  const around = surroundingsOf(config, log);
  const parts = { ...around, config, driver, request, wire: wireOpeners, tunnel: openDiskTunnel };
  const wire =
    request.request.path === 'wire'
      ? new (await import('./managed/wire.ts')).ManagedWire(parts)
      : undefined;
  const { ManagedVerification } = await import('./managed/verification.ts');
  const verification = new ManagedVerification(config, around.clock, {
    askedAtMs: Date.parse(request.createdAt),
    ...(driver.arrived === undefined ? {} : await looksOfHosts(parts)),
  });
  const { deviceProver } = await import('./managed/device-prover.ts');
  const proveDevices = deviceProver(parts);
  const { arrivalNotice } = await import('./managed/arrival-notice.ts');
  const notice = arrivalNotice(parts);
  const parted = { ...around, config, wire, verification, proveDevices, notice };
  const mover = new ManagedMover(dir, request, driver, parted);
  const { live } = mover;
  const socket = await serveLocally(dir, config, log, {
    progress: () => live.latest,
    events: ({ signal }) => live.follow(signal),
    cancel: () => mover.cancel(),
    resolve: notHere,
  });
  ready(dir);
  const outcome = await mover.run();
  log.info({ outcome }, 'migration ended');
  // The manager may still move a held guest there.
  if (outcome !== 'held') await notice?.withdraw();
  await socket.close(LINGER_MS);
}

/** Agents to ask, if the manager is part of its hosts. */
async function looksOfHosts(
  parts: HostLooksDependencies & { readonly clock: Clock },
): Promise<{ readonly hosts: HostLooks; readonly others: OtherHosts }> {
  const { config, connect, clock } = parts;
  const [{ hostLooks }, other] = await Promise.all([
    import('./managed/host-looks.ts'),
    import('./managed/other-hosts.ts'),
  ]);
  return { hosts: hostLooks(parts), others: new other.OtherHosts(config, connect, clock) };
}

/** The driver had the other shape at the start: another build or configuration. */
function shapeError({ id, handle }: SourceMoverRequest | ManagedMoverRequest): Error {
  const what = `${id} was begun with a driver ${handle.driver} of another shape`;
  return godwitError('GODWIT_INTERNAL', { what });
}

function notHere(): never {
  throw godwitError('GODWIT_INTERNAL', { what: 'its agent resolves a migration at its source' });
}

async function runDestination(
  dir: string,
  config: AgentConfig,
  request: DestinationMoverRequest,
  log: Log,
): Promise<void> {
  const { openDestination } = await import('./direct/destination/main.ts');
  const driver = await driverNamed(request.admission.driver, config);
  if (isManaged(driver)) {
    const reason = `the manager of ${driver.name} has no mover at the destination`;
    throw godwitError('GODWIT_CAPABILITY', { what: 'a destination’s mover', reason });
  }
  const around = surroundingsOf(config, log);
  const { mover, listening, progress, ended } = await openDestination(
    dir,
    config,
    request,
    driver,
    around,
  );
  const live = new Live(progress());
  // Delayed, because it reads the journal while the guest may wait.
  mover.onChange(() => live.publishLater(progress));
  void keepPace('destination', live, new AbortController().signal);
  const what =
    listening === undefined
      ? 'a recovery comes to its end by itself: the guest runs here, or nothing of it is here'
      : `cancel it at ${request.fromHost}, which coordinates: godwit cancel ${request.id}`;
  const socket = await serveLocally(dir, config, log, {
    progress: (): Progress => progress(),
    events: ({ signal }) => live.follow(signal),
    cancel: () => ({ accepted: false, what }),
    resolve: ({ body }) => mover.resolve(body),
  });
  ready(dir, listening?.address);
  await ended;
  live.publish(progress());
  await Promise.all([listening?.close(LINGER_MS), socket.close(LINGER_MS)]);
  await mover.close();
}

async function serveLocally(
  dir: string,
  config: AgentConfig,
  log: Log,
  handlers: Handlers<typeof moverContract>,
): Promise<Awaited<ReturnType<typeof listenUnix>>> {
  return listenUnix(
    serve(moverContract, handlers, { name: config.name, log }),
    path.join(dir, 'mover.sock'),
    { log },
  );
}

function ready(dir: string, address?: string): void {
  const socket = path.join(dir, 'mover.sock');
  const where = address === undefined ? { socket } : { socket, address };
  reportReady(dir, { ...ownIdentity(), ...where });
}
