import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { capLog, isMissing } from '../../host/guest-logs.ts';
import { isAlive, startTicksOf } from '../../system/processes/process.ts';
import type { Log } from '../../log.ts';
import { agentContract } from '../../protocol/contract.ts';
import { client, type Api, type Client, type ClientOptions } from '../../rpc/client.ts';
import { holderOfSocket } from '../../rpc/port-holder.ts';
import type { AgentDirectory } from './agent-directory.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/agent.ts', import.meta.url));
const LOOK_MS = 2000;
const MAX_PAUSE_MS = 30_000;
const ANSWER_MS = 2000;
const END_MS = 10_000;
const MAX_LOG_BYTES = 4 * 1024 * 1024;

export interface ManagerProcessDependencies {
  readonly place: AgentDirectory;
  readonly prepare: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export class ManagerProcess {
  readonly #deps: ManagerProcessDependencies;
  readonly #end = new AbortController();
  readonly #ended: Promise<void>;
  #child: ChildProcess | undefined;
  hasAnswered = false;

  constructor(deps: ManagerProcessDependencies) {
    this.#deps = deps;
    this.#ended = this.#run();
  }

  speak(options?: ClientOptions): Client<typeof agentContract> {
    const { socket, name } = this.#deps.place;
    return client(agentContract, { unix: socket, peer: `the agent of ${name}` }, options);
  }

  async ask<T>(work: (api: Api<typeof agentContract>) => Promise<T>): Promise<T> {
    const { api, close } = this.speak();
    try {
      return await work(api);
    } finally {
      close();
    }
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#ended;
    const child = this.#child;
    if (child === undefined || !isRunning(child)) {
      await endAgentAt(this.#deps.place, this.#deps.clock);
      return;
    }
    const gone = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    child.kill('SIGTERM');
    await gone;
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    const { clock, log, place } = this.#deps;
    let pauseMs = LOOK_MS;
    while (!signal.aborted) {
      try {
        const isThere = this.#child !== undefined && isRunning(this.#child);
        if ((await this.#answers()) || isThere) {
          pauseMs = LOOK_MS;
          await this.#capLog();
        } else {
          if (this.#child !== undefined) {
            log.warn({ manager: place.name, log: place.log }, 'agent of a manager ended');
            pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
          }
          await this.#deps.prepare();
          await this.#capLog();
          if (!signal.aborted) this.#child = started(place);
        }
      } catch (thrown) {
        const error = toGodwitError(thrown);
        log.error({ manager: place.name, error }, 'agent of a manager cannot be started');
        pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
      }
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
  }

  async #capLog(): Promise<void> {
    const { log, place } = this.#deps;
    await capLog(place.log, MAX_LOG_BYTES).catch((error: unknown) => {
      if (isMissing(error)) return;
      log.warn({ manager: place.name, log: place.log, error }, 'log of an agent not truncated');
    });
  }

  #answers(): Promise<boolean> {
    return this.ask((api) => api.health({}, { deadlineMs: ANSWER_MS })).then(
      () => (this.hasAnswered = true),
      () => false,
    );
  }
}

/** Ends an earlier controller's agent; its movers keep running. Its pid shows that it has ended. */
export async function endAgentAt(
  { socket }: Pick<AgentDirectory, 'socket'>,
  clock: Clock,
): Promise<void> {
  const { pid } = holderOfSocket(socket) ?? {};
  const startTicks = pid === undefined ? undefined : startTicksOf(pid);
  if (pid === undefined || startTicks === undefined) return;
  const untilMs = clock.monotonicMs() + END_MS;
  signalTo(pid, 'SIGTERM');
  while (isAlive({ pid, startTicks })) {
    if (clock.monotonicMs() > untilMs) signalTo(pid, 'SIGKILL');
    await clock.sleep(50);
  }
}

function started(place: AgentDirectory): ChildProcess {
  // Appended, so that a log cut in place has no hole and keeps the last agent's end.
  const log = openSync(place.log, 'a', 0o600);
  try {
    const child = spawn(process.execPath, [PROGRAM, '--config', place.config], {
      cwd: '/',
      stdio: ['ignore', log, log],
    });
    child.on('error', () => {});
    return child;
  } finally {
    closeSync(log);
  }
}

function isRunning({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
