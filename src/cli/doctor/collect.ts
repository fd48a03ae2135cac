import { readdir, readFile, stat, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import { cacheDirectory } from '../../system/files/cache-directory.ts';
import { freePortsIn, parseMemory } from '../../system/kernel-tables.ts';
import type { Context, ConnectionFlags } from '../context.ts';
import { reasonOf, tryOpen, tryProgram, type Outcome } from './attempt.ts';
import { damagedList, programsOf, readCertificates, readConfig } from './collect-config.ts';
import type { Attempt, Facts, TrustFact, HypervisorFact } from './facts.ts';
import { hasCode } from '../../errors.ts';
import type { Trust } from '../../protocol/public/trust.ts';

const TOOLS = ['ip', 'tc', 'unshare', 'nsenter', 'setpriv'];

/** Collects facts about this host. Changes nothing and never rejects; unknown facts stay undefined. */
export async function collectFacts(
  context: Context,
  connection: ConnectionFlags,
  configFile: string | undefined,
): Promise<Facts> {
  const { config, settings } = await readConfig(configFile);
  const folders = pathFolders(context);
  const [userNamespaces, hypervisors, kvmDevice, tunDevice, tools, bridges] = await Promise.all([
    tryUserNamespaces(),
    findHypervisors(programsOf(settings), folders, cacheDirectory(context.env)),
    tryOpen('/dev/kvm'),
    tryOpen('/dev/net/tun'),
    findTools(folders),
    findBridges(),
  ]);
  const [memory, ports, clock, openFiles, agents, certificates, userfaultfd] = await Promise.all([
    readMemory(),
    countPorts(settings?.ports ?? { from: 49_152, to: 49_407 }),
    readClock(),
    readOpenFiles(),
    askAgents(context, connection, configFile, settings),
    readCertificates(config),
    text('/proc/sys/vm/unprivileged_userfaultfd'),
  ]);
  return {
    nodeVersion: process.versions.node,
    root: process.getuid?.() === 0,
    userNamespaces,
    hypervisors,
    kvmDevice,
    tunDevice,
    unprivilegedUserfaultfd: userfaultfd?.trim(),
    tools,
    bridges,
    memory,
    ports,
    clock,
    openFiles,
    guestImage: context.hasLab === true ? await findGuestImage(context) : undefined,
    agent: agents.agent,
    config,
    certificates,
    trust: agents.trust,
    damagedList: settings && damagedList(settings),
  };
}

/** A named configuration selects its agent, unless the command line selects another. */
async function askAgents(
  context: Context,
  connection: ConnectionFlags,
  configFile: string | undefined,
  settings: AgentConfig | undefined,
): Promise<Pick<Facts, 'agent' | 'trust'>> {
  const { agent, lab, host, context: named } = connection;
  if (configFile === undefined || [agent, lab, host, named].some((each) => each !== undefined))
    return findAgents(context, connection);
  if (settings === undefined) {
    const problem = 'not asked: the address is in the configuration';
    return { agent: { answering: [], problem }, trust: [] };
  }
  return findAgents(context, { agent: path.join(settings.stateDir, 'agent.sock') });
}

/** The PATH, and administrators' folders that a user's PATH may lack. */
function pathFolders({ env }: Context): string[] {
  const own = (env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return [...new Set([...own, '/usr/sbin', '/sbin', '/usr/libexec'])];
}

async function findGuestImage({ env }: Context): Promise<Facts['guestImage']> {
  const folder = path.join(cacheDirectory(env), 'guest', 'kernel');
  return { folder, ready: await isFile(path.join(folder, 'manifest.json')) };
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile() && found.size > 0,
    () => false,
  );
}

async function text(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}

async function tryUserNamespaces(): Promise<Attempt> {
  const outcome = await tryProgram(['unshare', '-Urnm', 'true']);
  return outcome.status === 0 ? { ok: true } : { ok: false, reason: reasonOf(outcome) };
}

async function findTools(folders: readonly string[]): Promise<Record<string, boolean>> {
  const found = await Promise.all(
    TOOLS.map(async (tool) => {
      const there = await Promise.all(folders.map((folder) => isFile(path.join(folder, tool))));
      return [tool, there.includes(true)] as const;
    }),
  );
  return Object.fromEntries(found);
}

async function findBridges(): Promise<string[]> {
  const links = await readdir('/sys/class/net').catch(() => []);
  const isBridge = await Promise.all(
    links.map((link) =>
      stat(`/sys/class/net/${link}/bridge`).then(
        () => true,
        () => false,
      ),
    ),
  );
  return links.filter((_link, index) => isBridge[index] === true);
}

async function readMemory(): Promise<Facts['memory']> {
  const memory = parseMemory((await text('/proc/meminfo')) ?? '');
  return memory.totalBytes === 0 ? undefined : memory;
}

async function countPorts(range: { from: number; to: number }): Promise<Facts['ports']> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(text));
  return {
    ...range,
    free: freePortsIn(
      tables.map((table = '') => table),
      range,
    ),
  };
}

async function readClock(): Promise<Facts['clock']> {
  const [systemd, chrony] = await Promise.all([
    tryProgram(['timedatectl', 'show', '--property', 'NTPSynchronized', '--value'], {
      deadlineMs: 2000,
    }),
    tryProgram(['chronyc', '-n', 'tracking'], { deadlineMs: 2000 }),
  ]);
  if (chrony.status === 0) {
    const synchronized = /^Leap status\s*: (Normal|Insert|Delete)/m.test(chrony.stdout);
    return { synchronized, by: 'chrony' };
  }
  const said = systemd.stdout.trim();
  if (systemd.status === 0 && (said === 'yes' || said === 'no')) {
    return { synchronized: said === 'yes', by: 'timedatectl' };
  }
  return undefined;
}

