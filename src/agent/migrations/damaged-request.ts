import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { GodwitError } from '../../errors.ts';
import {
  destinationEvent,
  type DestinationEvent,
} from '../../migration/direct/destination/destination.ts';
import { sourceEvent, type SourceEvent } from '../../migration/direct/source/source-state.ts';
import { managedEvent, type ManagedEvent } from '../../migration/managed/events.ts';
import { journalFile, type JournalOf, type MoverRequest } from '../../protocol/mover/request.ts';
import { migrationSettings } from '../../protocol/public/migration.ts';

/**
 * A begun migration with an unreadable request. It stays on the list as held: its id is taken, its guest is busy, and
 * nothing that may belong to it is removed.
 */
export interface Damage {
  readonly error: GodwitError;
  /** False if the journal does not name the guest either: it may be any guest of this host. */
  readonly isGuestKnown: boolean;
}

const MAX_RECORD_BYTES = 4 * 1024 * 1024;
const KINDS = ['source', 'destination', 'managed'] as const satisfies JournalOf[];

export function journalsIn(dir: string): readonly JournalOf[] {
  return KINDS.filter((of) => sizeOf(path.join(dir, journalFile(of))) > 0);
}

/** Replaces the unreadable request, with values from the journal's first record. No mover is started by it. */
export function standInFor(
  dir: string,
  host: string,
  of: JournalOf,
): { readonly request: MoverRequest; readonly isGuestKnown: boolean } {
  const file = path.join(dir, journalFile(of));
  const id = path.basename(dir);
  const { first, atMs = statSync(file).mtimeMs } = firstRecord(file, of) ?? {};
  const createdAt = new Date(atMs).toISOString();
  if (first?.type === 'admitted') {
    const { admission } = first;
    const { from } = admission;
    const peer = { name: from, address: NOWHERE };
    const sides = { id, createdAt, fromHost: from, toHost: host, side: 'destination' } as const;
    return { request: { ...sides, version: 1, peer, admission }, isGuestKnown: true };
  }
  const { guest, from, to, settings } =
    first?.type === 'planned'
      ? first
      : { guest: NAMELESS, from: host, to: host, settings: migrationSettings.parse({}) };
  const request = {
    id,
    createdAt,
    fromHost: from,
    toHost: to,
    side: 'source',
    request: { ...settings, guest, to },
    handle: { driver: 'unknown', name: guest },
    memoryBytes: 0,
    version: 1,
    peer: { name: to, address: NOWHERE },
  } as const;
  return { request, isGuestKnown: first !== undefined };
}

const NOWHERE = '127.0.0.1:1';
const NAMELESS = 'unknown';

const EVENTS = { source: sourceEvent, destination: destinationEvent, managed: managedEvent };
const MAX_DATE_MS = 8.64e15;
const firstLine = z.object({ at: z.number().nonnegative().max(MAX_DATE_MS), event: z.unknown() });

interface FirstRecord {
  readonly first: PlannedEvent | AdmittedEvent;
  readonly atMs: number;
}

function firstRecord(file: string, of: JournalOf): FirstRecord | undefined {
  try {
    const [line = ''] = headOf(file).split('\n', 1);
    const { at: atMs, event } = firstLine.parse(JSON.parse(line));
    const first = EVENTS[of].parse(event);
    return first.type === 'planned' || first.type === 'admitted' ? { first, atMs } : undefined;
  } catch {
    return undefined;
  }
}

type PlannedEvent = Extract<SourceEvent | ManagedEvent, { type: 'planned' }>;
type AdmittedEvent = Extract<DestinationEvent, { type: 'admitted' }>;

function headOf(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(MAX_RECORD_BYTES, fstatSync(fd).size));
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(fd);
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
