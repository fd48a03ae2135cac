import { lstat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { GodwitError, godwitError } from '../../errors.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { isNamed } from '../proof/made-files.ts';
import type { Beside } from '../copy/tunnel/mux.ts';
import { BackingFileWriter, type BackingTarget } from './file.ts';
import {
  ANSWER_CHANNEL,
  BadBackingMessage,
  DATA_CHANNEL,
  readBackingMessage,
  writeBackingAnswer,
  type BackingAnswer,
  type BackingMessage,
} from './messages.ts';

export interface TakerDependencies {
  readonly beside: Beside;
  readonly host: string;
  readonly guest: string;
  readonly peer: string;
  /** Files that may arrive; nothing else is written. */
  readonly backingFiles: readonly BackingTarget[];
  readonly begin?: (target: BackingTarget) => Promise<Writing>;
}

export type Writing = Pick<BackingFileWriter, 'target' | 'write' | 'finish' | 'drop'>;

const NO_ROOM = ['ENOSPC', 'EDQUOT'];

/** Destination end: writes the backing files that the source sends. One per tunnel. */
export class BackingFileTaker {
  readonly #deps: TakerDependencies;
  readonly #whole = new Set<string>();
  readonly #all = Promise.withResolvers<void>();
  #current: Writing | undefined;
  #attempt = 0;
  /** Set while the remainder of a file that was given up here is dropped. */
  #dropping = false;
  #stopped = false;
  #work: Promise<void> = Promise.resolve();

  constructor(deps: TakerDependencies) {
    this.#deps = deps;
    this.#all.promise.catch(() => undefined);
    if (deps.backingFiles.length === 0) this.#all.resolve();
    deps.beside.on(DATA_CHANNEL, (bytes) => {
      this.#work = this.#take(bytes);
      return this.#work;
    });
  }

  /** Resolves once each file has its name; rejects with the reason if one cannot. */
  get whole(): Promise<void> {
    return this.#all.promise;
  }

  /** Stops receiving. Incomplete files are removed when this resolves; the owner removes complete ones. */
  async stop(why: Error): Promise<void> {
    this.#stopped = true;
    this.#all.reject(why);
    await this.#work.catch(() => undefined);
    await this.#drop();
  }

  /** An invalid message ends the session; a local error is an answer. */
  async #take(bytes: Uint8Array): Promise<void> {
    if (this.#stopped) return;
    try {
      await this.#do(readBackingMessage(bytes));
    } catch (error) {
      if (!(error instanceof BadBackingMessage)) throw error;
      await this.#drop();
      const facts = {
        peer: this.#deps.peer,
        expected: 'a backing file’s message',
        what: error.message,
      };
      const invalid = godwitError('GODWIT_PROTOCOL_INVALID', facts, { cause: error });
      this.#all.reject(invalid);
      throw invalid;
    }
  }

  async #do(message: BackingMessage): Promise<void> {
    if (message.kind === 'begin') return this.#begin(message);
    const current = this.#current;
    if (message.kind === 'stop') {
      this.#dropping = true;
      return this.#drop();
    }
    if (current === undefined) {
      if (this.#dropping) return;
      throw new BadBackingMessage(`${message.kind} of no image`);
    }
    try {
      if (message.kind === 'data') return await current.write(message.offset, message.bytes);
      await current.finish();
    } catch (error) {
      if (error instanceof BadBackingMessage) throw error;
      return this.#failed(current.target, error);
    }
    this.#current = undefined;
    await this.#isWhole(current.target);
  }

  async #begin({ attempt, node }: BackingMessage & { kind: 'begin' }): Promise<void> {
    const target = this.#deps.backingFiles.find((each) => each.node === node);
    if (target === undefined || this.#current !== undefined) {
      throw new BadBackingMessage(`${node} begins out of turn`);
    }
    this.#dropping = false;
    this.#attempt = attempt;
    try {
      // Only a complete file has its name, so an earlier mover finished it.
      if (await isNamed(target.made)) return await this.#isWhole(target);
      await this.#refuseTaken(target);
      const { begin = (each) => BackingFileWriter.begin(each) } = this.#deps;
      this.#current = await begin(target);
    } catch (error) {
      return this.#failed(target, error);
    }
    await this.#answer({ type: 'ready', attempt, node });
  }

  async #refuseTaken({ node, made: { file } }: BackingTarget): Promise<void> {
    const there = await lstat(file).catch(() => undefined);
    if (there !== undefined) throw this.#taken(node, file);
  }

  #taken(device: string, file: string): GodwitError {
    const { host, guest } = this.#deps;
    const reason = `${file} is there already`;
    return godwitError('GODWIT_DISK_PLACE', { host, guest, device, reason });
  }

  async #isWhole({ node }: BackingTarget): Promise<void> {
    this.#whole.add(node);
    await this.#answer({ type: 'whole', attempt: this.#attempt, node });
    if (this.#whole.size === this.#deps.backingFiles.length) this.#all.resolve();
  }

  async #failed(target: BackingTarget, thrown: unknown): Promise<void> {
    const error = await this.#errorOf(target, thrown);
    this.#dropping = true;
    await this.#drop();
    const { node } = target;
    await this.#answer({ type: 'failed', attempt: this.#attempt, node, error: error.toJSON() });
    this.#all.reject(error);
  }

  async #errorOf(
    { node: device, bytes, made }: BackingTarget,
    thrown: unknown,
  ): Promise<GodwitError> {
    if (thrown instanceof GodwitError) return thrown;
    const { host, guest } = this.#deps;
    const { code = '', message } = thrown as NodeJS.ErrnoException;
    if (NO_ROOM.includes(code)) {
      const { bavail, bsize } = await statfs(path.dirname(made.file));
      const room = { needed: formatBytes(bytes), free: formatBytes(bavail * bsize) };
      return godwitError('GODWIT_DISK_SPACE', { host, guest, device, ...room }, { cause: thrown });
    }
    if (code === 'EEXIST') return this.#taken(device, made.file);
    const reason = `${host}: ${message}`;
    return godwitError('GODWIT_DISK_FAILED', { guest, device, reason }, { cause: thrown });
  }

  async #drop(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.drop();
  }

  async #answer(answer: BackingAnswer): Promise<void> {
    await this.#deps.beside.send(ANSWER_CHANNEL, writeBackingAnswer(answer));
  }
}
