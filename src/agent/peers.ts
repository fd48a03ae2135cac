import type { X509Certificate } from 'node:crypto';
import { godwitError, hasCode, toGodwitError } from '../errors.ts';
import type { Fleet } from '../host/fleet.ts';
import { agentContract } from '../protocol/contract.ts';
import { defined } from '../protocol/defined.ts';
import type { SignedList } from '../protocol/peer/fleet.ts';
import type { preflightRoutes } from '../protocol/peer/preflight.ts';
import type { StandbyCall } from '../protocol/peer/standby.ts';
import type { GuestInfo, HostEntry } from '../protocol/public/hosts/host.ts';
import type { SiteCheck } from '../protocol/public/site-check.ts';
import type { CancelAnswer, MigrationSummary, Report } from '../protocol/public/migration.ts';
import type { ProcessorsAnswer } from '../protocol/public/hosts/processor.ts';
import type { RotationMember } from '../protocol/public/rotation.ts';
import type { ResolveAnswer, RunAt, SideView, SilentHost } from '../protocol/public/resolve.ts';
import type { Sighting, SightingQuery } from '../protocol/peer/sighting.ts';
import type { Trust } from '../protocol/public/trust.ts';
import { selectVersion } from '../protocol/version.ts';
import { client, type Client } from '../rpc/client.ts';
import { serverCertificate } from '../rpc/server-certificate.ts';
import type { Credentials } from '../rpc/tls.ts';
import { guestsOfPeer } from './guests/peer-guests.ts';

const ANSWER_MS = 3000;
/** Its hypervisor is asked as well. */
const SIDE_MS = 10_000;
/** The source asks every host of the fleet before it answers. */
export const TAKE_UP_MS = 30_000;
/** A hypervisor that it asks for the first time reports each of its models. */
const PROCESSORS_MS = 50_000;
const AT_ONCE = 32;

/** `isDark`: nothing was heard of it, so that it may be off. */
export type OtherSide =
  | { readonly view: SideView }
  | { readonly unreachable: string; readonly isDark: boolean };

/** What all peers reported, and those that reported nothing. */
export interface HostAnswers<T> {
  readonly items: T[];
  readonly missing: SilentHost[];
}

type TrustInCas = Omit<RotationMember, 'name' | 'role'>;
type PeerClient = Client<typeof agentContract>;
type PreflightCall = keyof typeof preflightRoutes | StandbyCall | 'offerReceiver';

/** The other hosts of the fleet, each over a connection that is kept. */
export class Peers {
  readonly #fleet: Pick<Fleet, 'peers'>;
  readonly #credentials: Credentials;
  readonly #connect: typeof connectTo;
  readonly #clients = new Map<string, { readonly address: string; readonly made: PeerClient }>();

  constructor(fleet: Pick<Fleet, 'peers'>, credentials: Credentials, connect = connectTo) {
    this.#fleet = fleet;
    this.#credentials = credentials;
    this.#connect = connect;
  }

  names(): string[] {
    return Object.keys(this.#fleet.peers());
  }

  /** host:port of a peer's agent; undefined where neither the configuration nor the fleet's list names it. */
  address(name: string): string | undefined {
    return this.#fleet.peers()[name]?.address;
  }

  /** Further addresses of a peer's agent, over other links. */
  furtherAddresses(name: string): readonly string[] {
    return this.#fleet.peers()[name]?.addresses ?? [];
  }

  /** host:port of all of them, over all links. */
  addresses(): string[] {
    const all = Object.values(this.#fleet.peers());
    return all.flatMap(({ address, addresses }) => [address, ...addresses]);
  }

  /** Asks all of them; one that does not answer is listed with the reason. */
  async entries(): Promise<HostEntry[]> {
    return eachOf(this.names(), (name) => this.#entry(name));
  }

  /** The guests of all peers, or those called `guest`; peers that do not answer are named with the reason. */
  guests(guest?: string): Promise<HostAnswers<GuestInfo>> {
    return this.#gather(async (name) => {
      const { guests: items, missing } = await guestsOfPeer(this.#client(name).api, name, guest);
      return { items, missing };
    });
  }

  /** The newest migrations of all peers, as each reports them. */
  migrations(limit: number): Promise<HostAnswers<MigrationSummary>> {
    return this.#gather(async (name) => {
      const { api } = this.#client(name);
      const query = { limit } as const;
      const { migrations } = await api.migrations({ query }, { deadlineMs: ANSWER_MS });
      // A host speaks for itself.
      const items = migrations.filter(({ from, to }) => from === name || to === name);
      return { items, missing: [] };
    });
  }

