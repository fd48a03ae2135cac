import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { godwitError } from '../../errors.ts';
import { withDeadline } from '../../deadline.ts';
import { fromSerial } from '../../protocol/errors.ts';
import {
  receiverLine,
  type ReceiverOrder,
  type ReceiverPlace,
} from '../../protocol/mover/receiver.ts';
import { MOVER_ENVIRONMENT, UNOPTIMISED_FLAGS } from '../../system/processes/small-process.ts';
import { jsonLine } from '../../formats/json.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/receiver.ts', import.meta.url));
const READY_MS = 10_000;

/** It outlives the agent. */
export interface ReceiverProcess {
  /** The receiver's address. Rejects with the reason if the receiver did not start; it is gone then. */
  readonly ready: Promise<ReceiverPlace>;
  readonly gone: Promise<void>;
  kill(): void;
}

export type StartReceiver = (order: ReceiverOrder) => ReceiverProcess;

export function receiverProcesses(configFile: string): StartReceiver {
  return (order) => {
    const child = spawn(process.execPath, [...UNOPTIMISED_FLAGS, PROGRAM, configFile], {
      detached: true,
      cwd: '/',
      env: { ...process.env, ...MOVER_ENVIRONMENT },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.unref();
    const said = Promise.withResolvers<string>();
    const gone = Promise.withResolvers<void>();
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stdout }).once('line', said.resolve);
    const ended = (why: string): void => {
      said.reject(godwitError('GODWIT_INTERNAL', { what: `a receiver ended: ${why}` }));
      gone.resolve();
    };
    child.once('error', ({ message }) => ended(message));
    child.once('close', (_code, by) => ended(by ?? 'without a word'));
    const kill = (): void => void child.kill('SIGKILL');
    const ready = withDeadline('to start a receiver', READY_MS, undefined, () => said.promise)
      .then(read)
      .catch((thrown: unknown) => {
        kill();
        throw thrown;
      });
    child.stdin.end(jsonLine(order));
    return { ready, gone: gone.promise, kill };
  };
}

function read(text: string): ReceiverPlace {
  const line = receiverLine.parse(JSON.parse(text));
  if ('error' in line) throw fromSerial(line.error);
  return line;
}
