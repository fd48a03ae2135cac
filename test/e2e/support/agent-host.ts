/** A host with an agent of its own, without a lab: agent and movers are processes, and each can be killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { initCa, issue, storeCredentials } from '../../../src/pki/authority.ts';
import { isAlive } from '../../../src/system/processes/process.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { moverState, type MoverState } from '../../../src/protocol/mover/request.ts';
import {
  isEnd,
  report,
  type Phase,
  type Progress,
  type Report,
} from '../../../src/protocol/public/migration.ts';
import { client } from '../../../src/rpc/client.ts';
import { until } from '../../until.ts';
import type { CommandResult } from './cli.ts';

const AGENT = fileURLToPath(new URL('../../../src/bin/agent.ts', import.meta.url));
const GODWIT = fileURLToPath(new URL('../../../godwit', import.meta.url));
const WAIT_MS = 60_000;

export class AgentHost {
  readonly name: string;
  readonly dir: string;
  readonly #program: string;
  /** What its agent is started by: `nsenter` with its words, or nothing. */
  readonly #within: readonly string[];
  #agent: ChildProcess | undefined;

  protected constructor(
    name: string,
    dir: string,
    { program = AGENT, within = [] }: { program?: string; within?: readonly string[] } = {},
  ) {
    this.name = name;
    this.dir = dir;
    this.#program = program;
    this.#within = within;
  }

  /** An agent of that name whose configuration has these sections of `drivers`; `within`: the words of a program that starts it. */
  static async start(
    name: string,
    drivers: object,
    { within = [], network = {} }: { within?: readonly string[]; network?: object } = {},
  ): Promise<AgentHost> {
    const host = new AgentHost(name, mkdtempSync(path.join(tmpdir(), 'godwit-m-')), { within });
    await host.configure(drivers, network);
    await host.agentUp();
    return host;
  }

  protected async configure(drivers: object, network: object = {}): Promise<void> {
    const { name } = this;
    const caDir = path.join(this.dir, 'ca');
    await initCa(caDir);
    const pki = await issue({ caDir, name, role: 'agent', addresses: ['127.0.0.1'] });
    storeCredentials(path.join(this.dir, 'state/pki'), pki);
    const stateDir = path.join(this.dir, 'state');
    const config = { name, address: '127.0.0.1:0', stateDir, drivers, network };
    writeFileSync(this.#config, JSON.stringify(config));
  }

  get #config(): string {
    return path.join(this.dir, 'agent.json');
  }

  get socket(): string {
    return path.join(this.dir, 'state/agent.sock');
  }

  async agentUp(): Promise<void> {
    const words = [...this.#within, process.execPath, this.#program, '--config', this.#config];
    const [command = '', ...args] = words;
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#agent = child;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    await this.until(async () => {
      if (child.exitCode !== null) throw new Error(`the agent ended: ${said}`);
      return (await this.call((api) => api.health()).catch(() => undefined)) !== undefined;
    });
  }

  async agentDown(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
    const gone = once(agent, 'exit');
    agent.kill(signal);
    await gone;
  }

  async godwit(...args: readonly string[]): Promise<CommandResult> {
    const child = spawn(GODWIT, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, GODWIT_AGENT: this.socket, NO_COLOR: '1' },
      timeout: WAIT_MS,
    });
    const said = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { exit: code ?? -1, ...said };
  }

  async call<T>(
    work: (api: ReturnType<typeof client<typeof agentContract>>['api']) => Promise<T>,
  ): Promise<T> {
    const { api, close } = client(agentContract, { unix: this.socket });
    try {
      return await work(api);
    } finally {
      close();
    }
  }

  /** Begins a move to the other of hosts a and b, and resolves to its id. */
  async begin(guest: string, ...words: readonly string[]): Promise<string> {
    const to = this.name === 'b' ? 'a' : 'b';
    const began = await this.godwit('migrate', guest, '--to', to, '--detach', '--json', ...words);
    if (began.exit !== 0) throw new Error(began.err);
    return (JSON.parse(began.out) as { id: string }).id;
  }

  progress(id: string): Promise<Progress> {
    return this.call((api) => api.migration({ params: { id } }));
  }

  async reportOf(id: string): Promise<Report> {
    return report.parse(await this.call((api) => api.report({ params: { id } })));
  }

  /** Its report once it has ended. */
  async ended(id: string): Promise<Report> {
    await this.until(async () => isEnd((await this.progress(id)).phase));
    return this.reportOf(id);
  }

  async inPhase(id: string, phase: Phase): Promise<void> {
    await this.until(async () => (await this.progress(id)).phase === phase);
  }

  migrationDir(id: string): string {
    return path.join(this.dir, 'state/migrations', id);
  }

  /** Kills the mover of a migration; false where there is none. */
  killMover(id: string): boolean {
    const mover = this.#mover(id);
    if (mover === undefined || !isAlive(mover)) return false;
    process.kill(mover.pid, 'SIGKILL');
    return true;
  }

  #mover(id: string): MoverState | undefined {
    try {
      const text = readFileSync(path.join(this.migrationDir(id), 'mover.json'), 'utf8');
      return moverState.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  async until(holds: () => Promise<boolean>): Promise<void> {
    await until(String(holds), WAIT_MS, async () => ((await holds()) ? true : undefined));
  }

  async close(): Promise<void> {
    await this.agentDown();
    for (const id of readdirSync(path.join(this.dir, 'state/migrations'))) this.killMover(id);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
