import { Fifo } from '../../../links/fifo.ts';

interface Waiting {
  readonly channel: number;
  readonly message: Uint8Array;
  readonly sent: () => void;
  readonly failed: (error: unknown) => void;
}

/** Passes messages to the session one by one, so that each connection gets its turn. */
export class SendQueue {
  readonly #send: (channel: number, message: Uint8Array) => Promise<void>;
  readonly #waiting = new Fifo<Waiting>();
  #running = false;

  constructor(send: (channel: number, message: Uint8Array) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves once the session has taken it; rejects once the session is over. */
  send(channel: number, message: Uint8Array): Promise<void> {
    return new Promise((sent, failed) => {
      this.#waiting.push({ channel, message, sent, failed });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let first = this.#waiting.shift(); first; first = this.#waiting.shift()) {
      await this.#send(first.channel, first.message).then(first.sent, first.failed);
    }
    this.#running = false;
  }
}
