import assert from 'node:assert/strict';
import { lifeOf } from '../../src/system/processes/life.ts';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { TestContext } from 'node:test';
import { startAgent, type RunningAgent } from '../../src/agent/agent.ts';
import type { MachineReader } from '../../src/agent/host/inventory.ts';
import type { LoadReader } from '../../src/agent/host/load.ts';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import type { Clock } from '../../src/clock.ts';
import { agentConfig, loadAgentConfig, type AgentConfig } from '../../src/config.ts';
import type { DirectDriver } from '../../src/port/direct.ts';
import type { DiscoveredGuest, GuestHandle } from '../../src/port/inventory.ts';
import { plainLog } from '../../src/log.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import type { Role } from '../../src/protocol/route.ts';
import { client } from '../../src/rpc/client.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';
import { FakeMovers } from './fake-movers.ts';
import { PLAIN } from '../drivers/plain.ts';

export const GIB = 1024 ** 3;

/** A guest as a driver lists it, running. */
export function guest(
  name: string,
  info: Partial<DiscoveredGuest['info']> = {},
  held = true,
): DiscoveredGuest {
  const full = {
    name,
    host: 'a',
    driver: 'fake',
    state: 'running' as const,
    memoryBytes: GIB,
    nics: [],
    devices: [],
    unmovable: [],
    ...info,
  };
  const handle = { driver: 'fake', name, pid: 1, startTicks: 1, monitor: 'none' };
  return held ? { info: full, handle } : { info: full };
}

const processIn = (handle: GuestHandle) =>
  z.object({ pid: z.number(), startTicks: z.number(), monitor: z.string() }).parse(handle);

/** A driver that lists what it is given and can do nothing. */
export function listingDriver(guests: () => DiscoveredGuest[]): DirectDriver {
  const cannot = (): never => {
    throw new Error('a listing driver moves nothing');
  };
  return {
    name: 'fake',
    capabilities: PLAIN,
    hypervisors: () => Promise.resolve([]),
    discover: () => Promise.resolve(guests()),
    life: (handle) => Promise.resolve(lifeOf(processIn(handle))),
    describe: (handle) => {
      const { pid, monitor } = processIn(handle);
      return { what: `process ${pid}`, directory: monitor, pid };
    },
    isSame: (left, right) => {
      const [one, other] = [processIn(left), processIn(right)];
      return one.pid === other.pid && one.startTicks === other.startTicks;
    },
    mayReachUs: () => true,
    openSource: cannot,
    openDestination: cannot,
  };
}

export function machine(availableBytes = 8 * GIB): MachineReader {
  return {
    proc: async (file) => {
      if (file === 'cpuinfo') {
        return 'processor\t: 0\nmodel name\t: A processor\nflags\t\t: fpu sse\n';
      }
      if (file === 'sys/kernel/random/boot_id') return 'boot-1\n';
      return `MemTotal: 16777216 kB\nMemAvailable: ${availableBytes / 1024} kB\n`;
    },
    links: () => Promise.resolve('[]'),
  };
}

export interface TestHost {
  readonly agent: RunningAgent;
  readonly movers: FakeMovers;
  readonly config: AgentConfig;
  readonly api: ReturnType<typeof client<typeof agentContract>>['api'];
  /** The agent ends; its movers go on. Starting it again is `again`. */
  readonly again: () => Promise<TestHost>;
}

export interface HostOptions {
  readonly guests?: () => DiscoveredGuest[];
  readonly peers?: Record<string, { address: string; addresses?: string[] }>;
  readonly site?: string;
  readonly limits?: Partial<AgentConfig['limits']>;
  readonly availableBytes?: number;
  readonly holdsCa?: boolean;
  /** What its driver can do besides listing guests. */
  readonly driver?: Partial<DirectDriver>;
  /** How busy it and its guests are, by what its kernel says. */
  readonly load?: LoadReader;
  readonly clock?: Clock;
  /** Its configuration lies in a file, as that of an agent which is not of a test. */
  readonly inFile?: boolean;
}

/** Hosts whose certificates are of one CA; agents listen on ports of the loopback. */
export async function fleet(t: TestContext) {
  const { caDir, issue: certificate } = await authority(t);
  const root = tempDir(t);
  /** Errors that came out of a route whose contract does not name them. */
  const unnamed: string[] = [];
  t.after(() => assert.deepEqual(unnamed, []));
  const start = async (config: AgentConfig, options: HostOptions, movers: FakeMovers) => {
    const agent = await startAgent({
      config,
      drivers: [{ ...listingDriver(options.guests ?? (() => [])), ...options.driver }],
      movers,
      log: plainLog((line) => unnamed.push(...[line].filter((each) => /does not name/.test(each)))),
      machine: machine(options.availableBytes),
      ...(options.load === undefined ? {} : { load: options.load }),
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      hardware: {
        list: async () => [],
        read: async () => undefined,
        smartctl: async () => undefined,
      },
    });
    const { api, close } = client(agentContract, { unix: agent.socket });
    const stop = async (): Promise<void> => {
      close();
      await agent.close();
    };
    t.after(stop);
    const again = async (): Promise<TestHost> => {
      await stop();
      return start(config, options, movers);
    };
    return { agent, movers, config, api, again };
  };
  return {
    caDir,
    certificate,
    host: async (name: string, options: HostOptions = {}): Promise<TestHost> => {
      const stateDir = path.join(root, name);
      const pki = await issue({ caDir, name, role: 'agent', addresses: ['127.0.0.1'] });
      storeCredentials(path.join(stateDir, 'pki'), pki);
      const settings = {
        name,
        address: '127.0.0.1:0',
        stateDir,
        peers: options.peers ?? {},
        ...(options.site === undefined ? {} : { site: options.site }),
        ...(options.holdsCa === true ? { caDir } : {}),
        limits: {
          migrationsIn: 8,
          migrationsOut: 8,
          memoryReserveBytes: 0,
          ...options.limits,
        },
      };
      const file = path.join(stateDir, 'agent.json');
      if (options.inFile === true) writeFileSync(file, JSON.stringify(settings));
      const config = options.inFile === true ? loadAgentConfig(file) : agentConfig.parse(settings);
      const movers = new FakeMovers();
      t.after(() => movers.closeAll());
      return start(config, options, movers);
    },
    /** Calls an agent as another host or person would. */
    as: async (name: string, role: Role, { agent, config }: TestHost) => {
      const made = client(agentContract, {
        address: agent.address,
        credentials: await certificate(name, role),
        expectedName: config.name,
      });
      t.after(() => made.close());
      return made.api;
    },
  };
}
