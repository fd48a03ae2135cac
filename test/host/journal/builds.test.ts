import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  DESTINATION_JOURNAL,
  MANAGED_JOURNAL,
  SOURCE_JOURNAL,
} from '../../../src/host/journal/journal.ts';
import {
  LineReader,
  type JournalKind,
  type JournalRecord,
} from '../../../src/host/journal/journal-lines.ts';
import { replayDestination, replaySource } from '../../../src/migration/direct/journal.ts';
import {
  decideMove,
  diskMoveRecord,
  replayMove,
  wordFor,
  type MoveSight,
} from '../../../src/migration/disk-move.ts';
import { replayManaged } from '../../../src/migration/managed/journal.ts';

/**
 * Journals as the build of 30 November 2026 wrote them in labs: of real guests, in every mode, over both paths, with faults
 * in each step. A mover of this build takes them over where they stand, at each of their records. `states.json` has where
 * that was, by that build: an upgrade in the midst of a migration must not move it. The journals of disk moves are of the
 * same build, on a pretended hypervisor.
 */

const DIRECTORY = path.resolve(import.meta.dirname, '../../fixtures/journals');
const STATES = JSON.parse(readFileSync(path.join(DIRECTORY, 'states.json'), 'utf8')) as Record<
  string,
  readonly string[]
>;

type Doing = { readonly kind: string; readonly step?: string; readonly outcome?: string };
const doingWord = ({ kind, step = '', outcome = '' }: Doing): string => `${kind} ${step}${outcome}`;

/** Where a migration stands after each of its records, in words. */
function wordsOf<T extends JournalRecord>(
  file: string,
  kind: JournalKind<T>,
  wordAfter: (events: T['event'][]) => string,
): string[] {
  const reader = new LineReader(kind);
  const records = reader.take(readFileSync(path.join(DIRECTORY, file)));
  assert.equal(reader.damage, undefined, file);
  const events = records.map(({ event }) => event as T['event']);
  return events.map((_, index) => wordAfter(events.slice(0, index + 1)));
}

const RESTING = {
  on: 'old',
  job: 'none',
  open: false,
  nearly: false,
  isWriteBlocking: false,
} as const;
/** What an agent that takes a disk move over may find. */
const SIGHTS: Readonly<Record<string, MoveSight>> = {
  gone: { ...RESTING, hypervisor: 'gone', on: 'neither' },
  'on new': { ...RESTING, hypervisor: 'lives', on: 'new' },
  'no job': { ...RESTING, hypervisor: 'lives' },
  pending: { ...RESTING, hypervisor: 'lives', job: 'pending', open: true },
};

function statesOf(file: string): string[] {
  if (file.startsWith('disk-move')) {
    return wordsOf(file, { schema: diskMoveRecord, first: 'begun' }, (events) => {
      const state = replayMove(events);
      if (state === undefined) return 'nothing';
      const deeds = Object.entries(SIGHTS).map(
        ([name, sight]) => `${name}: ${decideMove(state, sight)}`,
      );
      return `${wordFor(state)} ${state.attempts}; ${deeds.join(', ')}`;
    });
  }
  if (file.startsWith('source')) {
    return wordsOf(file, SOURCE_JOURNAL, (events) => {
      const state = replaySource(events);
      if (state === undefined) return 'nothing';
      const { doing, right, via, stream, stopped } = state;
      return `${doingWord(doing)} ${right} ${via} ${stream}${stopped ? ' stopped' : ''}`;
    });
  }
  if (file.startsWith('managed')) {
    return wordsOf(file, MANAGED_JOURNAL, (events) => {
      const state = replayManaged(events);
      return state === undefined
        ? 'nothing'
        : `${doingWord(state.doing)} ${state.order} ${state.task}`;
    });
  }
  return wordsOf(file, DESTINATION_JOURNAL, (events) => {
    const state = replayDestination(events);
    if (state === undefined) return 'nothing';
    const { stage, right, hypervisor, hasRun } = state;
    return `${stage} ${right} ${hypervisor}${hasRun ? ' ran' : ''}`;
  });
}

describe('a journal of an earlier build', () => {
  const files = readdirSync(DIRECTORY).filter((file) => file.endsWith('.jsonl'));
  for (const file of files) {
    test(`a journal of an earlier build has its state: ${file}`, () => {
      assert.deepEqual(statesOf(file), STATES[file]);
    });
  }

  test('a journal of an earlier build exists for each of those states', () => {
    assert.deepEqual(files.toSorted(), Object.keys(STATES).toSorted());
  });
});
