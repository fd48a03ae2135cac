import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openSourceJournal, readJournals } from '../../src/host/journal/journal.ts';
import { systemClock } from '../../src/clock.ts';
import { earlierBuild, hasCommit, PREVIOUS } from '../e2e/support/earlier-build.ts';
import { settle } from '../migration/direct/drive.ts';
import { World } from '../migration/direct/world.ts';

/** Opens a journal as a mover of the previous build does, appends to it, and says what was there. */
const OPEN = `
  const [build, dir] = process.argv.slice(2);
  const { openSourceJournal } = await import(build + '/src/mover/journal.ts');
  const { systemClock } = await import(build + '/src/clock.ts');
  const { journal, events } = openSourceJournal(dir, systemClock);
  await journal.append({ type: 'taken-over', pid: 7, rebooted: false }, 'sync');
  await journal.close();
  process.stdout.write(JSON.stringify(events));
`;

test(
  'a journal of this build is read completely by the previous one, and vice versa',
  { skip: hasCommit(PREVIOUS) ? false : 'the checkout has not its history' },
  async (t) => {
    const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const build = earlierBuild(PREVIOUS);
    t.after(() => build?.remove());
    const root = path.resolve(path.dirname(build?.agent ?? ''), '../..');
    const script = path.join(dir, 'open.mjs');
    writeFileSync(script, OPEN);
    const world = new World();
    settle(world);

    const { journal } = openSourceJournal(dir, systemClock);
    for (const event of world.journal) await journal.append(event, 'later');
    await journal.close();
    const written = readJournals(dir).source.map(({ event }) => event);
    const file = path.join(dir, 'journal-source.jsonl');
    const before = readFileSync(file);
    const seen: unknown = JSON.parse(
      execFileSync(process.execPath, [script, root, dir], { encoding: 'utf8' }),
    );
    assert.deepEqual(seen, written);
    assert.deepEqual(readFileSync(file).subarray(0, before.length), before);

    const again = openSourceJournal(dir, systemClock);
    assert.deepEqual(again.events.slice(0, -1), written);
    assert.equal(again.events.at(-1)?.type, 'taken-over');
    await again.journal.append({ type: 'cancel' }, 'sync');
    await again.journal.close();
    assert.equal(readJournals(dir).source.length, written.length + 2);
  },
);
