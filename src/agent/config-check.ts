import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, type Stats } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { allDrivers, pathsOfDrivers } from '../drivers/registry.ts';
import { godwitError, hasCode, toGodwitError } from '../errors.ts';
import { CA_FILE, HOST_CERT, HOST_KEY, readAuthorities, readPair } from '../host/credentials.ts';
import { Fleet, pkiDirOf } from '../host/fleet.ts';
import { splitAddress } from '../protocol/names.ts';
import { holderOfPort, holderOfSocket, whoServes } from '../rpc/port-holder.ts';
import { ownIdentity } from '../pki/own-identity.ts';
import { issuerAmong } from '../rpc/trust-bundle.ts';

/** What is wrong with a configuration that can be read. */
export interface ConfigProblem {
  readonly what: string;
  readonly hint: string;
  /** The agent does not start with it; otherwise it starts, and something does not work. */
  readonly isFatal: boolean;
}

/** Those that let the agent work; GODWIT_CONFIG where it would not start with one of them. */
export function thatLetItStart(
  file: string,
  problems: readonly ConfigProblem[],
): Pick<ConfigProblem, 'what' | 'hint'>[] {
  const fatal = problems.find(({ isFatal }) => isFatal);
  if (fatal === undefined) return problems.map(({ what, hint }) => ({ what, hint }));
  const { what, hint } = fatal;
  throw godwitError('GODWIT_CONFIG', { file, what }, { hint });
}

/**
 * What keeps an agent from starting with this configuration: GODWIT_CONFIG, before anything is opened. What lets it start
 * is answered, for its log.
 */
export async function checkStart(
  file: string,
  config: AgentConfig,
): Promise<Pick<ConfigProblem, 'what' | 'hint'>[]> {
  const socket = path.join(config.stateDir, 'agent.sock');
  if (holderOfSocket(socket) !== undefined) {
    const hint =
      'An agent with this `stateDir` runs already; every other agent needs one of its own.';
    const what = `${whoServes(socket)} serves this socket`;
    throw godwitError('GODWIT_CONFIG', { file: socket, what }, { hint });
  }
  return thatLetItStart(file, await configProblems(config));
}

/** What an agent would meet with this configuration on this host. Looks, and changes nothing. */
export async function configProblems(config: AgentConfig): Promise<ConfigProblem[]> {
  return [
    ...(await ofDrivers(config)),
    ...ofCertificate(config),
    ...ofAuthority(config),
    ...ofKey(config),
    ...ofAddress(config),
    ...ofStateDir(config),
    ...ofPaths(config),
    ...ofFencing(config),
  ];
}

async function ofDrivers(config: AgentConfig): Promise<ConfigProblem[]> {
  try {
    await allDrivers(config);
    return pathsOfDrivers(config).flatMap(({ setting, at, kind }) => missing(setting, at, kind));
  } catch (thrown) {
    const what = toGodwitError(thrown).message;
    const hint = 'Correct that section; docs/configuration.md lists every setting.';
    return [{ what, hint, isFatal: true }];
  }
}

const BRING =
  'Make them anew on the host that holds the CA with `godwit pki issue`, or bring the ones that belong together.';

/** The certificate is for this host and its key. */
function ofCertificate(config: AgentConfig): ConfigProblem[] {
  const directory = pkiDirOf(config);
  const file = path.join(directory, HOST_CERT);
  try {
    const { name, role } = ownIdentity(file, readPair(directory).cert);
    if (name === config.name && role === 'agent') return [];
    const what = `${file} is for ${name} (${role}); this agent is ${config.name} and needs the role agent`;
    const bring = `bring a certificate of ${config.name} with the role agent`;
    const hint = role === 'agent' ? `Set \`name\` to ${name}, or ${bring}.` : BRING;
    return [{ what, hint, isFatal: true }];
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_PKI')) throw thrown;
    // One that is no certificate is a finding of its own.
    if (certificateIn(file) === undefined) return [];
    return [{ what: thrown.message, hint: BRING, isFatal: true }];
  }
}

/** The certificate is of a CA that is beside it. */
function ofAuthority(config: AgentConfig): ConfigProblem[] {
  const directory = pkiDirOf(config);
  const [file, caFile] = [HOST_CERT, CA_FILE].map((name) => path.join(directory, name));
  const cert = certificateIn(file);
  // Files that cannot be read are findings of their own.
  if (cert === undefined || certificateIn(caFile) === undefined) return [];
  try {
    if (issuerAmong(readAuthorities(directory), cert) !== undefined) return [];
  } catch (thrown) {
    const { message: what, hint } = toGodwitError(thrown);
    return [{ what, hint, isFatal: true }];
  }
  return [{ what: `${file} is not of the CA of ${caFile}`, hint: BRING, isFatal: true }];
}

function certificateIn(file = ''): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(file));
  } catch {
    return undefined;
  }
}

