import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import { cacheDirectory } from '../../host/cache-directory.ts';
import { freePortsIn, parseMemory } from '../../host/kernel-tables.ts';
import type { Context } from '../context.ts';
import type { ConnectionFlags } from '../verb.ts';
import { reasonOf, tryOpen, tryProgram } from './attempt.ts';
import { findAgents } from './collect-agents.ts';
import { damagedList, programsOf, readCertificates, readConfig } from './collect-config.ts';
import { findHypervisors } from './collect-qemu.ts';
import type { Attempt, Facts } from './facts.ts';

const TOOLS = ['ip', 'tc', 'unshare', 'nsenter', 'setpriv'];

/** Looks at this host. Changes nothing and never rejects: what cannot be found out is left open. */
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
  const folder = path.join(cacheDirectory(context.env), 'guest', 'kernel');
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
    guestImage: { folder, ready: await isFile(path.join(folder, 'manifest.json')) },
    agent: agents.agent,
    config,
    certificates,
    trust: agents.trust,
    damagedList: settings && damagedList(settings),
  };
}

/** A configuration that is named is of one agent: that one is asked, where the command line names no other. */
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
    const problem = 'not asked: the configuration says where it is';
    return { agent: { answering: [], problem }, trust: [] };
  }
  return findAgents(context, { agent: path.join(settings.stateDir, 'agent.sock') });
}

/** The PATH, and where administrators' programs are when a user's PATH lacks them. */
function pathFolders({ env }: Context): string[] {
  const own = (env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  return [...new Set([...own, '/usr/sbin', '/sbin', '/usr/libexec'])];
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

/** Ports of the range on which nothing listens in this network namespace. */
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
