import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { replaySource } from '../../../../src/migration/direct/journal.ts';
import { streamMode } from '../../../../src/protocol/public/migration.ts';
import { assertMoved, assertStayed, openHeld } from '../ends.ts';
import { hostsFor, type Hosts } from '../lay-host.ts';
import { Stage, killSourceAt, spareSource } from '../stage.ts';

let certificates: Hosts;

before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

/** Kills the source's mover around each record in turn, and lets a second one go on. */
async function takeOverEverywhere(
  t: TestContext,
  when: 'before' | 'after',
  open: (each: TestContext) => Promise<Stage>,
  check: (stage: Stage, outcome: string) => void,
): Promise<void> {
  for (let count = 0, ended = false; !ended; count += 1) {
    await t.test(`the journal replays to its state: ${when} record ${count + 1}`, async (each) => {
      const stage = await open(each);
      killSourceAt(each, count, when);
      try {
        const outcome = await stage.run();
        spareSource(each);
        ended = true;
        check(stage, outcome);
        return;
      } catch (thrown) {
        spareSource(each);
        if (!(thrown instanceof Error) || thrown.message !== 'the mover was killed') throw thrown;
      }
      check(stage, await stage.run());
      assert.deepEqual(replaySource(stage.events), stage.source.coordinator.state);
    });
  }
}

describe('a mover that takes over', () => {
  for (const one of streamMode.options) {
    for (const when of ['before', 'after'] as const) {
      test(`a mover that takes over ends the work of a dead one: ${one}, killed ${when} each record`, async (t) => {
        await takeOverEverywhere(
          t,
          when,
          (each) => Stage.open(each, certificates, one),
          (stage, outcome) => {
            assert.equal(outcome, 'done');
            assertMoved(stage);
          },
        );
      });
    }
  }

  test('a mover that takes over finishes a rollback that a dead one began', async (t) => {
    const open = async (each: TestContext): Promise<Stage> => {
      const stage = await openHeld(each, certificates);
      stage.hosts.faults.set('source.continueSwitchover', { when: 'before', always: true });
      return stage;
    };
    await takeOverEverywhere(t, 'after', open, (stage, outcome) => {
      assert.equal(outcome, 'failed');
      assertStayed(stage);
    });
  });
});
