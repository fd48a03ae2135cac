import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { cacheDirectory } from '../../../system/files/cache-directory.ts';
import type { BootProcess } from '../../../system/processes/life.ts';
import { command, DEADLINE_MS, type CommandOptions } from '../command.ts';
import { unmountBelow } from '../files/mounts.ts';
import { GHOST_BYTES } from '../files/ghosts.ts';
import type { CriuOptions } from '../options.ts';

const listed = z.array(
  z.object({
    id: z.string(),
    pid: z.number().int(),
    status: z.string(),
    bundle: z.string(),
    rootfs: z.string(),
  }),
);
export type RuncState = z.infer<typeof listed>[number];

/** In the image directory, because a restore's standard streams are the container's. */
const RUNC_LOG = 'runc.log';

/** An answer is valid for the checks of one move; replacing CRIU takes longer. */
const VERSIONS_MS = 5000;
const BEGIN_MS = 30_000;
const IMAGE_MS = 180_000;
/** Rate of the slowest supported storage. */
const IMAGE_BYTES_PER_MS = 50_000;
const MAX_IMAGE_MS = 24 * 3600 * 1000;
/** Time for the smallest container on a busy machine. */
const HAND_OVER_MS = 40_000;
const HAND_OVER_TIMES = 5;

/** Time limit of a dump or restore of that much memory, ms; an earlier abort would leave the container half done. */
export function imageMs(memoryBytes: number): number {
  return Math.min(IMAGE_MS + Math.ceil(memoryBytes / IMAGE_BYTES_PER_MS), MAX_IMAGE_MS);
}

/** Longest pause of a container, ms: its memory is written, read, sent, written and read again. */
export function handOverMs(memoryBytes: number): number {
  const bytesMs = Math.ceil((HAND_OVER_TIMES * memoryBytes) / IMAGE_BYTES_PER_MS);
  return Math.min(HAND_OVER_MS + bytesMs, MAX_IMAGE_MS);
}

/**
 * CRIU's settings without a runc option, read from the user's directory. The port is taken off its bridge before
 * a dump, so CRIU needs no firewall rules; restored processes stay stopped until they may run. CRIU's default
 * limit of a deleted file is 1 MiB.
 */
const SETTINGS = {
  dump: `network-lock skip\nghost-limit ${GHOST_BYTES}\n`,
  restore: 'network-lock skip\nleave-stopped\n',
};

/**
 * Options for dump and restore. runc turns off what its options do not name, whatever the settings. Without the
 * second, CRIU dumps no container that holds a file lock.
 */
const KEEPS = ['--tcp-established', '--file-locks'];

export interface RestorePlaces {
  readonly images: string;
  readonly bundle: string;
  readonly late: boolean;
  /** Aborts only before the restore has begun. */
  readonly signal?: AbortSignal;
}

export interface ArrivedFile {
  readonly memoryBytes: number;
  readonly images: string;
  readonly file: string;
  readonly signal: AbortSignal;
}

export interface Versions {
  readonly runc: string;
  readonly criu: string;
}

export interface RuntimeTarget {
  readonly program: 'runc' | 'crun';
  readonly root: string;
  readonly idOf: (name: string) => string;
}

export class Runc {
  readonly #host: string;
  readonly #options: CriuOptions;
  readonly #homes: string;
  readonly #target: RuntimeTarget;
  readonly programs: string | undefined;
  #versions: { readonly atMs: number; readonly answer: Promise<Versions> } | undefined;

  constructor(host: string, options: CriuOptions, directory: string, target?: RuntimeTarget) {
    this.#host = host;
    this.#options = options;
    this.#target = target ?? { program: 'runc', root: options.root, idOf: (name) => name };
    this.#homes = path.join(directory, '.criu');
    this.programs = options.programs ?? broughtPrograms();
  }

