import {
  CALL_MS,
  denied,
  LibvirtConnection,
  LibvirtRefusal,
  type Credentials,
  type Listener,
} from './rpc/connection.ts';
import { addressOf } from './rpc/address.ts';
import { logIn } from './rpc/login.ts';
import { XdrReader, XdrWriter } from '../../formats/xdr.ts';
import { decodeParams, encodeParams, type Params, type SentParams } from './rpc/params.ts';

/** Procedure numbers of libvirt's remote_protocol.x. */
const PROC = {
  open: 1,
  destroy: 12,
  xml: 14,
  autostart: 15,
  byName: 23,
  byUuid: 24,
  setAutostart: 29,
  suspend: 34,
  isPersistent: 151,
  libVersion: 157,
  abortJob: 164,
  setMaxDowntime: 166,
  state: 212,
  undefine: 231,
  setMetadata: 264,
  metadata: 265,
  listDomains: 273,
  jobStats: 298,
  migrate: 305,
  startPostCopy: 364,
} as const;

/** Error numbers of libvirt's virterror.h. */
const NO_DOMAIN = 42;
const NO_METADATA = 80;
const OPERATION_INVALID = 55;
/** Operation denied, authentication failed, access denied. */
const DENIED = [29, 45, 88];
/** The domain ended between two calls. */
export const HAS_LEFT = [NO_DOMAIN, OPERATION_INVALID];

const MAX_DOMAINS = 16_384;
const MAX_TEXT = 4_194_304;
const MAX_NAME = 65_536;
const METADATA_ELEMENT = 2;
const LIVE = 1;
/** VIR_DOMAIN_XML_INACTIVE */
const INACTIVE = 2;
const ACTIVE = 1;
const COMPLETED = 1;
const KEEP_COMPLETED = 2;
/** VIR_DOMAIN_UNDEFINE_KEEP_NVRAM, and _KEEP_TPM since libvirt 8.9. */
const [KEEP_NVRAM, KEEP_TPM] = [8, 64];
/** Short, because a failed look is repeated. */
const LOOK_MS = 8000;

/** Identifies a domain in each call. `id` is -1 while it does not run. */
export interface Domain {
  readonly name: string;
  readonly uuid: string;
  readonly id: number;
}

export interface DomainState {
  readonly state: number;
  readonly reason: number;
}

/** virDomainJobType and libvirt's counters. */
export interface JobStats {
  readonly type: number;
  readonly params: Params;
}

/** Godwit's element in a domain's metadata. */
export interface MetadataPlace {
  readonly key: string;
  readonly uri: string;
}

/**
 * Client of one libvirt daemon. Rejects with LibvirtRefusal (libvirt's message), GODWIT_UNREACHABLE or
 * GODWIT_DEADLINE.
 */
export class LibvirtClient {
  readonly #connection: LibvirtConnection;

  private constructor(connection: LibvirtConnection) {
    this.#connection = connection;
  }

  get uri(): string {
    return this.#connection.uri;
  }

