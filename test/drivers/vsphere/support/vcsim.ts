/** A simulated vCenter for tests: brought and built by setup, started with an inventory that outlives it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { promisify } from 'node:util';
import { z } from 'zod';
import { vsphereOptions, type VsphereOptions } from '../../../../src/drivers/vsphere/options.ts';
import { simulatorProgram } from '../../../../lab/vsphere/simulator.ts';

const run = promisify(execFile);
const REPO = path.resolve(import.meta.dirname, '../../../..');
/** Setup fetches and builds once. */
const BUILD_MS = 600_000;

const begun = z.object({ url: z.string(), fingerprint: z.string() });
const placed = z.record(
  z.string(),
  z.object({
    host: z.string(),
    tasks: z.number(),
    moving: z.boolean(),
    datastore: z.string(),
    ref: z.string(),
    priority: z.string(),
  }),
);
export type GuestPlaces = z.infer<typeof placed>;

export interface FaultSpec {
  readonly type: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly text?: string;
}

/** What its next calls of a method (any, where none is named) meet. */
export type CallFault = '503' | 'cut' | 'slow' | 'garbage' | 'silent' | 'unanswered';

/** The program, as setup has built it. */
export async function vcsimProgram(): Promise<string> {
  await run('bash', ['tools/setup.sh', '--only', 'vcsim'], { cwd: REPO, timeout: BUILD_MS });
  const program = simulatorProgram();
  if (program === undefined) throw new Error('its source is not there');
  return program;
}

export interface VcsimSize {
  readonly clusters?: number;
  readonly hosts?: number;
  readonly guests?: number;
  readonly version?: string;
  readonly password?: string;
  /** Its hosts and guests have it before their names; two vCenters have each their own. */
  readonly name?: string;
}

export class Vcsim {
  /** What a test keeps there goes with the simulator, also where the test is killed. */
  readonly dir: string;
  readonly #program: string;
  readonly #size: VcsimSize;
  #process: ChildProcess | undefined;
  #lines: Interface | undefined;
  #begun: z.infer<typeof begun> | undefined;
  #asking: Promise<unknown> = Promise.resolve();

  private constructor(program: string, size: VcsimSize) {
    this.#program = program;
    this.#size = size;
    this.dir = mkdtempSync(path.join(tmpdir(), 'godwit-vc-'));
    const { password = 'secret' } = size;
    writeFileSync(this.passwordFile, `${password}\n`, { mode: 0o600 });
  }

  static async open(size: VcsimSize = {}): Promise<Vcsim> {
    const vcsim = new Vcsim(await vcsimProgram(), size);
    await vcsim.up();
    return vcsim;
  }

  get passwordFile(): string {
    return path.join(this.dir, 'password');
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** As an agent that drives it is configured. */
  get section(): { url: string; user: string; passwordFile: string; fingerprint: string } {
    if (this.#begun === undefined) throw new Error('it does not run');
    const { url, fingerprint } = this.#begun;
    return { url, user: 'godwit', passwordFile: this.passwordFile, fingerprint };
  }

  get options(): VsphereOptions {
    return vsphereOptions.parse(this.section);
  }

  /** At the address that it had before. */
  async up(): Promise<void> {
    const { clusters = 1, hosts = 3, guests = 4, version = '6.5.0' } = this.#size;
    // What the simulator writes for its datastores goes with the directory.
    const scratch = path.join(this.dir, 'tmp');
    mkdirSync(scratch, { recursive: true });
    const before = this.#begun === undefined ? [] : ['--listen', new URL(this.#begun.url).host];
    const state = path.join(this.dir, 'state.json');
    const args = ['--state', state, '--remove', this.dir, '--version', version, ...before];
    const sizes = { clusters, hosts, guests };
    const { password, name } = this.#size;
    if (password !== undefined) args.push('--password', password);
    if (name !== undefined) args.push('--name', name);
    for (const [name, count] of Object.entries(sizes)) args.push(`--${name}`, String(count));
    const started = spawn(this.#program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: scratch },
    });
    this.#process = started;
    this.#lines = createInterface({ input: started.stdout });
    this.#begun = begun.parse(await this.#line());
  }

  /** As a crash would; what was promised lies on its disk. */
  async down(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  }

  /** One command, and its answer. */
  ask(command: Readonly<Record<string, unknown>>): Promise<unknown> {
    const mine = this.#asking
      .catch(() => undefined)
      .then(async () => {
        this.#process?.stdin?.write(`${JSON.stringify(command)}\n`);
        const said = await this.#line();
        const error = z.object({ error: z.string() }).safeParse(said);
        if (error.success) throw new Error(error.data.error);
        return said;
      });
    this.#asking = mine;
    return mine;
  }

  async guests(): Promise<GuestPlaces> {
    return placed.parse(await this.ask({ do: 'guests' }));
  }

  /** Methods of all calls since this was asked last. */
  async calls(): Promise<string[]> {
    return z.object({ calls: z.array(z.string()) }).parse(await this.ask({ do: 'calls' })).calls;
  }

  async fault(kind: CallFault, given: { method?: string; times?: number; ms?: number } = {}) {
    await this.ask({ do: 'fault', kind, ...given });
  }

  /** How long tasks take, and how they end. */
  async tasks(ms: number, fault?: FaultSpec, percent = 50): Promise<void> {
    await this.ask({ do: 'task', ms, percent, ...(fault === undefined ? {} : { fault }) });
  }

  async #line(): Promise<unknown> {
    if (this.#lines === undefined) throw new Error('it does not run');
    const [line] = (await once(this.#lines, 'line')) as [string];
    return JSON.parse(line);
  }

  async close(): Promise<void> {
    await this.down();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
