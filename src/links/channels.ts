import type { Session } from './session.ts';

/**
 * Use of each session channel. A hypervisor's first connection is the main one; a second one carries awaited
 * pages (post-copy with preempt), so it has priority.
 */
export const CHANNEL = {
  /** Both directions: hello, taken bytes, a broken connection. */
  control: 0,
  /** To the source: answers of a connection's decoder. */
  answersMain: 1,
  answersUrgent: 2,
  /** To the source: return path. */
  backMain: 16,
  backUrgent: 17,
  /** To the destination: codec frames. */
  urgent: 18,
  main: 32,
  /** To the source: summary of the destination's cache. */
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

/** Small, so that priority messages wait briefly and acknowledgements come often. */
export const MESSAGE_BYTES = 32 * 1024;

type Handler = (message: Uint8Array) => Promise<void>;

/** Delivers a session's messages to their handlers. A message without a handler waits, and so does its sender. */
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

  /** Splits a stream's bytes into messages; resolves when the session has accepted all. */
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

/** First byte of a message on a return path. */
export const BACK = { bytes: 0, end: 1 } as const;
