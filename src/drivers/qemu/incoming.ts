import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import type { StreamSetup } from '../../port/direct.ts';
import { readCpu } from './guest/cpu.ts';
import { readRamBlocks } from './guest/facts.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import { cpuDifferences } from './spec/cpu.ts';
import type { RamBlock } from './spec/monitor-text.ts';
import type { GuestSpec } from './spec/schema.ts';
import { capabilitiesOff, capabilityList, destinationParameters } from './stream.ts';
import {
  authorizationObject,
  credentialObject,
  credentialsOf,
  dropObjects,
  layOutCredentials,
} from './tls.ts';
import { writeNew } from './user/access.ts';
import type { RunAs } from './user/confine.ts';

const MARK = 'incoming';

export async function markIncoming(guestDir: string): Promise<void> {
  await mkdir(guestDir, { recursive: true, mode: 0o700 });
  await writeNew(path.join(guestDir, MARK), '');
}

export async function isMarked(guestDir: string): Promise<boolean> {
  return stat(path.join(guestDir, MARK)).then(
    () => true,
    () => false,
  );
}

export async function unmark(guestDir: string): Promise<void> {
  await rm(path.join(guestDir, MARK), { force: true });
}

/**
 * Sets capabilities, TLS and parameters; they must be in force before QEMU listens. `reader`: QEMU's user, if it
 * differs from ours.
 */
export async function configureIncoming(
  client: QmpClient,
  setup: StreamSetup,
  capabilities: readonly string[],
  signal: AbortSignal,
  reader?: RunAs,
): Promise<void> {
  const objects: object[] = [];
  if (setup.tls) {
    const credentials = credentialsOf(setup);
    objects.push(
      credentialObject(await layOutCredentials(credentials, 'server', reader), 'server'),
    );
    objects.push(await authorizationObject(credentials));
  }
  // All commands are sent without a wait between them: if QEMU ends, each of them fails.
  await Promise.all([
    client.execute(
      'migrate-set-capabilities',
      { capabilities: capabilityList(setup, capabilities, false) },
      signal,
    ),
    ...objects.map((object) => client.execute('object-add', object, signal)),
    client.execute('migrate-set-parameters', destinationParameters(setup), signal),
  ]);
}

function uriHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

export function uriOf(address: string): string {
  return /^(unix|rdma):/.test(address) ? address : `tcp:${address}`;
}

export interface Listening {
  readonly socket?: string | undefined;
  readonly transport?: StreamSetup['transport'];
  readonly listenHost: string;
  readonly ports: { readonly from: number; readonly to: number };
  readonly host: string;
}

/**
 * Listens on the socket or on the first free port of the range. Returns `unix:PATH` or `host:port`. Throws
 * GODWIT_PORT_NONE if no port is free.
 */
export async function listen(
  client: QmpClient,
  where: Listening,
  signal: AbortSignal,
): Promise<string> {
  const { from, to } = where.ports;
  if (where.transport === 'rdma') return listenRdma(client, where, signal);
  const uri =
    where.socket === undefined
      ? `tcp:${uriHost(where.listenHost)}:${from},to=${to}`
      : `unix:${where.socket}`;
  const [answer, state] = await Promise.all([
    client.request('migrate-incoming', { uri }, signal),
    client.query('query-migrate', {}, answers.migrationState, signal),
  ]);
  if (!answer.ok) {
    if (/in use|available port/i.test(answer.reason)) {
      throw godwitError('GODWIT_PORT_NONE', { host: where.host, from, to });
    }
    throw client.refused('migrate-incoming', answer.reason);
  }
  const address = addressOf(state, where);
  if (address === undefined) {
    throw client.refused('migrate-incoming', 'it does not say where it listens');
  }
  return address;
}

/** QEMU does not choose a free RDMA port, and does not report its RDMA port. */
async function listenRdma(
  client: QmpClient,
  where: Listening,
  signal: AbortSignal,
): Promise<string> {
  const { from, to } = where.ports;
  for (let port = from; port <= to; port += 1) {
    const address = `${uriHost(where.listenHost)}:${port}`;
    const answer = await client.request('migrate-incoming', { uri: `rdma:${address}` }, signal);
    if (answer.ok) return address;
    if (!/bind|in use/i.test(answer.reason))
      throw client.refused('migrate-incoming', answer.reason);
  }
  throw godwitError('GODWIT_PORT_NONE', { host: where.host, from, to });
}

export function addressOf(state: answers.MigrationState, where: Listening): string | undefined {
  if (where.socket !== undefined) {
    const listens = state['socket-address']?.some((each) => each.type === 'unix') === true;
    return listens ? `unix:${where.socket}` : undefined;
  }
  const port = state['socket-address']?.findLast((each) => each.type === 'inet')?.port;
  return port === undefined ? undefined : `${uriHost(where.listenHost)}:${port}`;
}

/** Throws unless the new machine's processor and memory blocks equal the described ones. */
export async function proveSame(
  client: QmpClient,
  guest: string,
  host: string,
  spec: GuestSpec,
  signal: AbortSignal,
): Promise<void> {
  const cpuThere = async () => {
    const cpus = await client.query('query-cpus-fast', {}, answers.cpus, signal);
    if (spec.cpu === undefined) return undefined;
    return readCpu(client, cpus[0]?.['qom-path'] ?? '', spec.cpu.model, undefined, signal);
  };
  const [cpu, here] = await Promise.all([cpuThere(), readRamBlocks(client, signal)]);
  const differences =
    cpu === undefined || spec.cpu === undefined ? [] : cpuDifferences(spec.cpu, cpu);
  if (differences.length > 0) {
    const features = differences.slice(0, 8).join('; ');
    throw godwitError('GODWIT_CPU_FEATURE', { host, guest, features });
  }
  const block = blockDifference(spec.ramBlocks, here);
  if (block !== undefined) {
    const { name: device, what } = block;
    throw godwitError('GODWIT_DEVICE_UNMAPPED', { device, guest, host, what });
  }
}

export function blockDifference(
  source: readonly RamBlock[],
  destination: readonly RamBlock[],
): { name: string; what: string } | undefined {
  for (const { name, bytes } of source) {
    const here = destination.find((block) => block.name === name);
    if (here === undefined) return { name: `memory block ${name}`, what: 'QEMU did not make it' };
    if (here.bytes !== bytes) {
      const what = `it has ${here.bytes} bytes there and ${bytes} here`;
      return { name: `memory block ${name}`, what };
    }
  }
  const extra = destination.find(({ name }) => !source.some((block) => block.name === name));
  if (extra === undefined) return undefined;
  return { name: `memory block ${extra.name}`, what: 'only the destination has it' };
}

export async function settleIncoming(client: QmpClient, signal: AbortSignal): Promise<void> {
  const off = { 'tls-creds': '', 'tls-authz': '', 'multifd-compression': 'none' };
  const capabilities = await client.query(
    'query-migrate-capabilities',
    {},
    answers.capabilityList,
    signal,
  );
  const list = capabilitiesOff(capabilities.map(({ capability }) => capability));
  await Promise.all([
    client.execute('migrate-set-parameters', off, signal),
    client.execute('migrate-set-capabilities', { capabilities: list }, signal),
    dropObjects(client, signal),
  ]);
}
