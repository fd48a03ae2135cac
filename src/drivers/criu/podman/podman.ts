import { z } from 'zod';
import type { CommandOptions } from '../command.ts';
import type { Runc } from '../runtimes/runc.ts';
import { factsIn, type PodmanFacts } from './facts.ts';

/** Another podman command may hold a container's lock for a while. */
const ASK_MS = 20_000;
const PACK_MS = 60_000;
const REMOVE_MS = 60_000;

const network = z.looseObject({
  name: z.string(),
  driver: z.string(),
  subnets: z.array(z.looseObject({ subnet: z.string() })).nullish(),
  options: z.record(z.string(), z.string()).nullish(),
});
export type PodmanNetwork = z.infer<typeof network>;

export interface PodmanInfo {
  readonly version: string;
  /** podman's directories for containers and for their state until the next boot. */
  readonly graph: string;
  readonly run: string;
}

export class Podman {
  readonly #run: Runc['run'];

  constructor(run: Runc['run']) {
    this.#run = run;
  }

  #ask(args: readonly string[], signal: AbortSignal): Promise<string> {
    return this.#run(['podman', ...args], { deadlineMs: ASK_MS, signal });
  }

  /** Throws GODWIT_HOST_LACKS if there is no podman. */
  async info(signal: AbortSignal): Promise<PodmanInfo> {
    const format = '{{.Version.Version}}\n{{.Store.GraphRoot}}\n{{.Store.RunRoot}}';
    const text = await this.#ask(['info', '--format', format], signal);
    const [version = '', graph = '', run = ''] = text.trim().split('\n');
    return { version, graph, run };
  }

  async inspect(id: string, signal: AbortSignal): Promise<PodmanFacts> {
    return factsIn(await this.#ask(['container', 'inspect', id], signal));
  }

  async containers(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const format = '{{.ID}} {{.Names}}';
    const text = await this.#ask(['ps', '--all', '--no-trunc', '--format', format], signal);
    return new Set(text.split(/[\s,]+/).filter((each) => each !== ''));
  }

  async images(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const text = await this.#ask(['images', '--all', '--no-trunc', '--quiet'], signal);
    return new Set(text.split('\n').map((line) => line.trim().replace(/^sha256:/, '')));
  }

  async networks(signal: AbortSignal): Promise<PodmanNetwork[]> {
    const text = await this.#ask(['network', 'ls', '--format', 'json'], signal);
    return z.array(network).parse(JSON.parse(text));
  }

  /** Packs the record of a running container; `conf` names the stand-in as its runtime. */
  async pack(id: string, conf: string, archive: string): Promise<void> {
    const leave = ['--leave-running', '--tcp-established', '--file-locks'];
    const only = ['--ignore-rootfs', '--ignore-volumes', '--compress', 'none', '--export', archive];
    await this.#with(conf, ['container', 'checkpoint', ...leave, ...only, id], PACK_MS);
  }

  /** Creates the container from its packed record. Resolves once the runtime in `conf` has restored it. */
  async restore(
    archive: string,
    conf: string,
    options: Pick<CommandOptions, 'started'> & { readonly deadlineMs: number },
  ): Promise<void> {
    const keep = ['--tcp-established', '--file-locks', '--ignore-rootfs', '--ignore-volumes'];
    const args = ['container', 'restore', ...keep, '--import', archive];
    await this.#with(conf, args, options.deadlineMs, options);
  }

  #with(
    conf: string,
    args: readonly string[],
    deadlineMs: number,
    options: Partial<CommandOptions> = {},
  ): Promise<string> {
    const argv = ['env', `CONTAINERS_CONF_OVERRIDE=${conf}`, 'podman', ...args];
    return this.#run(argv, { ...options, deadlineMs });
  }

  /**
   * Frees the network and the mounts of an ended container and disables its restart policy. The record and the files stay.
   * The policy goes first: the cleanup would restart the container by it, as `podman-restart` would at each boot. podman does
   * nothing if its runtime no longer lists the container. Can be repeated.
   */
  async retire(id: string): Promise<void> {
    await this.#run(['podman', 'update', '--restart=no', id], { deadlineMs: REMOVE_MS });
    await this.#run(['podman', 'container', 'cleanup', id], { deadlineMs: REMOVE_MS });
  }

  /** Removes a container and its record in any state. Can be repeated. */
  async remove(id: string): Promise<void> {
    const args = ['rm', '--force', '--time', '0', '--ignore', id];
    await this.#run(['podman', ...args], { deadlineMs: REMOVE_MS });
  }
}
