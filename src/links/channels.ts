import type { Session } from './session.ts';

/**
 * What each of a session's channels carries. A hypervisor's first connection is the main one; a second one carries
 * what the destination waits for (post-copy with preempt), so it overtakes.
 */
export const CHANNEL = {
  /** Both ways: hello, what was taken, a connection that broke. */
  control: 0,
  /** To the source: what the decoder of a connection answers. */
  answersMain: 1,
  answersUrgent: 2,
  /** To the source: the return path. */
  backMain: 16,
  backUrgent: 17,
  /** To the destination: frames of the codec. */
  urgent: 18,
  main: 32,
  /** To the source: the summary of the destination's cache. */
  summary: 33,
} as const;

export interface ConnectionChannels {
  readonly frames: number;
  readonly answers: number;
  readonly back: number;
}

export const CONNECTIONS: readonly ConnectionChannels[] = [
  { frames: CHANNEL.main, answers: CHANNEL.answersMain, back: CHANNEL.backMain },
  { frames: CHANNEL.urgent, answers: CHANNEL.answersUrgent, back: CHANNEL.backUrgent },
];

/** Small enough that what overtakes waits for little, and that acknowledgements come often. */
export const MESSAGE_BYTES = 32 * 1024;

type Handler = (message: Uint8Array) => Promise<void>;

/** A session's messages to whom they are for. What comes before somebody takes it waits, and so does its sender. */
export class Channels {
  readonly session: Session;
  readonly #handlers = new Map<number, PromiseWithResolvers<Handler>>();

  constructor(session: Session) {
    this.session = session;
    session.onMessage = async (channel, message) => {
      const handle = await this.#handler(channel).promise;
      await handle(message);
    };
  }

  on(channel: number, handler: Handler): void {
    this.#handler(channel).resolve(handler);
  }

  /** Cuts bytes of a stream into messages; resolves when the session has all of them. */
  async send(channel: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) {
      await this.session.send(channel, bytes.subarray(at, at + MESSAGE_BYTES));
    }
  }

  #handler(channel: number): PromiseWithResolvers<Handler> {
    const known = this.#handlers.get(channel);
    if (known !== undefined) return known;
    const made = Promise.withResolvers<Handler>();
    this.#handlers.set(channel, made);
    return made;
  }
}

/** The first byte of a message on a way back. */
export const BACK = { bytes: 0, end: 1 } as const;
