import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/clock.ts';
import type { AgentConfigInput } from '../src/config.ts';
import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import { withBootId } from './boot-id.ts';
import { labEnvironment } from './environment.ts';
import { kindOf, routeHook } from './guest-plane.ts';
import { qemuBinaries } from './guest/qemu.ts';
import { guestKernel } from './image/kernel.ts';
import { imageDirectory } from './image/initramfs.ts';
import { libvirtSection } from './libvirt/daemon.ts';
import { amongMounts } from './libvirt/mounts.ts';
import { ovsEnvironment } from './openvswitch.ts';
import { AGENT_PORT, GUEST_NETWORK, managerOfGuests, ROUTED_GATEWAY } from './plan.ts';
import { isAlive, type ProcessIdentity } from '../src/system/processes/process.ts';
import { amongContainers, podmanPrograms } from './podman/hosts.ts';
import {
  endProcesses,
  type LabProcess,
  processesInNamespaces,
  signalProcess,
  startDetached,
} from './processes.ts';
import { type Lab, type LabHost, labHost } from './state.ts';
import { hostStorage, storageEnvironment } from './storage.ts';

/** What a host's configuration has instead of the lab's own, which is `own`; options of drivers are added to its own. */
export type Configure = (host: string, own: AgentConfigInput) => Partial<AgentConfigInput>;

const HEALTH_DEADLINE_MS = 30_000;
const PROGRAM = fileURLToPath(new URL('../src/bin/agent.ts', import.meta.url));

/**
 * Gives each host its certificate and configuration, starts its agent, and waits until all answer.
 * Throws GODWIT_LAB with the last line of the log of one that ended.
 */
