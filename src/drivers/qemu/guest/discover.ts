import path from 'node:path';
import { defined } from '../../../protocol/defined.ts';
import type { GuestInfo, GuestRunState } from '../../../protocol/public/hosts/host.ts';
import { hasCode, toGodwitError } from '../../../errors.ts';
import type { DiscoverOptions, DiscoveredGuest } from '../../../port/inventory.ts';
import type { QmpClient } from '../qmp/client.ts';
import { connectMonitor, SECOND_SOCKET } from '../qmp/connect.ts';
import { describeBackends } from '../spec/backends.ts';
import { parseCommandLine, valuesOf } from '../spec/cmdline.ts';
import { describeGuest } from '../spec/describe.ts';
import type { Disks } from '../spec/disks/disks.ts';
import type { GuestFacts } from '../spec/facts.ts';
import { knownAs } from '../../known-as.ts';
import { nameOf } from '../spec/guest-name.ts';
import { machineProperties } from '../spec/machine.ts';
import { parseBytes, parseOption } from '../spec/options.ts';
import { tapsOf } from './attachments.ts';
import { processBehind } from './configured.ts';
import { readFacts } from './facts.ts';
import { KeptProcessors } from './kept-processors.ts';
import { listQemuProcesses, userOf, type QemuProcess } from './process.ts';
import { readHalt } from '../snapshot/read.ts';
import type { Beyond } from '../programs/baseline.ts';
import type { QemuHandle } from '../handle.ts';

const GREETING_MS = 700;
const AT_ONCE = 8;
/** Longest reason, in characters: it may quote an unlimited command-line word. */
const REASON_LENGTH = 1024;

export interface Candidate {
  readonly name: string;
  readonly process: QemuProcess;
  readonly sockets: readonly string[];
  readonly manager: string | undefined;
}

export interface DiscoveryState {
  readonly processors: KeptProcessors;
  readonly beyond?: Beyond | undefined;
}

/**
 * Guests of this host. Holds each monitor for a few ms and skips a busy guest's monitor. A look at all guests
 * keeps their processors in `known.processors`; a look at one guest reads everything again.
 */
export async function discoverGuests(
  options: DiscoverOptions,
  signal: AbortSignal,
  known: DiscoveryState,
): Promise<DiscoveredGuest[]> {
  const processes = await listQemuProcesses(signal);
  const byProcess = candidatesOf(processes, options.configured);
  const seen = new Set(byProcess.flatMap(({ sockets }) => sockets));
  const unseen = options.configured.filter(({ qmp }) => !seen.has(qmp));
  const bySocket = await candidatesBehind(unseen, options, signal);
  const named = new Set(bySocket.map(({ process }) => process.pid));
  const candidates = [...byProcess.filter(({ process }) => !named.has(process.pid)), ...bySocket];
  const { processors } = known;
  const kept = options.only === undefined ? known : { ...known, processors: new KeptProcessors() };
  const found: DiscoveredGuest[] = [];
  for (let at = 0; at < candidates.length; at += AT_ONCE) {
    const group = candidates.slice(at, at + AT_ONCE);
    found.push(...(await Promise.all(group.map((each) => lookAt(each, options, kept, signal)))));
  }
  processors.keepOnly(candidates.map(({ process }) => process));
  return found;
}

/** Configured guests whose socket is on no command line; a guest that does not answer is left out. */
async function candidatesBehind(
  configured: DiscoverOptions['configured'],
  options: DiscoverOptions,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const asked = configured.filter(({ name }) => !options.busy.has(name) && isAsked(name, options));
  const found = await Promise.all(
    asked.map(async (guest): Promise<Candidate[]> => {
      const process = await processBehind(guest, options.host, signal);
      const known = { name: guest.name, sockets: [guest.qmp], manager: undefined };
      return process === undefined ? [] : [{ ...known, process }];
    }),
  );
  return found.flat();
}

/**
 * Names the guests. If two have the same name, the later one gets its pid appended, so that it cannot take the
 * name of a running guest. Pure.
 */