/** Only its owner can read the key. */
function ofKey(config: AgentConfig): ConfigProblem[] {
  const file = path.join(pkiDirOf(config), HOST_KEY);
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o077) === 0) return [];
  const what = `${file} can be read by others than its owner (mode ${(mode & 0o777).toString(8)})`;
  return [
    {
      what,
      hint: `chmod 600 ${file}; whoever read it can be this host until it is issued anew.`,
      isFatal: false,
    },
  ];
}

/** Nobody else listens where this agent is to listen. */
function ofAddress(config: AgentConfig): ConfigProblem[] {
  return [config.address, ...config.addresses].flatMap((address): ConfigProblem[] => {
    const at = splitAddress(address);
    const holder = holderOfPort(at);
    if (holder === undefined || isAgentOf(config, holder.pid)) return [];
    const what = `${address} is taken by ${holder.program}, process ${holder.pid}`;
    const hint = 'End that process, or choose another port in `address`.';
    // Which address a name stands for, listening alone finds out.
    return [{ what, hint, isFatal: isIP(at.host) !== 0 }];
  });
}

/** Whether a process serves the socket of this configuration's own agent. */
function isAgentOf({ stateDir }: AgentConfig, pid: number): boolean {
  return holderOfSocket(path.join(stateDir, 'agent.sock'))?.pid === pid;
}

/** Who serves this `stateDir` serves it with this `address`. */
function ofStateDir({ address, stateDir }: AgentConfig): ConfigProblem[] {
  const serves = holderOfSocket(path.join(stateDir, 'agent.sock'));
  if (serves === undefined || serves.pid === process.pid) return [];
  if (holderOfPort(splitAddress(address))?.pid === serves.pid) return [];
  const what = `${serves.program}, process ${serves.pid}, serves ${stateDir}, and does not listen at ${address}`;
  const hint =
    'Restart that agent where this is its configuration; every other agent needs a `stateDir` of its own.';
  return [{ what, hint, isFatal: false }];
}

/** Problems with the paths in the configuration: each must lead to a file or directory of the right kind. */
function ofPaths(config: AgentConfig): ConfigProblem[] {
  const { caDir, storage, hooks, fencing, cache, processor } = config;
  const directories: [string, string | undefined][] = [
    ['caDir', caDir],
    ['hooks.directory', hooks?.directory],
    ...storage.map((each, index): [string, string | undefined] => [
      `storage.${index}.path`,
      'path' in each ? each.path : 'devices' in each ? each.devices : undefined,
    ]),
  ];
  const files: [string, string | undefined][] = [
    ...storage.map((each, index): [string, string | undefined] => [
      `storage.${index}.passwordFile`,
      'iscsi' in each ? each.passwordFile : undefined,
    ]),
    ['cache.secretFile', cache.secretFile],
    ['fencing.command.0', fencing?.command[0]],
    ['processor.cgroup', processor && path.join(processor.cgroup, 'cpu.stat')],
  ];
  return [
    ...directories.flatMap(([setting, at]) => missing(setting, at, 'directory')),
    ...files.flatMap(([setting, at]) => missing(setting, at, 'file')),
  ];
}

/** The one that is silent, and one that answers over the same path. */
const FENCED_AMONG = 2;

/** Without a third that answers, this host's own silence and another's look the same. */
function ofFencing(config: AgentConfig): ConfigProblem[] {
  const { fencing } = config;
  if (fencing === undefined || fencing.controls.length > 0) return [];
  const others = othersOf(config);
  if (others === undefined || others >= FENCED_AMONG) return [];
  const known = others === 0 ? 'no other host is known' : 'only one other host is known';
  const what = `fencing.controls is empty and ${known}: the hook is never called`;
  const hint =
    'Name host:port of a router or a switch that takes or refuses connections under `fencing.controls`.';
  return [{ what, hint, isFatal: false }];
}

/** How many other hosts are known; undefined where the fleet's list cannot be read, which is a finding of its own. */
function othersOf(config: AgentConfig): number | undefined {
  try {
    return Object.keys(new Fleet(config).peers()).length;
  } catch {
    return undefined;
  }
}

/** undefined where nothing is there; an error where this user may not look. */
function lookAt(at: string): Stats | Error | undefined {
  try {
    return statSync(at, { throwIfNoEntry: false });
  } catch (thrown) {
    return toGodwitError(thrown);
  }
}

function missing(
  setting: string,
  at: string | undefined,
  kind: 'directory' | 'file',
): ConfigProblem[] {
  // A program without a slash is looked for on the PATH.
  if (at === undefined || !at.includes('/')) return [];
  const found = lookAt(at);
  if (found instanceof Error) {
    const hint = `Let this agent's user look there, or correct \`${setting}\`.`;
    return [{ what: `${setting}: ${found.message}`, hint, isFatal: false }];
  }
  const fits = kind === 'directory' ? found?.isDirectory() : found?.isFile();
  if (fits === true) return [];
  const why = found === undefined ? 'is not there' : `is no ${kind}`;
  const hint = `Make it, mount it, or correct \`${setting}\`.`;
  return [{ what: `${setting}: ${at} ${why}`, hint, isFatal: false }];
}
