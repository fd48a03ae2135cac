import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError, hasCode } from '../../../../src/errors.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { drained } from '../../../../src/mover/direct/source/step-actions.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import type { DestinationStatus } from '../../../../src/protocol/peer/migration.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { timeOf } from './answers.ts';

const signal = new AbortController().signal;
const LOST = godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'x' });
const COMPLETED = { type: 'hypervisor', event: { type: 'completed' } };
type There = DestinationStatus['hypervisor'];

/** Post-copy that drains: how its stream and its hypervisor stand here, and what the destination says, look by look. */
function draining(
  stream: SourceState['stream'],
  session: Error | 'there',
  there: (look: number) => There | Error,
) {
  const events: SourceEvent[] = [];
  let looks = 0;
  const context: unknown = {
    state: () => ({ ...initialSource(planned({ mode: 'postcopy' })).state, stream }),
    request: { id: 'm-00000001', request: { guest: 'web1' } },
    hypervisor: {
      session: async () => {
        if (session !== 'there') throw session;
        return {};
      },
    },
    peer: {
      resume: () => {},
      call: async () => {
        const hypervisor = there(looks);
        looks += 1;
        if (hypervisor instanceof Error) throw hypervisor;
        return { hypervisor };
      },
    },
    dispatch: (event: SourceEvent) => events.push(event),
  };
  return { over: drained(context as StepContext, signal), events, looks: () => looks };
}

describe('the drain', () => {
  test("the drain follows the hypervisor's events while it is there and its stream has not failed", async () => {
    for (const stream of ['active', 'paused', 'done'] as const) {
      const { over, events, looks } = draining(stream, 'there', () => 'postcopy');
      await over;
      assert.deepEqual([events, looks()], [[], 0]);
    }
  });

  test('the drain is complete if the destination runs without the source, whatever happened to it', async (t) => {
    timeOf(t);
    for (const [stream, session] of [
      ['failed', 'there'],
      ['lost', 'there'],
      ['active', LOST],
    ] as const) {
      for (const later of [0, 1, 20]) {
        const there = (look: number): There => (look < later ? 'postcopy' : 'running');
        const { over, events, looks } = draining(stream, session, there);
        await over;
        assert.deepEqual([events, looks()], [[COMPLETED], later + 1]);
      }
    }
  });

  test('the drain is lost if the destination still waits after ten seconds, or its hypervisor gave up', async (t) => {
    const time = timeOf(t);
    const waits = draining('failed', 'there', () => 'postcopy');
    await assert.rejects(waits.over, (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_LOST'));
      assert.match(thrown.message, /its stream broke/);
      return true;
    });
    assert.ok(time.now() >= 10_000 && time.now() < 11_000);
    for (const there of ['postcopy-paused', 'gone', 'none'] as const) {
      const { over, events, looks } = draining('lost', 'there', () => there);
      await assert.rejects(over, (thrown) => {
        assert.ok(hasCode(thrown, 'GODWIT_LOST'));
        assert.match(thrown.message, /its source died/);
        return true;
      });
      assert.deepEqual([events, looks()], [[], 1]);
    }
  });

  test("the drain is not lost while the destination or the source's monitor cannot be reached", async () => {
    const silent = godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'x', reason: 'silent' });
    await assert.rejects(draining('lost', 'there', () => silent).over, silent);
    const away = godwitError('GODWIT_MONITOR_UNREACHABLE', {
      side: 'source',
      guest: 'web1',
      reason: 'busy',
    });
    const { over, looks } = draining('active', away, () => 'gone');
    await assert.rejects(over, away);
    assert.equal(looks(), 0);
  });
});