export function candidatesOf(
  processes: readonly QemuProcess[],
  configured: DiscoverOptions['configured'],
): Candidate[] {
  const candidates: Candidate[] = [];
  const taken = new Set<string>();
  const byStart = processes.toSorted((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
  for (const process of byStart) {
    const line = parseCommandLine(process.argv);
    // Programs that only answer questions about themselves.
    if (machineProperties(line).get('type') === 'none') continue;
    const sockets = describeBackends(line).sockets.map((file) => path.resolve(process.cwd, file));
    const known = configured.find(({ qmp }) => sockets.includes(qmp));
    const clean = knownAs(known?.name ?? nameOf(line) ?? `qemu-${process.pid}`);
    const name = taken.has(clean) ? `${clean.slice(0, 52)}-${process.pid}` : clean;
    taken.add(name);
    const manager = managerOf(process.argv);
    candidates.push({ name, process, sockets, manager });
  }
  return candidates;
}

export function managerOf(argv: readonly string[]): string | undefined {
  const line = argv.join(' ');
  if (/\/(var\/lib|etc|run)\/libvirt\//.test(line)) return 'libvirt';
  if (/\/(var\/run|run)\/qemu-server\//.test(line)) return 'Proxmox VE';
  return undefined;
}

async function lookAt(
  candidate: Candidate,
  options: DiscoverOptions,
  kept: DiscoveryState,
  signal: AbortSignal,
): Promise<DiscoveredGuest> {
  const base = fromProcess(candidate, options.host);
  const countedBy = { pid: candidate.process.pid, ports: [] };
  const busy = options.busy.has(candidate.name);
  // A manager's monitors are left alone, except one made for Godwit.
  const mine = candidate.manager === undefined ? candidate.sockets : ownSockets(candidate);
  if (busy) {
    const handle = handleOf(candidate, mine[0]);
    const held = handle === undefined ? {} : { handle };
    return { info: { ...base, state: 'migrating' }, ...held, countedBy };
  }
  if (!isAsked(candidate.name, options)) return { info: base, countedBy };
  for (const socket of mine) {
    const found = await ask(candidate, { socket, base }, kept, signal);
    if (found !== undefined) return found;
  }
  signal.throwIfAborted();
  const manager = candidate.manager ?? (mine.length > 0 ? 'another program' : undefined);
  if (manager !== undefined) {
    return { info: { ...base, manager }, countedBy, hint: SECOND_SOCKET };
  }
  const unmovable = ['it has no QMP socket: start it with -qmp unix:PATH,server=on,wait=off'];
  const hint =
    'Start it with a QMP socket, or name the socket under `guests` in the configuration.';
  return { info: { ...base, unmovable }, countedBy, hint };
}

function isAsked(name: string, { only }: DiscoverOptions): boolean {
  return only === undefined || only === name;
}

function ownSockets({ sockets }: Candidate): string[] {
  return sockets.filter((socket) => managerOf([socket]) === undefined);
}

async function ask(
  candidate: Candidate,
  { socket, base }: { readonly socket: string; readonly base: GuestInfo },
  kept: DiscoveryState,
  signal: AbortSignal,
): Promise<DiscoveredGuest | undefined> {
  const owner = {
    host: base.host,
    guest: candidate.name,
    side: 'source' as const,
    path: socket,
    user: userOf(candidate.process.pid),
  };
  let client: QmpClient | undefined;
  try {
    client = await connectMonitor(owner, GREETING_MS, signal);
    const facts = await readFacts(client, candidate.process, signal, kept.processors);
    const handle = handleOf(candidate, socket);
    if (handle === undefined) return undefined;
    const countedBy = { pid: candidate.process.pid, ports: tapsOf(facts.network) };
    const warnings = kept.beyond?.(facts) ?? [];
    const info = { ...fromFacts(base, facts), ...(warnings.length > 0 && { warnings }) };
    const halted = await readHalt(client, facts.status, signal);
    return { info, handle, countedBy, ...defined({ halted }) };
  } catch (error) {
    signal.throwIfAborted();
    if (hasCode(error, 'GODWIT_GUEST_MANAGED', 'GODWIT_MONITOR_UNREACHABLE')) return undefined;
    return { info: withFailure(base, error) };
  } finally {
    client?.close();
  }
}

export function withFailure(base: GuestInfo, thrown: unknown): GuestInfo {
  return { ...base, unmovable: [toGodwitError(thrown).message.slice(0, REASON_LENGTH)] };
}

function handleOf(candidate: Candidate, socket: string | undefined): QemuHandle | undefined {
  if (socket === undefined) return undefined;
  const { pid, startTicks, bootId } = candidate.process;
  return { driver: 'qemu', name: candidate.name, pid, startTicks, bootId, monitor: socket };
}

/** Information from the command line, enough for a guest whose monitor must not be used. Pure. */
export function fromProcess(candidate: Candidate, host: string): GuestInfo {
  const line = parseCommandLine(candidate.process.argv);
  const memory = parseOption(valuesOf(line, 'm').at(-1) ?? '', true);
  const memoryBytes = parseBytes(memory.props.get('size') ?? memory.head ?? '', 1024 * 1024);
  const smp = parseOption(valuesOf(line, 'smp').at(-1) ?? '1', true);
  const vcpus = Number(smp.props.get('cpus') ?? smp.head ?? 1);
  const machineType = machineProperties(line).get('type');
  const uuid = valuesOf(line, 'uuid').at(-1)?.toLowerCase();
  const own = nameOf(line);
  return {
    name: candidate.name,
    host,
    driver: 'qemu',
    state: 'unknown',
    pid: candidate.process.pid,
    nics: [],
    devices: [],
    unmovable: [],
    ...(own === undefined || own === candidate.name
      ? {}
      : { ownName: own.slice(0, REASON_LENGTH) }),
    ...defined({ memoryBytes }),
    ...(Number.isSafeInteger(vcpus) && vcpus > 0 ? { vcpus } : {}),
    ...defined({ machineType }),
    ...(uuid === undefined ? {} : { uuid: uuid.slice(0, 128) }),
    ...defined({ manager: candidate.manager }),
  };
}

export function fromFacts(base: GuestInfo, facts: GuestFacts): GuestInfo {
  const { manager: _manager, ...rest } = base;
  const draft = describeGuest(facts);
  const unmovable = draft.findings
    .filter(({ kind }) => kind !== 'changed')
    .map(({ device, type, reason }) => `${device} (${type}): ${reason}`);
  const nics = draft.spec.netdevs.flatMap((netdev) =>
    netdev.type === 'tap'
      ? [
          {
            id: netdev.id,
            mac: netdev.mac,
            ...defined({ bridge: netdev.bridge }),
          },
        ]
      : [],
  );
  return {
    ...rest,
    state: stateOf(facts),
    memoryBytes: facts.memoryBytes,
    vcpus: facts.vcpus,
    machineType: facts.machineType,
    hypervisorVersion: facts.version,
    accelerator: facts.accelerator,
    nics: nics.slice(0, 64),
    devices: facts.devices
      .slice(0, 1024)
      .map(({ id, type }) => ({ id: (id ?? type).slice(0, 128), type: type.slice(0, 128) })),
    unmovable: [...unmovable, ...facts.blockedReasons]
      .slice(0, 64)
      .map((reason) => reason.slice(0, REASON_LENGTH)),
    ...defined({ uuid: facts.uuid }),
    ...(draft.disks.disks.length === 0 ? {} : { disks: disksOf(draft.disks) }),
  };
}

function disksOf({ disks, files }: Pick<Disks, 'disks' | 'files'>): GuestInfo['disks'] {
  return disks.slice(0, 256).map(({ name, images: [top] }) => {
    const { node = '', format = 'raw', bytes = 0 } = top ?? {};
    return { name, file: files.get(node) ?? '', format, bytes };
  });
}

function stateOf({ status, migrationStatus }: GuestFacts): GuestRunState {
  if (/^(setup|active|device|pre-switchover|postcopy)/.test(migrationStatus)) return 'migrating';
  if (status === 'running') return 'running';
  if (status === 'inmigrate') return 'incoming';
  if (status === 'postmigrate' || status === 'shutdown') return 'stopped';
  return 'paused';
}