  /** Runs any other program in the containers' mount namespace. */
  run(argv: readonly string[], options: Partial<CommandOptions> = {}): Promise<string> {
    const { mountsOf } = this.#options;
    return command(argv, { host: this.#host, programs: this.programs, mountsOf, ...options });
  }

  protected runtime(
    args: readonly string[],
    options: Partial<CommandOptions> = {},
  ): Promise<string> {
    const { program, root } = this.#target;
    return this.run([program, '--root', root, ...args], options);
  }

  /** Cached, because several checks ask and each answer starts two programs. */
  async versions(signal: AbortSignal): Promise<Versions> {
    signal.throwIfAborted();
    const nowMs = systemClock.monotonicMs();
    if (this.#versions === undefined || nowMs - this.#versions.atMs > VERSIONS_MS) {
      const asked = { atMs: nowMs, answer: this.#askVersions() };
      this.#versions = asked;
      asked.answer.catch(() => {
        if (this.#versions === asked) this.#versions = undefined;
      });
    }
    const { answer } = this.#versions;
    return withDeadline('the versions of runc and CRIU', DEADLINE_MS, signal, () => answer);
  }

  async #askVersions(): Promise<Versions> {
    const [runc, criu] = await Promise.all([
      this.run(['runc', '--version']),
      this.run(['criu', '--version']),
    ]);
    return {
      runc: /version (\S+)/.exec(runc)?.[1] ?? 'unknown',
      criu: /Version: (\S+)/.exec(criu)?.[1] ?? 'unknown',
    };
  }

  get #states(): string {
    const { mountsOf } = this.#options;
    const { root } = this.#target;
    return mountsOf === undefined ? root : `/proc/${mountsOf}/root${root}`;
  }

  async list(signal: AbortSignal): Promise<RuncState[]> {
    if (!existsSync(this.#states)) return [];
    const text = await this.runtime(['list', '-f', 'json'], { signal });
    return listed.parse(JSON.parse(text) ?? []);
  }

  async state(name: string, signal: AbortSignal): Promise<RuncState | undefined> {
    return (await this.list(signal)).find(({ id }) => id === name);
  }

  /** Dumps a frozen container to `images` and leaves it frozen. */
  async dump(
    name: string,
    memoryBytes: number,
    images: string,
    started: (worker: BootProcess) => Promise<void>,
  ): Promise<void> {
    const home = await this.home('dump');
    const at = ['--image-path', images, '--work-path', images];
    const args = ['checkpoint', '--leave-running', ...KEEPS, ...at, this.#target.idOf(name)];
    await this.logged(images, 'dump.log', () =>
      this.runtime(args, { home, deadlineMs: imageMs(memoryBytes), started }),
    );
  }

  /**
   * Restores the container from `images` in `bundle`; all its processes are stopped. `late`: a pager waits for
   * CRIU.
   */
  async restore(
    name: string,
    memoryBytes: number,
    { images, bundle, late }: RestorePlaces,
    started: (worker: BootProcess) => Promise<void>,
  ): Promise<void> {
    const home = await this.home('restore');
    const at = ['--image-path', images, '--work-path', images, '--bundle', bundle];
    const lazy = late ? ['--lazy-pages'] : [];
    const args = ['restore', '-d', ...KEEPS, ...lazy, ...at, name];
    const deadlineMs = imageMs(memoryBytes);
    const rest = { home, deadlineMs, started, quiet: true, cwd: bundle };
    const log = ['--log', path.join(images, RUNC_LOG)];
    await this.logged(images, 'restore.log', () =>
      this.run(['runc', ...log, '--root', this.#options.root, ...args], rest),
    );
  }

  /** Packs files of the running container into `images`; they are sent ahead of the dump. */
  async beforeFreeze(_name: string, _images: string): Promise<void> {}

  /** A file of an arriving container is complete. `failed` is called if the work that it starts fails. */
  arrived(_name: string, _file: ArrivedFile, _failed: (error: Error) => void): void {}

  async dropArrival(): Promise<void> {}

  /** Packs files of the frozen container into `images`. */
  async whileFrozen(_name: string, _images: string): Promise<void> {}

  /** Called before its end, so that nothing restarts it. */
  async unwatch(_name: string): Promise<void> {}

  async kill(name: string, signal: string): Promise<void> {
    await this.runtime(['kill', name, signal]);
  }

  async start(name: string, bundle: string): Promise<void> {
    await this.#begin('run', name, bundle);
  }

  /** Creates the container from its bundle; its first process waits for `release` before its first instruction. */
  async create(name: string, bundle: string): Promise<void> {
    await this.#begin('create', name, bundle);
  }

  async release(name: string): Promise<void> {
    await this.runtime(['start', name]);
  }

  async #begin(verb: 'run' | 'create', name: string, bundle: string): Promise<void> {
    const log = path.join(bundle, RUNC_LOG);
    const argv = ['runc', '--log', log, '--root', this.#options.root, verb];
    const detached = verb === 'run' ? ['-d'] : [];
    try {
      // The standard streams are the container's, not ours.
      const rest = { quiet: true, cwd: bundle, deadlineMs: BEGIN_MS };
      await this.run([...argv, ...detached, '--bundle', bundle, name], rest);
    } catch (cause) {
      const own = await readFile(log, 'utf8').catch(() => '');
      if (own.trim() === '') throw cause;
      const reason = own.trim().split('\n').slice(-2).join('; ').slice(0, 1000);
      const facts = { hypervisor: 'runc', host: this.#host, command: verb, reason };
      throw godwitError('GODWIT_HYPERVISOR', facts, { cause });
    }
  }

  /**
   * Removes the container in any state, or does nothing without one. runc does not list the directory that a
   * killed restore leaves, with a mounted root file system, and would delete its contents. Rejects if the
   * directory stays, because it blocks the next restore.
   */
  async end(name: string): Promise<void> {
    const id = this.#target.idOf(name);
    const state = path.join(this.#states, id);
    if (!existsSync(state)) return;
    const { mountsOf } = this.#options;
    const { root } = this.#target;
    const within = { mountsOf, run: (argv: readonly string[]) => this.run(argv) };
    await unmountBelow(within, path.join(root, id));
    await this.runtime(['delete', '--force', id], { deadlineMs: 30_000 });
    if (existsSync(state)) throw new Error(`${this.#target.program} left ${path.join(root, id)}`);
  }

  /** Ends the container, and removes what its manager keeps of it. Nothing but runc has this one. */
  async remove(name: string): Promise<void> {
    await this.end(name);
  }

  /** The directory in which CRIU finds its settings. */
  protected async home(kind: keyof typeof SETTINGS): Promise<string> {
    const home = path.join(this.#homes, kind);
    await mkdir(path.join(home, '.criu'), { recursive: true, mode: 0o700 });
    await writeFile(path.join(home, '.criu', 'default.conf'), SETTINGS[kind]);
    return home;
  }

  /** runc reports little; CRIU's last output has the reason. */
  protected async logged(images: string, log: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      const text = await readFile(path.join(images, log), 'utf8').catch(() => '');
      const errors = text
        .split('\n')
        .filter((line) => /Error \(/.test(line) && !/rlimit/.test(line));
      const own = await readFile(path.join(images, RUNC_LOG), 'utf8').catch(() => '');
      if (errors.length === 0 && own.trim() === '') throw cause;
      const words = errors.length > 0 ? errors.slice(0, 3) : own.trim().split('\n').slice(-3);
      const reason = words.join('; ').slice(0, 1000);
      const facts = { hypervisor: 'criu', host: this.#host, command: log.slice(0, -4), reason };
      throw godwitError('GODWIT_HYPERVISOR', facts, { cause });
    }
  }
}

/** Programs that tools/setup.sh installed; undefined if there are none. */
function broughtPrograms(): string | undefined {
  const found = path.join(cacheDirectory(), 'containers/bin');
  return existsSync(path.join(found, 'runc')) ? found : undefined;
}
