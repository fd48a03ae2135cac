import { mkdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { godwitError } from '../../src/errors.ts';
import { inHost } from '../entry.ts';
import { labEnvironment } from '../environment.ts';
import { labGuest } from '../guest/registry.ts';
import { COUNTER_PORT } from '../plan.ts';
import { isAlive, type ProcessIdentity } from '../../src/system/processes/process.ts';
import { endProcesses, startDetached } from '../processes.ts';
import type { Lab } from '../state.ts';
import { type ProbeAnswer, probeAnswer, type ProbeRequest } from './messages.ts';

/** What a client saw since the last mark. */
export interface ClientView extends ProbeAnswer {
  /** Largest time without an answer, ms. */
  readonly clientGapMs: number;
  /** The very connection that was open at the mark, with not a byte lost or doubled. */
  readonly connectionKept: boolean;
}

export interface Probe {
  readonly guest: string;
  /** Counts gaps from now on and remembers the connection. */
  mark(): Promise<void>;
  read(): Promise<ClientView>;
  /** As read, once everything sent so far has been answered; GODWIT_DEADLINE when it is not in time. */
  settle(deadlineMs?: number, signal?: AbortSignal): Promise<ClientView>;
  /** Ends the probe's process. */
  stop(): Promise<void>;
}

const ASK_DEADLINE_MS = 5000;
const START_DEADLINE_MS = 20_000;

/**
 * Starts a client that talks to a guest's counter all the time (by default a line every 3 ms), or
 * takes up the one that does. Throws GODWIT_GUEST_UNKNOWN; GODWIT_LAB when the guest does not answer.
 */
export async function openProbe(
  lab: Lab,
  guest: string,
  { intervalMs = 3, signal }: { intervalMs?: number; signal?: AbortSignal } = {},
): Promise<Probe> {
  const { address } = await labGuest(lab, guest);
  const socket = probeSocket(lab, guest);
  const standing = await ask(socket, { verb: 'read' }).catch(() => undefined);
  if (standing?.connected === true) return probeAt(socket, guest);
  // One whose connection broke says so until somebody asks for a new one.
  if (standing !== undefined) await ask(socket, { verb: 'stop' }).catch(() => {});
  await mkdir(path.dirname(socket), { recursive: true, mode: 0o700 });
  await rm(socket, { force: true });
  const program = fileURLToPath(new URL('probe-main.ts', import.meta.url));
  const argv = [
    process.execPath,
    program,
    address,
    String(COUNTER_PORT),
    String(intervalMs),
    socket,
  ];
  const logFile = `${socket}.log`;
  const started = await startDetached(inHost(lab, 'client', argv), {
    logFile,
    env: labEnvironment(lab),
  });
  try {
    await withDeadline(`the probe of ${guest}`, START_DEADLINE_MS, signal, (inner) =>
      waitUntilServing(socket, started, logFile, inner),
    );
  } catch (error) {
    await endProcesses(async () => (isAlive(started) ? [started] : []), { graceMs: 0 });
    throw error;
  }
  return probeAt(socket, guest);
}

/** What the probe of a guest sees, when one is running; undefined otherwise. */
export async function readProbe(lab: Lab, guest: string): Promise<ProbeAnswer | undefined> {
  return ask(probeSocket(lab, guest), { verb: 'read' }).catch(() => undefined);
}

function probeSocket(lab: Lab, guest: string): string {
  return path.join(lab.dir, 'probes', `${guest}.sock`);
}

async function waitUntilServing(
  socket: string,
  started: ProcessIdentity,
  logFile: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const answer = await ask(socket, { verb: 'read' }).catch(() => undefined);
    if (answer !== undefined) return;
    if (!isAlive(started)) {
      const said = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').at(-1);
      throw godwitError('GODWIT_LAB', {
        what: `the probe could not connect: ${said || 'no reason given'}`,
      });
    }
    await systemClock.sleep(20, signal);
  }
}

function probeAt(socket: string, guest: string): Probe {
  let marked: ProbeAnswer | undefined;
  const view = async (): Promise<ClientView> => {
    const answer = await ask(socket, { verb: 'read' });
    const same = marked === undefined || marked.localPort === answer.localPort;
    const intact = answer.lost === 0 && answer.doubled === 0;
    return {
      ...answer,
      clientGapMs: answer.gapMs,
      connectionKept: answer.connected && same && intact,
    };
  };
  return {
    guest,
    async mark() {
      marked = await ask(socket, { verb: 'mark' });
    },
    read: view,
    async settle(deadlineMs = 10_000, signal) {
      const { sent } = await view();
      const what = `the answers of ${guest} to its client`;
      return withDeadline(what, deadlineMs, signal, async (inner) => {
        for (;;) {
          const now = await view();
          if (now.received >= sent || !now.connected) return now;
          await systemClock.sleep(5, inner);
        }
      });
    },
    async stop() {
      await ask(socket, { verb: 'stop' }).catch(() => undefined);
      await rm(socket, { force: true });
    },
  };
}

async function ask(socketPath: string, request: ProbeRequest): Promise<ProbeAnswer> {
  return withDeadline('an answer of the probe', ASK_DEADLINE_MS, undefined, (signal) => {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath);
      let text = '';
      const fail = (cause: unknown): void => {
        reject(godwitError('GODWIT_LAB', { what: 'no probe is running' }, { cause }));
        socket.destroy();
      };
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
      socket.on('error', fail).on('close', () => fail(undefined));
      socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (!text.includes('\n')) return;
        try {
          resolve(probeAnswer.parse(JSON.parse(text)));
        } catch (error) {
          fail(error);
        }
        socket.destroy();
      });
    });
  });
}