export async function startAgents(
  lab: Lab,
  configure: Configure | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const { caDir } = await issuePki(lab);
  const shared = await sharedConfig(signal);
  for (const member of lab.members) {
    const hooks = await writeHooks(lab, member);
    const own = { ...hooks, ...shared, ...ownConfig(lab, member, caDir) };
    const wanted = configure?.(member.name, own);
    const all = configured(managed(lab, member, own), wanted);
    const config = unprobedLater(lab, { ...all, ...routedNetwork(lab, wanted?.network) });
    await writeFile(member.configFile, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  }
  await Promise.all(lab.hosts.map((host) => startAgent(lab, host, signal)));
}

/** Gives each host its certificate, by the lab's own CA. */
export async function issuePki(lab: Lab): Promise<{ readonly caDir: string }> {
  // Certificates need heavy modules: only who starts agents pays for them.
  const { issueLabPki } = await import('./pki.ts');
  return issueLabPki(
    lab.dir,
    lab.members.map((member) => {
      const pkiDir = path.join(member.stateDir, 'pki');
      return { name: member.name, pkiDir, addresses: [member.address, ...member.furtherAddresses] };
    }),
  );
}

/**
 * Starts the agent of one host, as it was configured; for one that was stopped or killed too. `program`: that of
 * another build, for tests of both at once.
 */
export async function startAgent(
  lab: Lab,
  host: string,
  signal?: AbortSignal,
  program = PROGRAM,
): Promise<ProcessIdentity> {
  const member = labHost(lab, host);
  const argv = withBootId(member, [process.execPath, program, '--config', member.configFile]);
  const among = lab.manager === 'podman' ? amongContainers : amongMounts;
  const started = await startDetached(await among(lab, host, argv), {
    logFile: member.agentLog,
    env: { ...labEnvironment(lab), ...ovsEnvironment(lab, host), ...storageEnvironment(lab) },
  });
  await withDeadline(`the agent of ${host}`, HEALTH_DEADLINE_MS, signal, async (inner) => {
    while (!(await answersHealth(member.agentSocket))) {
      if (!isAlive(started)) {
        const said = lastWords(await readFile(member.agentLog, 'utf8').catch(() => ''));
        throw godwitError('GODWIT_LAB', {
          what: `the agent of ${host} ended at once; it said: ${said}`,
        });
      }
      await systemClock.sleep(25, inner);
    }
  });
  return started;
}

/** The agent processes of a host: one, or none. */
export async function agentsOf(lab: Lab, host: string): Promise<LabProcess[]> {
  const member = labHost(lab, host);
  const inode = lab.namespaces[member.namespace];
  const all = await processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
  const isAgent = (word: string): boolean => /\/bin\/agent\.[jt]s$/.test(word);
  return all.filter(({ argv }) => argv.some(isAgent) && argv.includes(member.configFile));
}

/** Ends a host's agent; `SIGKILL` for tests of what then goes on without it. */
export async function stopAgent(
  lab: Lab,
  host: string,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  const known = await agentsOf(lab, host);
  for (const { pid } of known) signalProcess(pid, signal);
  await endProcesses(() => agentsOf(lab, host), { graceMs: 10_000, known });
}

/** What a log says that went wrong, as far as one can see: an error, or the last words (a message and its hint). */
function lastWords(log: string): string {
  const lines = log.trim().split('\n');
  const words = lines.findLast((line) => /error/i.test(line)) ?? lines.slice(-2).join(' ');
  return words.slice(0, 400) || 'nothing';
}

async function sharedConfig(signal: AbortSignal | undefined): Promise<Partial<AgentConfigInput>> {
  const [binaries, kernel] = await Promise.all([
    qemuBinaries(signal),
    guestKernel().catch(() => undefined),
  ]);
  const kernels = kernel === undefined ? [] : [path.dirname(kernel.vmlinuz)];
  return {
    drivers: {
      qemu: {
        programs: binaries.map((binary) => binary.path),
        imageDirs: [...kernels, imageDirectory(), '/boot'],
      },
    },
  };
}

/** With the section of the manager that runs the host's guests, where one does. */
function managed(lab: Lab, { name }: LabHost, own: AgentConfigInput): AgentConfigInput {
  if (lab.manager === 'podman')
    return configured(own, { drivers: { criu: { programs: podmanPrograms() } } });
  const manager = managerOfGuests(lab);
  if (manager === undefined) return own;
  return configured(own, { drivers: { [manager]: libvirtSection(lab, name) } });
}

/**
 * A lab is small and soon gone: its guests are not probed for minutes after each move, unless that is asked for. Of two hosts
 * none probes by default: nothing is written for them, and agents of earlier builds, which do not know it, can read the file.
 */
function unprobedLater({ members }: Lab, own: AgentConfigInput): AgentConfigInput {
  const { probe } = own.network ?? {};
  if (probe === 'off' || (probe?.hosts === undefined && members.length <= 2)) return own;
  return { ...own, network: { ...own.network, probe: { laterMs: 0, ...probe } } };
}

function configured(
  own: AgentConfigInput,
  given: Partial<AgentConfigInput> = {},
): AgentConfigInput {
  if (given.drivers === undefined) return { ...own, ...given };
  const sections = Object.entries(given.drivers).map(([driver, section]) => {
    return [driver, Object.assign({}, own.drivers?.[driver], section)] as const;
  });
  return { ...own, ...given, drivers: { ...own.drivers, ...Object.fromEntries(sections) } };
}

function ownConfig(lab: Lab, member: LabHost, caDir: string): AgentConfigInput {
  const others = lab.members.filter(({ name }) => name !== member.name);
  return {
    name: member.name,
    ...addressesOf(member),
    stateDir: member.stateDir,
    storage: [hostStorage(lab, member.name)],
    peers: Object.fromEntries(others.map((other) => [other.name, addressesOf(other)])),
    ...linkRates(lab, others),
    // The first host keeps the CA, so that `godwit invite` can be tried.
    ...(member.name === lab.hosts[0] ? { caDir } : {}),
  };
}

/** The cap of the lab's links is configured, so that `--path auto` can use it. */
function linkRates(lab: Lab, others: readonly LabHost[]): Pick<AgentConfigInput, 'wire'> {
  const rate = lab.linkBytesPerSecond;
  if (rate === undefined) return {};
  return {
    wire: { rates: Object.fromEntries(others.map(({ name }) => [name, Math.round(rate)])) },
  };
}

/** Its guests are routed: what they may have is the lab's own to say. */
function routedNetwork(
  lab: Lab,
  wanted: AgentConfigInput['network'],
): Pick<AgentConfigInput, 'network'> {
  if (kindOf(lab) !== 'routed') return {};
  return { network: { routedPrefixes: [GUEST_NETWORK, ROUTED_GATEWAY], ...wanted } };
}

/** A routed lab has no routing daemon: a hook does what one would do. */
async function writeHooks(lab: Lab, member: LabHost): Promise<Pick<AgentConfigInput, 'hooks'>> {
  const hook = routeHook(lab, member.name);
  if (hook === undefined) return {};
  const directory = path.join(member.dir, 'hooks');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(path.join(directory, 'after-resume'), hook, { mode: 0o700 });
  return { hooks: { directory } };
}

function addressesOf(host: LabHost): { address: string; addresses?: string[] } {
  const [address = '', ...addresses] = [host.address, ...host.furtherAddresses].map(
    (each) => `${each}:${AGENT_PORT}`,
  );
  return addresses.length === 0 ? { address } : { address, addresses };
}

async function answersHealth(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/health', timeout: 2000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}
