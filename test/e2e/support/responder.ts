/** A machine that answers at an address of its own: a network namespace beside this one, which a test can cut off. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export class Responder {
  /** Where it answers ICMP. */
  readonly address: string;
  readonly #name: string;

  private constructor(name: string, address: string) {
    this.#name = name;
    this.address = address;
  }

  static async open(): Promise<Responder> {
    const name = `gw-r${process.pid % 100_000}`;
    // Of the block for benchmarks between networks (RFC 2544), which no network here uses.
    const net = `198.19.${process.pid % 250}`;
    const responder = new Responder(name, `${net}.2`);
    await responder.#ip('netns', 'add', name);
    await responder.#ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    await responder.#ip('addr', 'add', `${net}.1/29`, 'dev', name);
    await responder.#ip('link', 'set', name, 'up');
    await responder.#ip('-n', name, 'addr', 'add', `${net}.2/29`, 'dev', 'eth0');
    await responder.link('up');
    return responder;
  }

  async link(way: 'up' | 'down'): Promise<void> {
    await this.#ip('-n', this.#name, 'link', 'set', 'eth0', way);
  }

  async close(): Promise<void> {
    await this.#ip('netns', 'del', this.#name);
  }

  async #ip(...words: readonly string[]): Promise<void> {
    await run('ip', words);
  }
}
