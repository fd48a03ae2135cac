/** A host whose guests a pretended manager has: the manager in the test, its agent and movers as processes of their own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { initCa, issue, storeCredentials } from '../../../src/agent/pki/authority.ts';
import { systemClock } from '../../../src/clock.ts';
import { HONEST } from '../../../src/drivers/fake/managed.ts';
import type {
  FakeManager,
  ManagerOptions,
  Misbehaviour,
} from '../../../src/drivers/fake/managed.ts';
import { fakeManager } from '../../../src/drivers/registry.ts';
import { isAlive } from '../../../src/host/process.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { moverState } from '../../../src/protocol/mover/request.ts';
import type { MoverState } from '../../../src/protocol/mover/request.ts';
import type { Phase, Progress, Report } from '../../../src/protocol/public/migration.ts';
import { isEnd, report } from '../../../src/protocol/public/migration.ts';
import { client } from '../../../src/rpc/client.ts';
import { Random } from '../../../sim/random.ts';
import { serveManager } from '../../mover/managed/manager-socket.ts';
import type { Served } from '../../mover/managed/manager-socket.ts';
import type { Ended } from './cli.ts';

const AGENT = fileURLToPath(new URL('../../../src/bin/agent.ts', import.meta.url));
const GODWIT = fileURLToPath(new URL('../../../godwit', import.meta.url));
const WAIT_MS = 60_000;
const AGAIN_MS = 50;

export type Temper = { -readonly [Name in keyof Misbehaviour]: Misbehaviour[Name] };

export class ManagedHost {
  readonly dir: string;
  readonly manager: FakeManager;
  /** How the manager behaves from now on, and how long its tasks take. */
  readonly temper: Temper = { ...HONEST };
  readonly options: { -readonly [Name in keyof ManagerOptions]: ManagerOptions[Name] };
  #served: Served | undefined;
  #agent: ChildProcess | undefined;

  private constructor(dir: string, options: ManagedHost['options'], manager: FakeManager) {
    this.dir = dir;
    this.options = options;
    this.manager = manager;
  }

  static async open(): Promise<ManagedHost> {
    const dir = mkdtempSync(path.join(tmpdir(), 'godwit-m-'));
    const random = new Random(1);
    const options = {
      clock: systemClock,
      random: () => random.next(),
      hosts: ['a', 'b'],
      taskMs: 500,
    };
    const host = new ManagedHost(dir, options, await fakeManager(options));
    host.options.behaves = host.temper;
    const caDir = path.join(dir, 'ca');
    await initCa(caDir);
    const pki = await issue({ caDir, name: 'a', role: 'agent', addresses: ['127.0.0.1'] });
    storeCredentials(path.join(dir, 'state/pki'), pki);
    const config = {
      name: 'a',
      address: '127.0.0.1:0',
      stateDir: path.join(dir, 'state'),
      drivers: { qemu: { programs: [] }, fake: { manager: path.join(dir, 'manager.sock') } },
    };
    writeFileSync(host.#config, JSON.stringify(config));
    await host.managerUp();
    await host.agentUp();
    return host;
  }

  get #config(): string {
    return path.join(this.dir, 'a.json');
  }

  get socket(): string {
    return path.join(this.dir, 'state/agent.sock');
  }

  async managerUp(): Promise<void> {
    this.#served = await serveManager(this.manager, path.join(this.dir, 'manager.sock'));
  }

  async managerDown(): Promise<void> {
    await this.#served?.close();
    this.#served = undefined;
  }

  async agentUp(): Promise<void> {
    const child = spawn(process.execPath, [AGENT, '--config', this.#config], {
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

  /** Puts a guest at its source, as if it had just been started there. */
  guest(name: string): void {
    this.manager.guests.set(name, 'a');
  }

  async godwit(...args: readonly string[]): Promise<Ended> {
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

  /** Begins a move and resolves to its id. */
  async begin(guest: string, ...words: readonly string[]): Promise<string> {
    const began = await this.godwit('migrate', guest, '--to', 'b', '--detach', '--json', ...words);
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
    const end = performance.now() + WAIT_MS;
    while (!(await holds())) {
      if (performance.now() > end) throw new Error(`it did not come to pass in ${WAIT_MS} ms`);
      await systemClock.sleep(AGAIN_MS);
    }
  }

  async close(): Promise<void> {
    await this.agentDown();
    for (const id of readdirSync(path.join(this.dir, 'state/migrations'))) this.killMover(id);
    await this.managerDown();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