  static async open(
    uri: string,
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<LibvirtClient> {
    const connection = await LibvirtConnection.open(uri, credentials, signal);
    try {
      const client = new LibvirtClient(connection);
      await logIn((procedure, body) => client.ask(procedure, body, signal), uri, credentials.auth);
      const words = new XdrWriter().optionalString(addressOf(uri).name).uint32(0);
      await client.ask(PROC.open, words, signal);
      return client;
    } catch (thrown) {
      connection.close();
      const isDenial = thrown instanceof LibvirtRefusal && DENIED.includes(thrown.libvirt.code);
      throw isDenial ? denied(uri, thrown.message, undefined, thrown) : thrown;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async version(signal: AbortSignal): Promise<string> {
    const number = Number((await this.ask(PROC.libVersion, new XdrWriter(), signal)).bigUint64());
    return [Math.floor(number / 1_000_000), Math.floor(number / 1000) % 1000, number % 1000].join(
      '.',
    );
  }

  async activeDomains(signal: AbortSignal): Promise<Domain[]> {
    const answer = await this.ask(
      PROC.listDomains,
      new XdrWriter().int32(1).uint32(ACTIVE),
      signal,
    );
    return answer.list(MAX_DOMAINS, () => readDomain(answer));
  }

  async domain(
    by: { readonly name: string } | { readonly uuid: string },
    signal: AbortSignal,
  ): Promise<Domain | undefined> {
    const [procedure, body] =
      'uuid' in by
        ? [PROC.byUuid, new XdrWriter().uuid(by.uuid)]
        : [PROC.byName, new XdrWriter().string(by.name)];
    const answer = await unless([NO_DOMAIN], this.ask(procedure, body, signal));
    return answer === undefined ? undefined : readDomain(answer);
  }

  async xml(domain: Domain, signal: AbortSignal): Promise<string> {
    const answer = await this.ask(PROC.xml, writeDomain(domain).uint32(0), signal);
    return answer.string(MAX_TEXT);
  }

  /** XML for the next start, of a persistent domain. */
  async definition(domain: Domain, signal: AbortSignal): Promise<string> {
    const answer = await this.ask(PROC.xml, writeDomain(domain).uint32(INACTIVE), signal);
    return answer.string(MAX_TEXT);
  }

  async state(domain: Domain, signal: AbortSignal): Promise<DomainState> {
    const answer = await this.ask(PROC.state, writeDomain(domain).uint32(0), signal);
    return { state: answer.int32(), reason: answer.int32() };
  }

  async isPersistent(domain: Domain, signal: AbortSignal): Promise<boolean> {
    return (await this.ask(PROC.isPersistent, writeDomain(domain), signal)).int32() !== 0;
  }

  async autostart(domain: Domain, signal: AbortSignal): Promise<boolean> {
    return (await this.ask(PROC.autostart, writeDomain(domain), signal)).int32() !== 0;
  }

  async setAutostart(domain: Domain, isOn: boolean, signal: AbortSignal): Promise<void> {
    await this.ask(PROC.setAutostart, writeDomain(domain).int32(isOn ? 1 : 0), signal);
  }

  /** Present job. `type` is 0 if there is none, or if the domain has just left. */
  async job(domain: Domain, signal: AbortSignal): Promise<JobStats> {
    const asked = this.ask(PROC.jobStats, writeDomain(domain).uint32(0), signal);
    const answer = await unless(HAS_LEFT, asked);
    return answer === undefined ? { type: 0, params: {} } : readJob(answer);
  }

  /** Last ended job; undefined if libvirt kept none. */
  async completedJob(domain: Domain, signal: AbortSignal): Promise<JobStats | undefined> {
    const flags = COMPLETED | KEEP_COMPLETED;
    const asked = this.ask(PROC.jobStats, writeDomain(domain).uint32(flags), signal);
    const answer = await unless(HAS_LEFT, asked);
    return answer === undefined ? undefined : readJob(answer);
  }

  /** Element at that place in the running domain's metadata. */
  async metadata(
    domain: Domain,
    { uri }: MetadataPlace,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const body = writeDomain(domain).int32(METADATA_ELEMENT).optionalString(uri).uint32(LIVE);
    const asked = this.ask(PROC.metadata, body, signal);
    const answer = await unless([NO_METADATA, ...HAS_LEFT], asked);
    return answer?.string(MAX_TEXT);
  }

  /** Removes the element if it is undefined. Waits for a job that changes the domain. */
  async setMetadata(
    domain: Domain,
    { key, uri }: MetadataPlace,
    element: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const body = writeDomain(domain)
      .int32(METADATA_ELEMENT)
      .optionalString(element)
      .optionalString(key)
      .optionalString(uri)
      .uint32(LIVE);
    await this.ask(PROC.setMetadata, body, signal, CALL_MS);
  }

  /** Aborts the domain's job. Throws LibvirtRefusal if there is none or it cannot be aborted. */
  async abortJob(domain: Domain, signal: AbortSignal): Promise<void> {
    await this.ask(PROC.abortJob, writeDomain(domain), signal, CALL_MS);
  }

  async stop(domain: Domain, how: 'suspend' | 'destroy', signal: AbortSignal): Promise<void> {
    await unless(HAS_LEFT, this.ask(PROC[how], writeDomain(domain), signal, CALL_MS));
  }

  /**
   * Removes its definition but keeps its state files, which the other host may share. Refused if libvirt cannot
   * keep the TPM's state.
   */
  async undefine(domain: Domain, hasTpm: boolean, signal: AbortSignal): Promise<void> {
    const body = writeDomain(domain).uint32(hasTpm ? KEEP_NVRAM | KEEP_TPM : KEEP_NVRAM);
    await unless([NO_DOMAIN], this.ask(PROC.undefine, body, signal, CALL_MS));
  }

  async setMaxDowntime(domain: Domain, downtimeMs: number, signal: AbortSignal): Promise<void> {
    const body = writeDomain(domain).uint64(BigInt(downtimeMs)).uint32(0);
    await this.ask(PROC.setMaxDowntime, body, signal);
  }

  async startPostCopy(domain: Domain, signal: AbortSignal): Promise<void> {
    await this.ask(PROC.startPostCopy, writeDomain(domain).uint32(0), signal);
  }

  /**
   * Orders the daemon to move the domain to the daemon at `to`. Resolves once the domain runs there. The daemon
   * continues even if this connection ends.
   */
  async migrate(domain: Domain, to: string, params: SentParams, flags: number): Promise<void> {
    const body = writeDomain(domain).optionalString(to);
    encodeParams(body, params);
    body.opaque(Buffer.alloc(0)).uint32(flags);
    await this.#connection.callToTheEnd(PROC.migrate, body.bytes());
  }

  hear(listener: Listener): void {
    this.#connection.hear(listener);
  }

  /** Sends one call. The client has the calls of a move; questions.ts has those before it. */
  async ask(
    procedure: number,
    body: XdrWriter,
    signal: AbortSignal,
    deadlineMs = LOOK_MS,
  ): Promise<XdrReader> {
    return new XdrReader(await this.#connection.call(procedure, body.bytes(), signal, deadlineMs));
  }
}

/** Result of `asked`, or undefined if libvirt refuses it with one of these codes. */
export async function unless<T>(
  codes: readonly number[],
  asked: Promise<T>,
): Promise<T | undefined> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal && codes.includes(thrown.libvirt.code)) return undefined;
    throw thrown;
  }
}

export function writeDomain({ name, uuid, id }: Domain): XdrWriter {
  return new XdrWriter().string(name).uuid(uuid).int32(id);
}

export function readDomain(answer: XdrReader): Domain {
  const name = answer.string(MAX_NAME);
  const uuid = answer.uuid();
  return { name, uuid, id: answer.int32() };
}

function readJob(answer: XdrReader): JobStats {
  const type = answer.int32();
  return { type, params: decodeParams(answer) };
}
