import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { godwitError, hasCode } from '../../../../src/errors.ts';
import { initialSource } from '../../../../src/migration/direct/source/source-state.ts';
import { release } from '../../../../src/mover/direct/source/release.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { answer, peerOf, timeOf, type Answer } from './answers.ts';

const { signal } = new AbortController();

/** A destination that answers so to `release`, and whose path answers as `path` says for each moment. */
function releasing(t: TestContext, given: Answer<object>, path: (nowMs: number) => boolean) {
  const { now } = timeOf(t);
  const api = {
    release: (_asked: unknown, options: { signal: AbortSignal }) => answer(given, options.signal),
  };
  const peer = { ...peerOf(api), address: '10.0.0.2:7443', answers: async () => path(now()) };
  const context: unknown = {
    request: { id: 'm-00000001', toHost: 'b' },
    peer,
    state: () => initialSource(planned()).state,
  };
  return { released: release(context as StepContext, signal), now };
}

describe('the release of a destination', () => {
  test("a release is awaited while its path answers, however slow it is, up to the undo's deadline", async (t) => {
    const gone = godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'x', reason: 'enough' });
    const { released, now } = releasing(t, 'silent', (nowMs) => {
      if (nowMs > 100_000) throw gone;
      return true;
    });
    await assert.rejects(released, gone);
    assert.ok(now() > 100_000, String(now()));
  });

  test('a release is given up once the destination has been dark for 45 s, and reports the consequence', async (t) => {
    const { released, now } = releasing(t, 'silent', () => false);
    await assert.rejects(released, (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_UNREACHABLE'), String(thrown));
      assert.match(String(thrown), /nothing for 45\.0 s; it gives up its part by itself/);
      return true;
    });
    assert.ok(now() >= 45_000 && now() < 47_000, String(now()));
  });

  test('the wait for a release restarts each time that its path answered', async (t) => {
    const { released, now } = releasing(t, 'silent', (nowMs) => nowMs > 39_000 && nowMs < 42_000);
    await assert.rejects(released);
    assert.ok(now() >= 85_000 && now() < 88_000, String(now()));
  });

  test('a release is done if the destination has done it, or does not have the migration', async (t) => {
    const unknown = godwitError('GODWIT_MIGRATION_UNKNOWN', { id: 'm-00000001', host: 'b' });
    for (const given of [unknown, {}])
      await t.test(
        given === unknown ? 'unknown' : 'done',
        (inner) => releasing(inner, given, () => true).released,
      );
  });
});