async function readOpenFiles(): Promise<Facts['openFiles']> {
  const limits = (await text('/proc/self/limits')) ?? '';
  const match = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(limits);
  if (match === null) return undefined;
  const number = (word = ''): number =>
    word === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(word);
  return { soft: number(match[1]), hard: number(match[2]) };
}

const AGENT_MS = 3000;
const DAY_MS = 86_400_000;

/** Agents that answer, with their reports on trust. Never rejects. */
async function findAgents(
  context: Context,
  connection: ConnectionFlags,
): Promise<Pick<Facts, 'agent' | 'trust'>> {
  const signal = AbortSignal.timeout(AGENT_MS);
  try {
    const fleet = await context.connect(connection);
    try {
      const asked = await Promise.allSettled(
        fleet.endpoints.map(async ({ api, label }) => {
          const { hosts } = await api.hosts({}, { signal });
          const name = hosts.find(({ self }) => self)?.name ?? label;
          const trust = await api.trust({}, { signal }).catch(() => undefined);
          return { name, trust: trust && factOf(trust) };
        }),
      );
      const answering = asked
        .filter((each) => each.status === 'fulfilled')
        .map(({ value }) => value);
      const names = answering.map(({ name }) => name);
      const trust = answering.flatMap((each) => each.trust ?? []);
      const failed = asked.find((each) => each.status === 'rejected');
      const problem = failed === undefined ? undefined : wordsOf(failed.reason);
      return { agent: { answering: names, problem }, trust };
    } finally {
      fleet.close();
    }
  } catch (error) {
    return { agent: { answering: [], problem: wordsOf(error) }, trust: [] };
  }
}

function factOf({ certificate, list, ...rest }: Trust): TrustFact {
  const { validTo, failures, problem } = certificate;
  const daysUntil = (at: string): number => (Date.parse(at) - Date.now()) / DAY_MS;
  return {
    ...rest,
    daysLeft: daysUntil(validTo),
    failures,
    problem,
    ...(list !== undefined && {
      list: {
        number: list.number,
        ageDays: -daysUntil(list.issuedAt),
        leftDays: daysUntil(list.expiresAt),
      },
    }),
  };
}

function wordsOf(error: unknown): string {
  if (signalTimedOut(error)) return `no answer within ${AGENT_MS} ms`;
  const message = error instanceof Error ? error.message : 'no answer';
  return hasCode(error, 'GODWIT_INTERNAL') ? 'no answer' : message;
}

function signalTimedOut(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

const NAMES = ['qemu-system-x86_64', 'qemu-kvm'];
const MAX_BINARIES = 16;

/** QEMUs from the configuration, the PATH and setup's folder, each tested. */
async function findHypervisors(
  configured: readonly string[],
  folders: readonly string[],
  cache: string,
): Promise<HypervisorFact[]> {
  const inFolders = folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name)));
  const versions = await readdir(path.join(cache, 'qemu')).catch(() => []);
  const own = versions.map((each) => path.join(cache, 'qemu', each, 'bin', 'qemu-system-x86_64'));
  const real = await Promise.all([...configured, ...inFolders, ...own].map(realProgram));
  const binaries = [...new Set(real.filter((each) => each !== undefined))].slice(0, MAX_BINARIES);
  return Promise.all(binaries.map(tryHypervisor));
}

async function realProgram(file: string): Promise<string | undefined> {
  try {
    const found = await realpath(file);
    return (await stat(found)).isFile() ? found : undefined;
  } catch {
    return undefined;
  }
}

async function tryHypervisor(binary: string): Promise<HypervisorFact> {
  const [version, kvm, tcg] = await Promise.all([
    tryProgram([binary, '--version']),
    tryMachine(binary, 'kvm'),
    tryMachine(binary, 'tcg'),
  ]);
  return {
    binary,
    version: /version (\d+\.\d+(?:\.\d+)?)/.exec(version.stdout)?.[1],
    kvm: kvm.status === 0 ? { ok: true } : { ok: false, reason: words(kvm, binary) },
    postcopy: postcopyAnswer(tcg, binary),
  };
}

function tryMachine(binary: string, accelerator: 'kvm' | 'tcg'): Promise<Outcome> {
  const commands = [
    { execute: 'qmp_capabilities' },
    {
      execute: 'migrate-set-capabilities',
      arguments: { capabilities: [{ capability: 'postcopy-ram', state: true }] },
      id: 'postcopy',
    },
    { execute: 'quit' },
  ];
  const input = commands.map((each) => `${JSON.stringify(each)}\n`).join('');
  const machine = [
    '-machine',
    'none',
    '-accel',
    accelerator,
    '-S',
    '-nodefaults',
    '-display',
    'none',
  ];
  return tryProgram([binary, ...machine, '-incoming', 'defer', '-qmp', 'stdio'], { input });
}

/** QEMU tests userfaultfd before it accepts the capability on an incoming machine. */
function postcopyAnswer(outcome: Outcome, binary: string): Attempt {
  for (const line of outcome.stdout.split('\n')) {
    const answer = parse(line);
    if (answer.id !== 'postcopy') continue;
    if (answer.error === undefined) return { ok: true };
    return { ok: false, reason: String(answer.error.desc ?? 'refused').slice(0, 300) };
  }
  return { ok: false, reason: words(outcome, binary) };
}

function parse(line: string): { id?: unknown; error?: { desc?: string } } {
  try {
    return JSON.parse(line) as { id?: unknown; error?: { desc?: string } };
  } catch {
    return {};
  }
}

function words(outcome: Outcome, binary: string): string {
  return reasonOf(outcome).replace(`${binary}: `, '');
}
