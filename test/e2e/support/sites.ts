/** Two sites of a lab and a relay: each host behind a NAT of its own, and nothing between them but a relay's address. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import type { AgentConfigInput } from '../../../src/config.ts';
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import { labEnvironment } from '../../../lab/environment.ts';
import { pathBridge } from '../../../lab/network-plan.ts';
import { AGENT_PORT, hostAddress, migrationLink } from '../../../lab/plan.ts';
import { signalProcess, startDetached } from '../../../lab/processes.ts';
import type { Lab } from '../../../lab/state.ts';
import {
  isAlive,
  MS_PER_TICK,
  readStat,
  type ProcessIdentity,
} from '../../../src/system/processes/process.ts';
import { until } from '../../until.ts';

const GODWIT = fileURLToPath(new URL('../../../godwit', import.meta.url));
const RELAY = { name: 'relay1', address: '203.0.113.9', port: 7500 } as const;

/** What a host of two knows: the other one through the relay alone. Any further host knows nobody. */
export function siteConfig(host: string): Partial<AgentConfigInput> {
  if (host !== 'a' && host !== 'b') return { peers: {} };
  const peer = host === 'a' ? 'b' : 'a';
  return {
    relays: [{ name: RELAY.name, address: `${RELAY.address}:${RELAY.port}` }],
    peers: { [peer]: { address: `${peer}.relay:${AGENT_PORT}` } },
  };
}

/** What a site's NAT has outside: nothing there is routed to the host inside. */
const outside = (host: string): string => hostAddress(host).replace(/^.*\./, '203.0.113.');

/** It calls out under the NAT's address, and takes what answers it; nobody's call comes in, the other host's neither. */
const natRules = (host: string): string => `
table ip site {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "${migrationLink(0)}" snat to ${outside(host)}
  }
  chain in {
    type filter hook input priority filter;
    iifname "${migrationLink(0)}" ct state established,related accept
    iifname "${migrationLink(0)}" counter drop
  }
}
`;

/** Where the relay runs: the switch, or a host of its own, so that the lab's delay lies on both of its legs. */
export type RelayMember = 'switch' | 'c';

/** Puts hosts a and b behind a NAT each; the switch becomes the public network, where the relay's address is. */
export async function partSites(lab: Lab, member: RelayMember = 'switch'): Promise<void> {
  const ip = (at: string, line: string): Promise<string> =>
    runCommand(inHost(lab, at, ['ip', ...line.split(' ')]));
  const device = member === 'switch' ? pathBridge(0) : migrationLink(0);
  await ip(member, `addr add ${RELAY.address}/24 dev ${device}`);
  for (const host of ['a', 'b']) {
    const link = migrationLink(0);
    await ip(host, `addr add ${outside(host)}/32 dev ${link}`);
    await ip(host, `route add ${RELAY.address}/32 dev ${link} src ${hostAddress(host)}`);
    await runCommand(inHost(lab, host, ['nft', '-f', '-']), { input: natRules(host) });
  }
}

export interface ProcessCost {
  /** The most memory that it had resident, Node's own included. */
  readonly residentBytes: number;
  /** Of all its threads. */
  readonly processorMs: number;
}

/** What a process has cost until now. */
export async function costOf(pid: number): Promise<ProcessCost> {
  const [status, stat] = await Promise.all(
    ['status', 'stat'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
  );
  const kib = Number(/VmHWM:\s+(\d+) kB/.exec(status ?? '')?.[1]);
  const ticks = readStat(stat ?? '')?.usedTicks ?? 0;
  return { residentBytes: kib * 1024, processorMs: ticks * MS_PER_TICK };
}

/** `godwit serve relay` at the public address, as a process that can be killed. */
export class SiteRelay {
  readonly #lab: Lab;
  readonly #member: RelayMember;
  readonly #configFile: string;
  readonly #logFile: string;
  #process: ProcessIdentity | undefined;

  private constructor(lab: Lab, member: RelayMember) {
    this.#lab = lab;
    this.#member = member;
    this.#configFile = path.join(lab.dir, 'relay.json');
    this.#logFile = path.join(lab.dir, 'relay.log');
  }

  static async start(lab: Lab, member: RelayMember = 'switch'): Promise<SiteRelay> {
    const relay = new SiteRelay(lab, member);
    const pkiDir = path.join(lab.dir, RELAY.name);
    const caDir = path.join(lab.dir, 'ca');
    const { name, address, port } = RELAY;
    storeCredentials(pkiDir, await issue({ caDir, name, role: 'relay', addresses: [] }), 'relay');
    const config = { name, address: `${address}:${port}`, pkiDir, hosts: lab.hosts };
    await writeFile(relay.#configFile, JSON.stringify(config));
    await relay.up();
    return relay;
  }

  /** Resolves once it serves. */
  async up(): Promise<void> {
    const served = await this.#served();
    const argv = inHost(this.#lab, this.#member, [
      GODWIT,
      'serve',
      'relay',
      '--config',
      this.#configFile,
    ]);
    const started = await startDetached(argv, {
      logFile: this.#logFile,
      env: labEnvironment(this.#lab),
    });
    this.#process = started;
    await until('the relay to serve', 30_000, async () => {
      if ((await this.#served()) > served) return true;
      if (!isAlive(started)) throw new Error(await readFile(this.#logFile, 'utf8'));
      return undefined;
    });
  }

  /** As the kernel ends it when memory runs out. */
  async kill(): Promise<void> {
    const killed = this.#running();
    signalProcess(killed.pid, 'SIGKILL');
    await until('the relay to be gone', 5000, async () => (isAlive(killed) ? undefined : true));
  }

  /** What it has cost until now. */
  cost(): Promise<ProcessCost> {
    return costOf(this.#running().pid);
  }

  #running(): ProcessIdentity {
    if (this.#process === undefined) throw new Error('the relay was not started');
    return this.#process;
  }

  /** How often it has said that it serves. */
  async #served(): Promise<number> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '');
    return log.split('relay serves').length - 1;
  }
}
