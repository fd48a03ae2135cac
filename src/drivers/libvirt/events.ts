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

/** Source daemon's events of a domain, by the numbers of libvirt's remote_protocol.x. */
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
 * virDomainEventID: start, stop or end of the domain; start of a memory pass; end of a job; changed media, block
 * jobs and plugged devices.
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
/** Errors of an older daemon, or of a driver without the event. */
const UNKNOWN = [3, 8];

/** Events of one domain, from registration until the connection ends. */
export class DomainEvents {
  #isNews = false;
  #wake: () => void = () => undefined;
  #completed: JobStats | undefined;

  /** Undefined if the daemon supports none of the events; then only polling works. */
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
      // The domain argument is optional in the protocol; without it, events of all domains are sent.
      const body = new XdrWriter().int32(id).uint32(1).raw(writeDomain(domain).bytes());
      return unless(UNKNOWN, client.ask(PROC.register, body, signal));
    });
    const registered = await Promise.all(asked);
    return registered.some((each) => each !== undefined) ? events : undefined;
  }

  /** Final figures of the migration, counted by its source; available even if the destination has none. */
  get completed(): JobStats | undefined {
    return this.#completed;
  }

  looked(): void {
    this.#isNews = false;
  }

  readonly news = (): void => {
    this.#isNews = true;
    this.#wake();
  };

  /** Resolves to true after an event since `looked`, and to false after `withinMs`. */
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

  /** False for events of another domain. */
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
