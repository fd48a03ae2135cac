import { godwitError, type GodwitError } from '../../../errors.ts';
import {
  commandId,
  enumerated,
  received,
  returned,
  shellId,
  WsmanFault,
  type Instance,
} from './answers.ts';
import { WinrmConnection, type WinrmTarget } from './connection.ts';
import {
  createShell,
  deleteShell,
  enumerate,
  invoke,
  pull,
  receive,
  runCommand,
  terminate,
} from './envelope.ts';
import { formatBytes } from '../../../protocol/quantity.ts';

const MAX_OUTPUT = 32 * 1024 ** 2;
const MAX_ERRORS = 256 * 1024;
const MAX_INSTANCES = 10_000;
const MAX_PULLS = 1000;
const MAX_PARTS = 20_000;
/** Limit of consecutive empty answers: more than an hour if each one waits as requested. */
const MAX_SILENT = 200;
/** Time to remove the shell from the host; otherwise it expires there. */
const TIDY_MS = 5000;

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** WinRM of one host: programs, and instances of Hyper-V's classes. Rejects with WinrmConnection's errors. */
export class WinrmClient {
  readonly #connection: WinrmConnection;

  constructor(target: WinrmTarget) {
    this.#connection = new WinrmConnection(target);
  }

  close(): void {
    this.#connection.close();
  }

  /** Runs a program to its end. An abandoned program is also ended on the host if it is reachable. */
  async run(program: string, args: readonly string[], signal: AbortSignal): Promise<Output> {
    const created = await this.#connection.call(createShell(), signal);
    const shell = known('a shell', shellId(created));
    try {
      const begun = await this.#connection.call(runCommand(shell, program, args), signal);
      const command = known('a command', commandId(begun));
      const output = await this.#output(shell, command, signal);
      await this.#quietly((inner) => this.#connection.call(terminate(shell, command), inner));
      return output;
    } finally {
      await this.#quietly((inner) => this.#connection.call(deleteShell(shell), inner));
    }
  }

  async #output(shell: string, command: string, signal: AbortSignal): Promise<Output> {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let length = 0;
    let errors = 0;
    let silent = 0;
    for (let parts = 0; ; parts += 1) {
      if (parts > MAX_PARTS) throw tooMuch();
      const part = await this.#received(shell, command, signal);
      const isSilent = part === undefined || part.stdout.length + part.stderr.length === 0;
      silent = isSilent ? silent + 1 : 0;
      if (silent > MAX_SILENT && part?.ended === undefined) throw saysNothing();
      if (part === undefined) continue;
      length += part.stdout.length;
      errors += part.stderr.length;
      if (length > MAX_OUTPUT) throw tooMuch();
      stdout.push(part.stdout);
      if (errors <= MAX_ERRORS) stderr.push(part.stderr);
      if (part.ended === undefined) continue;
      const [out, words] = [Buffer.concat(stdout), Buffer.concat(stderr)];
      return { code: part.ended, stdout: out.toString('utf8'), stderr: words.toString('utf8') };
    }
  }

  /** Undefined if there was no output within the requested wait. */
  async #received(
    shell: string,
    command: string,
    signal: AbortSignal,
  ): Promise<ReturnType<typeof received> | undefined> {
    try {
      return received(await this.#connection.call(receive(shell, command), signal));
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof WsmanFault && thrown.isTimeout) return undefined;
      throw thrown;
    }
  }

  async #quietly(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    await work(AbortSignal.timeout(TIDY_MS)).catch(() => undefined);
  }

  async query(wql: string, signal: AbortSignal): Promise<Instance[]> {
    let answer = enumerated(await this.#connection.call(enumerate(wql), signal));
    const items = [...answer.items];
    for (let pulls = 0; answer.context !== undefined; pulls += 1) {
      if (items.length > MAX_INSTANCES || pulls > MAX_PULLS) {
        throw godwitError('GODWIT_TOO_LARGE', {
          what: 'a list by WinRM',
          limit: `${MAX_INSTANCES} instances`,
        });
      }
      answer = enumerated(await this.#connection.call(pull(answer.context), signal));
      items.push(...answer.items);
    }
    return items;
  }

  async invoke(
    instance: Parameters<typeof invoke>[0],
    method: string,
    args: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<number> {
    const body = await this.#connection.call(invoke(instance, method, args), signal);
    return known('a return value', returned(body, method));
  }
}

function tooMuch(): GodwitError {
  return godwitError('GODWIT_TOO_LARGE', {
    what: 'output by WinRM',
    limit: formatBytes(MAX_OUTPUT),
  });
}

function saysNothing(): GodwitError {
  const expected = 'output of a program, or its end';
  const what = `nothing, ${MAX_SILENT} times in a row`;
  return godwitError('GODWIT_PROTOCOL_INVALID', { peer: 'WinRM', expected, what });
}

function known<T>(expected: string, value: T | undefined): T {
  if (value !== undefined) return value;
  throw godwitError('GODWIT_PROTOCOL_INVALID', { peer: 'WinRM', expected, what: 'nothing' });
}
