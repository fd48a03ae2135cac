/** A host whose guests a pretended manager has: the manager in the test, its agent and movers as processes of their own. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/clock.ts';
import {
  HONEST,
  type ManagerOptions,
  type Misbehaviour,
} from '../../../sim/fake/manager-options.ts';
import { FakeManager } from '../../../sim/fake/managed.ts';
import { Random } from '../../../sim/random.ts';
import { serveManager, type ManagerServer } from '../../mover/managed/manager-socket.ts';
import { AgentHost } from './agent-host.ts';

/** The product's own program has no driver for a pretended manager. */
const AGENT = fileURLToPath(new URL('./managed-agent.ts', import.meta.url));

export type Temper = { -readonly [Name in keyof Misbehaviour]: Misbehaviour[Name] };

export class ManagedHost extends AgentHost {
  readonly manager: FakeManager;
  /** How the manager behaves from now on, and how long its tasks take. */
  readonly temper: Temper = { ...HONEST };
  readonly options: { -readonly [Name in keyof ManagerOptions]: ManagerOptions[Name] };
  #served: ManagerServer | undefined;

  private constructor(dir: string, options: ManagedHost['options'], manager: FakeManager) {
    super('a', dir, { program: AGENT });
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
    const host = new ManagedHost(dir, options, new FakeManager(options));
    host.options.behaves = host.temper;
    await host.configure({ qemu: { programs: [] }, fake: { manager: host.#manager } });
    await host.managerUp();
    await host.agentUp();
    return host;
  }

  get #manager(): string {
    return path.join(this.dir, 'manager.sock');
  }

  async managerUp(): Promise<void> {
    this.#served = await serveManager(this.manager, this.#manager);
  }

  async managerDown(): Promise<void> {
    await this.#served?.close();
    this.#served = undefined;
  }

  /** Puts a guest at its source, as if it had just been started there. */
  guest(name: string): void {
    this.manager.guests.set(name, 'a');
  }

  override async close(): Promise<void> {
    await this.managerDown();
    await super.close();
  }
}