  /** What another host reports of a migration that it takes part in. */
  async report(name: string, id: string): Promise<Report> {
    if (this.address(name) === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: name });
    return this.#client(name).api.report({ params: { id } }, { deadlineMs: ANSWER_MS });
  }

  /** What the other host of a migration knows of its side; or why it does not say. */
  async side(name: string, id: string, signal?: AbortSignal): Promise<OtherSide> {
    try {
      const input = { params: { id }, query: { look: 'hypervisor' } } as const;
      const options = { deadlineMs: SIDE_MS, ...defined({ signal }) };
      return { view: await this.#client(name).api.side(input, options) };
    } catch (thrown) {
      signal?.throwIfAborted();
      const isDark = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
      return { unreachable: toGodwitError(thrown).message, isDark };
    }
  }

  /** How the site's check of a guest that went there stands; undefined where that host does not say it. */
  async siteCheck(name: string, id: string): Promise<SiteCheck | undefined> {
    try {
      const input = { params: { id }, query: { look: 'journal' } } as const;
      return (await this.#client(name).api.side(input, { deadlineMs: ANSWER_MS })).siteCheck;
    } catch {
      return undefined;
    }
  }

  /** A guest that went there is not to be taken back. */
  endSiteCheck(name: string, id: string, by: string): Promise<CancelAnswer> {
    const options = { deadlineMs: SIDE_MS };
    return this.#client(name).api.endSiteCheck({ params: { id }, body: { by } }, options);
  }

  /** Asks all of them what they have seen of a guest besides one migration; one that cannot say is named with the reason. */
  async sightings(
    guest: string,
    query: SightingQuery,
    signal?: AbortSignal,
  ): Promise<{ sightings: Sighting[]; unasked: SilentHost[] }> {
    const all = await eachOf(this.names(), async (name) => {
      try {
        const input = { params: { guest }, query };
        const options = { deadlineMs: SIDE_MS, ...defined({ signal }) };
        const seen = await this.#client(name).api.sighting(input, options);
        // A host speaks for itself.
        return { seen: { ...seen, host: name } };
      } catch (thrown) {
        signal?.throwIfAborted();
        return { unasked: { host: name, why: toGodwitError(thrown).message } };
      }
    });
    return {
      sightings: all.flatMap(({ seen }) => (seen === undefined ? [] : [seen])),
      unasked: all.flatMap(({ unasked }) => (unasked === undefined ? [] : [unasked])),
    };
  }

  /** Asks the source of a migration to resume it. */
  takeUp(
    name: string,
    id: string,
    body: { runAt: RunAt; by: string },
    signal: AbortSignal,
  ): Promise<ResolveAnswer> {
    const options = { deadlineMs: TAKE_UP_MS, signal };
    return this.#client(name).api.takeUp({ params: { id }, body }, options);
  }

  /** A peer’s agent as a check asks it. */
  preflight(name: string): Pick<PeerClient['api'], PreflightCall> {
    return this.#client(name).api;
  }

  /** Has a peer take what measures the link to it. */
  linkProbe(
    name: string,
    pad: string,
    options: { readonly signal: AbortSignal; readonly deadlineMs: number },
  ): Promise<{ busy?: string | undefined }> {
    return this.#client(name).api.linkProbe({ body: { pad } }, options);
  }

  /** The processors of a peer and of its guests. */
  processors(name: string, signal: AbortSignal): Promise<ProcessorsAnswer> {
    return this.#client(name).api.processors({}, { deadlineMs: PROCESSORS_MS, signal });
  }

  /** A peer’s agent as whoever has to do with a guest of it asks it. */
  probing(name: string): Pick<PeerClient['api'], 'admittedGuest' | 'laterWatch' | 'guestLoad'> {
    if (this.address(name) === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: name });
    return this.#client(name).api;
  }

  /** The fleet's list of another host, where it is newer. */
  newerList(name: string, after: number): Promise<{ signed?: SignedList | undefined }> {
    return this.#client(name).api.newerList({ query: { after } }, { deadlineMs: ANSWER_MS });
  }

  /** The site's secret of that id, where another host has it. */
  siteSecret(name: string, id: string): Promise<{ secret?: string | undefined }> {
    if (this.address(name) === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: name });
    return this.#client(name).api.siteSecret({ query: { id } }, { deadlineMs: ANSWER_MS });
  }

  /** The certificate that a host shows where it is reached. */
  async certificate(name: string): Promise<X509Certificate> {
    const address = this.address(name);
    if (address === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: name });
    return serverCertificate(name, address, this.#credentials);
  }

  /** The CAs that each of these hosts trusts and the CA of its certificate; a host that does not answer has the reason. */
  async trust(names: readonly string[]): Promise<(TrustInCas & { readonly name: string })[]> {
    return eachOf(names, async (name) => {
      if (this.address(name) === undefined)
        return { name, problem: 'neither the fleet’s list nor `peers` has its address' };
      try {
        const answer = await this.#client(name).api.trust({}, { deadlineMs: ANSWER_MS });
        return { name, ...trustInCas(answer) };
      } catch (thrown) {
        return { name, problem: toGodwitError(thrown).message };
      }
    });
  }

  /** Asks the host that holds the CA for a certificate of a new key of ours. */
  renew(name: string, request: string): Promise<{ certificate?: string | undefined }> {
    if (this.address(name) === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: name });
    return this.#client(name).api.renew({ body: { request } }, { deadlineMs: SIDE_MS });
  }

  /** Hands the fleet's list to all of them; to how many, is answered. */
  async offerList(body: SignedList): Promise<number> {
    const counts = await eachOf(this.names(), (name) =>
      this.#client(name)
        .api.offerList({ body }, { deadlineMs: ANSWER_MS })
        .then(
          () => 1,
          // It asks for it later.
          () => 0,
        ),
    );
    return counts.reduce<number>((sum, each) => sum + each, 0);
  }

  close(): void {
    for (const { made } of this.#clients.values()) made.close();
    this.#clients.clear();
  }

  async #entry(name: string): Promise<HostEntry> {
    const entry = { name, address: this.address(name) ?? '', self: false };
    try {
      const { api } = this.#client(name);
      const { versions } = await api.hello({}, { deadlineMs: ANSWER_MS });
      const choice = selectVersion(name, versions);
      if (!choice.ok) throw choice.error;
      const info = await api.host({}, { deadlineMs: ANSWER_MS });
      return { ...entry, status: 'up', info };
    } catch (thrown) {
      const error = toGodwitError(thrown);
      return { ...entry, status: statusFor(error), reason: error.message };
    }
  }

  async #gather<T>(ask: (name: string) => Promise<HostAnswers<T>>): Promise<HostAnswers<T>> {
    const all = await eachOf(this.names(), async (name): Promise<HostAnswers<T>> => {
      try {
        return await ask(name);
      } catch (thrown) {
        return { items: [], missing: [{ host: name, why: toGodwitError(thrown).message }] };
      }
    });
    return {
      items: all.flatMap(({ items }) => items),
      missing: all.flatMap(({ missing }) => missing),
    };
  }

  #client(name: string): PeerClient {
    const address = this.address(name) ?? '';
    const found = this.#clients.get(name);
    if (found?.address === address) return found.made;
    found?.made.close();
    const made = this.#connect(name, address, this.#credentials);
    this.#clients.set(name, { address, made });
    return made;
  }
}

