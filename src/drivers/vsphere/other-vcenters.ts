import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { VsphereClient } from './client.ts';
import { otherSection, type Vcenter, type VsphereOptions } from './options.ts';
import { HostsByName, type HostPlace, type GuestDestination } from './places.ts';
import { refIn, text, type Ref } from './soap.ts';

/** Another vCenter with a separate session. */
export interface OtherVcenter {
  readonly name: string;
  readonly options: Vcenter;
  readonly client: VsphereClient;
  readonly hosts: HostsByName;
}

export interface OtherPlace extends OtherVcenter {
  readonly host: HostPlace;
}

interface UnreachableVcenter {
  readonly name: string;
  readonly error: unknown;
}

/** vCenters to which guests may move. Each is connected on first use. */
export class OtherVcenters {
  readonly #options: VsphereOptions['others'];
  readonly #callMs: number;
  readonly #open = new Map<string, Promise<OtherVcenter>>();

  constructor(options: VsphereOptions['others'], callMs: number) {
    this.#options = options;
    this.#callMs = callMs;
  }

  /**
   * Host of that name. Throws `unknown` if no vCenter has it, and GODWIT_MANAGER_REFUSES if two have it or one
   * does not answer or is not trusted.
   */
  async named(
    wanted: GuestDestination,
    unknown: unknown,
    signal: AbortSignal,
  ): Promise<OtherPlace> {
    const asked = await this.#each(async (each) => {
      try {
        return { ...each, host: await each.hosts.named(wanted, signal) };
      } catch (thrown) {
        if (hasCode(thrown, 'GODWIT_HOST_UNKNOWN')) return undefined;
        throw thrown;
      }
    }, signal);
    const [found, second] = asked.flatMap((each) => ('value' in each ? (each.value ?? []) : []));
    if (found === undefined) {
      const failed = asked.find((each) => 'error' in each);
      throw failed === undefined ? unknown : unasked(wanted, failed);
    }
    if (second === undefined) return found;
    const reason = `${found.name} and ${second.name} both have a host of that name`;
    const hint = `Name them apart in \`${otherSection(second.name)}.hosts\`.`;
    throw refused(wanted, reason, { hint });
  }

  /**
   * vCenter with the guest, by instance UUID; undefined if none has it. Rejects if none has it and one does not
   * answer.
   */
  async holding(
    instance: string,
    signal: AbortSignal,
  ): Promise<(OtherVcenter & { readonly vm: Ref }) | undefined> {
    const asked = await this.#each(async (each) => {
      const parts = [text('uuid', instance), text('vmSearch', true), text('instanceUuid', true)];
      const { searchIndex } = each.client.content;
      const vm = refIn((await each.client.call('FindByUuid', searchIndex, parts, signal))[0]);
      return vm === undefined ? undefined : { ...each, vm };
    }, signal);
    const [found] = asked.flatMap((each) => ('value' in each ? (each.value ?? []) : []));
    const failed = asked.find((each) => 'error' in each);
    if (found === undefined && failed !== undefined) throw failed.error;
    return found;
  }

  #each<T>(
    ask: (other: OtherVcenter) => Promise<T>,
    signal: AbortSignal,
  ): Promise<({ readonly value: T } | UnreachableVcenter)[]> {
    const all = Object.keys(this.#options).map(async (name) => {
      try {
        return { value: await ask(await this.#reach(name, signal)) };
      } catch (error) {
        signal.throwIfAborted();
        return { name, error };
      }
    });
    return Promise.all(all);
  }

  #reach(name: string, signal: AbortSignal): Promise<OtherVcenter> {
    const open = this.#open.get(name) ?? this.#opened(name, signal);
    this.#open.set(name, open);
    open.catch(() => this.#open.delete(name));
    return open;
  }

  async #opened(name: string, signal: AbortSignal): Promise<OtherVcenter> {
    const options = this.#options[name];
    if (options === undefined) throw new Error(`${name} is not configured`);
    const section = otherSection(name);
    const client = await VsphereClient.open({ ...options, section }, signal, this.#callMs);
    return { name, options, client, hosts: new HostsByName(client, options) };
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(
      open.map((each) => each.then(({ client }) => client.close()).catch(() => undefined)),
    );
  }
}

function unasked(
  wanted: GuestDestination,
  { name, error: cause }: UnreachableVcenter,
): GodwitError {
  const { message, hint } = toGodwitError(cause);
  const reason = `${name} could not be asked for that host: ${message}`;
  return refused(wanted, reason, { cause, ...defined({ hint }) });
}

function refused(
  { guest, to }: GuestDestination,
  reason: string,
  how: { readonly hint?: string; readonly cause?: unknown },
): GodwitError {
  const facts = { manager: 'vSphere', guest, host: to, reason: reason.slice(0, 1024) };
  return godwitError('GODWIT_MANAGER_REFUSES', facts, how);
}
