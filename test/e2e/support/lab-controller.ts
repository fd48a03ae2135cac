import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { inHost } from '../../../lab/entry.ts';
import { labHost } from '../../../lab/state.ts';
import { controllerContract } from '../../../src/protocol/controller/contract.ts';
import { client, type Client } from '../../../src/rpc/client.ts';
import { until } from '../../until.ts';
import { PROGRAM, runToEnd, type CommandResult } from './cli.ts';
import type { World } from './world.ts';

const CONTROLLER = path.resolve(import.meta.dirname, '../../../src/bin/controller.ts');

/** A controller of a lab, as a process of its own in the namespace of a host: it can be killed. */
export class LabController {
  readonly #world: Pick<World, 'lab'>;
  readonly #dir = mkdtempSync(path.join(tmpdir(), 'godwit-controller-'));
  #process: ChildProcess | undefined;
  #client: Client<typeof controllerContract> | undefined;

  constructor(world: Pick<World, 'lab'>) {
    this.#world = world;
  }

  /** All that it keeps; gone once it is closed. */
  get directory(): string {
    return this.#dir;
  }

  get socket(): string {
    return path.join(this.#dir, 'controller.sock');
  }

  get api() {
    this.#client ??= client(controllerContract, { unix: this.socket, peer: 'the controller' });
    return this.#client.api;
  }

  /** `more`: of its configuration. */
  async prepare(more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const { lab } = this.#world;
    const caDir = path.join(lab.dir, 'ca');
    const issued = await issue({ caDir, name: 'control', role: 'controller', addresses: [] });
    storeCredentials(path.join(this.#dir, 'pki'), issued, 'controller');
    const hosts = Object.fromEntries(
      lab.hosts.map((name) => [name, { address: `${labHost(lab, name).address}:7443` }]),
    );
    const config = { name: 'control', address: '127.0.0.1:0', stateDir: this.#dir, hosts, ...more };
    writeFileSync(path.join(this.#dir, 'controller.json'), JSON.stringify(config));
  }

  async start(): Promise<void> {
    const config = path.join(this.#dir, 'controller.json');
    const argv = [process.execPath, CONTROLLER, '--config', config];
    const [program = '', ...args] = inHost(this.#world.lab, 'c', argv);
    this.#process = spawn(program, args, { stdio: 'ignore' });
    await until('the controller to follow every host', 60_000, async () => {
      if (!existsSync(this.socket)) return undefined;
      const { hosts } = await this.api.hosts().catch(() => ({ hosts: [] }));
      const up = hosts.filter(({ state }) => state === 'up');
      return up.length === this.#world.lab.hosts.length ? true : undefined;
    });
  }

  async kill(): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, 'exit');
    running.kill('SIGKILL');
    await gone;
    this.#client?.close();
    this.#client = undefined;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  godwit(...words: readonly string[]): Promise<CommandResult> {
    return runToEnd([PROGRAM, ...words], { GODWIT_CONTROLLER: this.socket, NO_COLOR: '1' });
  }
}
