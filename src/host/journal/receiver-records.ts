import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import {
  receiverRecord,
  type ReceiverOrder,
  type ReceiverRecord,
} from '../../protocol/mover/receiver.ts';
import { isAlive, ownIdentity } from '../../system/processes/process.ts';
import { writeWhole } from '../../system/files/whole-file.ts';

/** Records of this host's receivers, one file each; a restarted agent finds earlier receivers by them. */

type Of = Pick<ReceiverOrder, 'id' | 'from'>;

/** At most one per host and id. */
export function receiverName({ id, from }: Of): string {
  return `${id}-${from}`;
}

function fileOf(stateDir: string, of: Of): string {
  return path.join(stateDir, 'receivers', `${receiverName(of)}.json`);
}

export function recordReceiver(stateDir: string, order: ReceiverOrder): void {
  const { id, from, socket, diskSocket } = order;
  const file = fileOf(stateDir, { id, from });
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const record: ReceiverRecord = { id, from, socket, diskSocket, ...ownIdentity() };
  writeWhole(file, `${JSON.stringify(record)}\n`);
}

export function forgetReceiver(stateDir: string, of: Of): void {
  rmSync(fileOf(stateDir, of), { force: true });
}

export function removeSockets({
  socket,
  diskSocket,
}: Pick<ReceiverOrder, 'socket' | 'diskSocket'>): void {
  for (const each of [socket, diskSocket]) if (each !== undefined) rmSync(each, { force: true });
}

export function recordedReceivers(stateDir: string): {
  readonly alive: readonly ReceiverRecord[];
  readonly dead: readonly ReceiverRecord[];
} {
  const directory = path.join(stateDir, 'receivers');
  const all = filesIn(directory).flatMap((name) => read(path.join(directory, name)));
  return { alive: all.filter(isAlive), dead: all.filter((each) => !isAlive(each)) };
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.json'));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  }
}

/** Empty if the file is gone or of another build. */
function read(file: string): ReceiverRecord[] {
  try {
    return [receiverRecord.parse(JSON.parse(readFileSync(file, 'utf8')))];
  } catch {
    return [];
  }
}
