import { createConnection, type Socket } from 'node:net';
import { z } from 'zod';
import { godwitError, toGodwitError } from '../../src/errors.ts';
import { copiedDisks, taskSight, whereabouts } from '../../src/migration/managed/task-sight.ts';
import { fromSerial, serialError } from '../../src/protocol/errors.ts';
import { guestInfo } from '../../src/protocol/public/hosts/host.ts';
import { check } from '../../src/protocol/public/migration.ts';
import { guestMeasure } from '../../src/protocol/public/prediction.ts';
import type { DiscoveredGuest, GuestHandle, HandleFacts, Life } from '../../src/port/inventory.ts';
import type { ManagedDriver, ManagedSession } from '../../src/port/managed.ts';
import { FAKE_CAPABILITIES, managedHandle, nameIn } from './managed-handle.ts';

/**
 * A pretended manager that is a process of its own, so that agents and movers can be killed around it: a connection for
 * each call, one line of JSON there and one back.
 */

/** As long as a line may be, characters. */
const LONGEST = 256 * 1024;
const LIFE_MS = 2000;

export const remoteOptions = z.strictObject({
  /** The manager's unix socket. */
  manager: z.string().min(1).max(107),
});

/** Each call says for which host and guest it is; `args` are those of the port's method. */
export const remoteCall = z.object({
  host: z.string(),
  guest: z.string(),
  method: z.string(),
  args: z.array(z.unknown()),
});
type RemoteCall = z.infer<typeof remoteCall>;

const answer = z.union([z.object({ error: serialError }), z.object({ value: z.unknown() })]);
const guests = z.array(guestInfo).max(10_000);
const inspection = z.object({ memoryBytes: z.number(), checks: z.array(check).max(256) });
const checks = z.array(check).max(256);

/** Asks the pretended manager at a socket. What it answers is parsed, as of any manager. */
export class RemoteManagedDriver implements ManagedDriver {
  readonly name = 'fake';
  readonly capabilities = FAKE_CAPABILITIES;
  readonly #host: string;
  readonly #socket: string;

  constructor(host: string, { manager }: z.infer<typeof remoteOptions>) {
    this.#host = host;
    this.#socket = manager;
  }

  async hypervisors(): Promise<[]> {
    return [];
  }

  async discover(_: unknown, signal: AbortSignal): Promise<DiscoveredGuest[]> {
    const found = guests.parse(await this.#ask('', 'discover', [], signal));
    return found.map((info) => ({ handle: managedHandle(info.name), info }));
  }

  async life(handle: GuestHandle): Promise<Life> {
    const name = nameIn(handle) ?? '';
    try {
      const known = await this.#ask(name, 'knows', [], AbortSignal.timeout(LIFE_MS));
      if (known === true) return { state: 'alive' };
      return { state: 'unknown', reason: 'its manager does not know it' };
    } catch (thrown) {
      return { state: 'unknown', reason: toGodwitError(thrown).message };
    }
  }

  describe({ name }: GuestHandle): HandleFacts {
    return { what: `${name} of a pretended manager`, directory: '/' };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const one = nameIn(left);
    return one !== undefined && one === nameIn(right);
  }

  async openManaged({ name }: GuestHandle, signal: AbortSignal): Promise<ManagedSession> {
    const ask = (method: string, inner: AbortSignal, ...args: unknown[]): Promise<unknown> =>
      this.#ask(name, method, args, inner);
    const settlesMs = z.number().parse(await ask('settlesMs', signal));
    return {
      settlesMs,
      inspect: async (inner) => inspection.parse(await ask('inspect', inner)),
      measure: async (inner) => guestMeasure.parse(await ask('measure', inner)),
      check: async (order, inner) => checks.parse(await ask('check', inner, order)),
      copies: async (order, inner) => copiedDisks.parse(await ask('copies', inner, order)),
      prepare: async (order, inner) => void (await ask('prepare', inner, order)),
      unprepare: async (order, isOrdered, inner) =>
        z
          .string()
          .optional()
          .parse(await ask('unprepare', inner, order, isOrdered)),
      start: async (order, inner) => void (await ask('start', inner, order)),
      look: async (order, inner) => taskSight.parse(await ask('look', inner, order)),
      steer: async (order, change, inner) => void (await ask('steer', inner, order, change)),
      where: async (order, inner) => whereabouts.parse(await ask('where', inner, order)),
      cancel: async (order, inner) => void (await ask('cancel', inner, order)),
      finish: async (order, inner) => void (await ask('finish', inner, order)),
      close: async () => {},
    };
  }

  async #ask(
    guest: string,
    method: string,
    args: readonly unknown[],
    signal: AbortSignal,
  ): Promise<unknown> {
    const asked: RemoteCall = { host: this.#host, guest, method, args: [...args] };
    const text = await exchange(this.#socket, JSON.stringify(asked), signal);
    const said = answer.parse(JSON.parse(text));
    if ('error' in said) throw fromSerial(said.error);
    return said.value;
  }
}

/** Sends one line and resolves to the one that comes back; GODWIT_UNREACHABLE where none does. */
async function exchange(path: string, line: string, signal: AbortSignal): Promise<string> {
  const socket = createConnection({ path, signal });
  try {
    socket.write(`${line}\n`);
    return await firstLine(socket);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'the connection broke';
    throw godwitError('GODWIT_UNREACHABLE', { peer: 'the manager', address: path, reason });
  } finally {
    socket.destroy();
  }
}

/** The first line that comes; rejects where the connection ends before it is whole. */
export function firstLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    const end = text.indexOf('\n');
    if (end !== -1) resolve(text.slice(0, end));
    else if (text.length > LONGEST) reject(new Error(`more than ${LONGEST} characters`));
  });
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('it ended without an answer')));
  return promise;
}
