import { phaseOf } from '../../../src/migration/direct/source/source-state.ts';
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { followJournal } from '../../../src/agent/migrations/followed-journal.ts';
import { replaySource } from '../../../src/migration/direct/journal.ts';
import { linesOf, recordsOf } from '../../host/journals.ts';
import { chance } from '../../migration/direct/drive.ts';

test('a followed journal yields the complete state at each record', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  try {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), fc.nat(), ({ world }, each) => {
        const file = path.join(dir, 'journal-source.jsonl');
        rmSync(file, { force: true });
        const followed = followJournal(dir, 'source');
        const { journal } = world;
        for (const [at, line] of linesOf(recordsOf(journal)).entries()) {
          appendFileSync(file, line);
          if (at % ((each % 5) + 1) !== 0 && at < journal.length - 1) continue;
          const { progress, begun, isEnded } = followed.look();
          const whole = replaySource(journal.slice(0, at + 1));
          assert.equal(begun, true);
          assert.equal(progress(0)?.phase, whole === undefined ? undefined : phaseOf(whole));
          assert.deepEqual(progress(0)?.error, whole?.because);
          assert.equal(isEnded, whole?.doing.kind === 'end');
        }
      }),
      { numRuns: 50 },
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
