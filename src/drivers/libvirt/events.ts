import { withDeadline } from '../../deadline.ts';
import { hasCode } from '../../errors.ts';
import { XdrReader, XdrWriter } from '../../formats/xdr.ts';
import {
  readDomain,
  unless,
  writeDomain,
  type Domain,
  type JobStats,
  type LibvirtClient,
} from './client.ts';
import { JOB } from './job.ts';
import type { Packet } from './rpc/packets.ts';
import { decodeParams } from './rpc/params.ts';

/** What the daemon of the source says unasked of a domain, by the numbers of libvirt's remote_protocol.x. */
const PROC = {
  register: 316,
  lifecycle: 318,
  trayChange: 328,
  deviceRemoved: 333,
  blockJob: 339,
  deviceAdded: 354,
  iteration: 359,
  jobCompleted: 363,
} as const;
/**
 * virDomainEventID: the domain begins, stops or ends; a pass over its memory begins; its job has ended; its owner changes a
 * medium, has a job on a disk, or plugs a device in or out.
 */
const EVENTS = [
  { id: 0, comesAs: PROC.lifecycle },
  { id: 20, comesAs: PROC.iteration },
  { id: 21, comesAs: PROC.jobCompleted },
  { id: 10, comesAs: PROC.trayChange },
  { id: 15, comesAs: PROC.deviceRemoved },
  { id: 16, comesAs: PROC.blockJob },
  { id: 19, comesAs: PROC.deviceAdded },
] as const;
const COMES = new Set<number>(EVENTS.map(({ comesAs }) => comesAs));
/** What an older daemon, or another driver of it, answers to an event that it does not have. */
const UNKNOWN = [3, 8];

/** News of one domain, from its registration until the connection ends. */
export class DomainEvents {
  #isNews = false;
  #wake: () => void = () => undefined;
  #completed: JobStats | undefined;

  /** Undefined where the daemon reports none of them: only looking shows it. */
  static async open(
    client: LibvirtClient,
    domain: Domain,
    signal: AbortSignal,
    heard: (procedure: number) => void = () => undefined,
  ): Promise<DomainEvents | undefined> {
    const events = new DomainEvents();
    client.hear((message) => {
      if (message === undefined) events.news();
      else if (COMES.has(message.procedure) && events.#heard(message, domain))
        heard(message.procedure);
    });
    const asked = EVENTS.map(({ id }) => {
      // The domain may be absent, for those of all.
      const body = new XdrWriter().int32(id).uint32(1).raw(writeDomain(domain).bytes());
      return unless(UNKNOWN, client.ask(PROC.register, body, signal));
    });
    const registered = await Promise.all(asked);
    return registered.some((each) => each !== undefined) ? events : undefined;
  }

  /** The figures of the migration that has ended, as its source counted them; kept also where the destination has none. */
  get completed(): JobStats | undefined {
    return this.#completed;
  }

  /** From here on what comes is news. */
  looked(): void {
    this.#isNews = false;
  }

  readonly news = (): void => {
    this.#isNews = true;
    this.#wake();
  };

  /** Resolves to true once there was news since `looked`, and to false after `withinMs`. */
  async changed(withinMs: number, signal: AbortSignal): Promise<boolean> {
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    if (this.#isNews) return true;
    try {
      await withDeadline('news of a domain', withinMs, signal, () => woken.promise);
    } catch (thrown) {
      if (!hasCode(thrown, 'GODWIT_DEADLINE')) throw thrown;
    }
    return this.#isNews;
  }

  /** False for those of another domain. */
  #heard({ procedure, body }: Pick<Packet, 'procedure' | 'body'>, { uuid }: Domain): boolean {
    const message = new XdrReader(body);
    message.int32();
    if (readDomain(message).uuid !== uuid) return false;
    if (procedure === PROC.jobCompleted)
      this.#completed = { type: JOB.completed, params: decodeParams(message) };
    this.news();
    return true;
  }
}
