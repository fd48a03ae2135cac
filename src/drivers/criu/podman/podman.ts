import { z } from 'zod';
import { hasCode } from '../../../errors.ts';
import type { CommandOptions } from '../command.ts';
import type { Runc } from '../runtimes/runc.ts';
import { factsIn, type PodmanFacts } from './facts.ts';

/** podman by its command line. */

/** A container's lock may be held for a while: podman's own commands wait for it. */
const ASK_MS = 20_000;
const PACK_MS = 60_000;
const REMOVE_MS = 60_000;
/** The status of `podman ... exists` for what is not there. */
const ABSENT = 1;

const ENV = ['env', 'PODMAN_IGNORE_CGROUPSV1_WARNING=1'];
const network = z.looseObject({
  name: z.string(),
  driver: z.string(),
  subnets: z.array(z.looseObject({ subnet: z.string() })).nullish(),
  options: z.record(z.string(), z.string()).nullish(),
});
export type PodmanNetwork = z.infer<typeof network>;

export class Podman {
  readonly #run: Runc['run'];

  constructor(run: Runc['run']) {
    this.#run = run;
  }

  #ask(args: readonly string[], options: Partial<CommandOptions> = {}): Promise<string> {
    return this.#run([...ENV, 'podman', ...args], { deadlineMs: ASK_MS, ...options });
  }

  /** `5.8.6`. GODWIT_HOST_LACKS if there is no podman. */
  async version(signal: AbortSignal): Promise<string> {
    // `env` would hide that the program is missing.
    const text = await this.#run(['podman', '--version'], { signal, deadlineMs: ASK_MS });
    return /version (\S+)/.exec(text)?.[1] ?? 'unknown';
  }

  async inspect(id: string, signal: AbortSignal): Promise<PodmanFacts> {
    return factsIn(await this.#ask(['container', 'inspect', id], { signal }));
  }

  exists(what: 'container' | 'image', name: string, signal: AbortSignal): Promise<boolean> {
    // Its status 1 says that it is absent.
    const script = '"$@"; status=$?; [ "$status" -le 1 ] && echo "$status"';
    const argv = ['sh', '-c', script, 'sh', ...ENV, 'podman', what, 'exists', name];
    return this.#run(argv, { deadlineMs: ASK_MS, signal }).then(
      (text) => Number(text.trim()) !== ABSENT,
    );
  }

  /** Undefined if there is no such network. */
  async network(name: string, signal: AbortSignal): Promise<PodmanNetwork | undefined> {
    try {
      const text = await this.#ask(['network', 'inspect', name], { signal });
      return z.array(network).parse(JSON.parse(text))[0];
    } catch (error) {
      if (hasCode(error, 'GODWIT_HYPERVISOR') && /network not found/.test(String(error))) {
        return undefined;
      }
      throw error;
    }
  }

  async roots(signal: AbortSignal): Promise<{ readonly graph: string; readonly run: string }> {
    const format = '{{.Store.GraphRoot}}\n{{.Store.RunRoot}}';
    const text = await this.#ask(['info', '--format', format], { signal });
    const [graph = '', run = ''] = text.trim().split('\n');
    return { graph, run };
  }

  /** Packs the record of a container that keeps running; `conf` names the stand-in for its runtime. */
  async pack(id: string, conf: string, archive: string): Promise<void> {
    const leave = ['--leave-running', '--tcp-established', '--file-locks'];
    const only = ['--ignore-rootfs', '--ignore-volumes', '--compress', 'none', '--export', archive];
    await this.#with(conf, ['container', 'checkpoint', ...leave, ...only, id], PACK_MS);
  }

  /** Makes the container of its packed record. Resolves once its runtime, which `conf` names, has restored it. */
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
    const argv = [...ENV, `CONTAINERS_CONF_OVERRIDE=${conf}`, 'podman', ...args];
    return this.#run(argv, { ...options, deadlineMs });
  }

  /** Removes a container with its record, whatever state it is in. Repeatable. */
  async remove(id: string): Promise<void> {
    await this.#ask(['rm', '--force', '--time', '0', '--ignore', id], { deadlineMs: REMOVE_MS });
  }
}