/** The part of a host's answer that a rotation goes by. */
export function trustInCas({
  authorities: trusts,
  certificate,
  earlierMigrations,
}: Trust): TrustInCas {
  if (trusts === undefined) return { problem: 'its agent is of an earlier build' };
  return { trusts, ...defined({ issuer: certificate.issuer, earlierMigrations }) };
}

function connectTo(expectedName: string, address: string, credentials: Credentials): PeerClient {
  return client(agentContract, { address, credentials, expectedName });
}

/** This host has no business with it, or it none with this one. */
const UNTRUSTED = [
  'GODWIT_PEER_UNTRUSTED',
  'GODWIT_CERT_EXPIRED',
  'GODWIT_CERT_REVOKED',
  'GODWIT_NOT_A_MEMBER',
  'GODWIT_ROLE_FORBIDDEN',
] as const;

function statusFor(error: ReturnType<typeof toGodwitError>): HostEntry['status'] {
  if (hasCode(error, ...UNTRUSTED)) return 'untrusted';
  if (hasCode(error, 'GODWIT_PROTOCOL_VERSION', 'GODWIT_PROTOCOL_INVALID', 'GODWIT_ERROR_NEWER'))
    return 'incompatible';
  return 'unreachable';
}

/** Results in the order of `names`, with a bounded number under way at once. */
async function eachOf<T>(
  names: readonly string[],
  work: (name: string) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < names.length; index = next++) {
      results[index] = await work(names[index] ?? '');
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, names.length) }, worker));
  return results;
}
