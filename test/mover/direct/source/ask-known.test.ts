import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { parseAgentConfig, type AgentConfig } from '../../../../src/config.ts';
import { cacheFor } from '../../../../src/host/wire.ts';
import { answerKnown } from '../../../../src/mover/direct/destination/known.ts';
import { KnownThread } from '../../../../src/mover/direct/destination/known-thread.ts';
import { askKnown } from '../../../../src/mover/direct/source/ask-known.ts';
import { knownQuestion } from '../../../../src/protocol/wire.ts';
import { circlesOf } from '../../../../src/wire/cache/circles.ts';
import { Store } from '../../../../src/wire/cache/store.ts';
import { pageOf } from '../../../wire/codec/support.ts';

const TERMS = { linkGraceMs: 60_000, sharing: 'guest' } as const;
const GUEST = { guest: 'web1', to: 'b' };

function hostOf(t: TestContext, name: string, cache: object = {}): AgentConfig {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), 'godwit-known-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  mkdirSync(path.join(stateDir, 'pki'));
  writeFileSync(path.join(stateDir, 'pki', 'site.secret'), 'ab'.repeat(32));
  const config = { name, address: '10.0.0.1:7443', stateDir, cache };
  return parseAgentConfig('agent.json', JSON.stringify(config));
}

/** What was exchanged with `peer` of the guest's pages. */
async function keep(config: AgentConfig, peer: string, seeds: readonly number[]): Promise<void> {
  const cache = cacheFor(config, 'web1', TERMS, peer);
  assert.ok(cache !== undefined);
  const [circle] = circlesOf(cache);
  assert.ok(circle !== undefined);
  const { directory, mostBytes } = cache;
  const store = await Store.open({ directory, mostBytes, scope: circle.scope });
  for (const seed of seeds) store.insert(circle.scope.nameOf(pageOf(seed)), pageOf(seed));
  store.close();
}

function tagsOf(config: AgentConfig): string[] {
  const cache = cacheFor(config, 'web1', TERMS, 'b');
  return cache === undefined ? [] : circlesOf(cache).map(({ scope }) => scope.tag);
}

describe("the destination's cache", () => {
  test("the source detects by the destination's answer which pages its cache has", async (t) => {
    const [a, b] = [hostOf(t, 'a'), hostOf(t, 'b')];
    await keep(b, 'a', [1, 2, 3]);
    const knows = await askKnown(a, GUEST, (question) =>
      answerKnown(b, { guest: 'web1', from: 'a' }, knownQuestion.parse(question)),
    );
    assert.deepEqual(
      [1, 3, 4].map((seed) => knows?.(pageOf(seed))),
      [true, true, false],
    );
    // The same by a thread of its own, and one question at a time.
    const thread = new KnownThread();
    const admission = { guest: 'web1', from: 'a' };
    const never = new AbortController().signal;
    let second: object | undefined;
    const byThread = await askKnown(a, GUEST, async (question) => {
      const first = thread.answer({ config: b, admission, question }, never);
      second = await thread.answer({ config: b, admission, question }, never);
      return first;
    });
    assert.deepEqual([byThread?.(pageOf(1)), byThread?.(pageOf(4)), second], [true, false, {}]);
    // Once that thread has ended, the next question is answered.
    const next = {
      config: b,
      admission,
      question: knownQuestion.parse({ sharing: 'guest', tags: tagsOf(a) }),
    };
    while ((await thread.answer(next, never)).known === undefined) await new Promise(setImmediate);
    assert.deepEqual(
      await thread.answer(
        { config: b, admission, question: { sharing: 'guest', tags: [''] } },
        AbortSignal.abort(),
      ),
      {},
    );
    // Another source learns nothing of what this one has sent.
    const told = await askKnown(hostOf(t, 'c'), GUEST, (question) =>
      answerKnown(b, { guest: 'web1', from: 'c' }, question),
    );
    assert.equal(told?.(pageOf(1)), false);
  });

  test('the source assumes nothing about the cache without an answer, and does not ask without a shared circle', async (t) => {
    const a = hostOf(t, 'a');
    const silent = await askKnown(a, GUEST, () => Promise.reject(new Error('an earlier build')));
    assert.equal(silent, undefined);
    assert.equal(await askKnown(a, GUEST, () => Promise.resolve({})), undefined);
    const lies = { tag: 'of no circle', parts: 1 as const, summary: 'AAAA' };
    assert.equal(await askKnown(a, GUEST, () => Promise.resolve({ known: lies })), undefined);
    const alone = hostOf(t, 'a', { scope: 'none' });
    assert.equal(await askKnown(alone, GUEST, () => assert.fail('it was asked')), undefined);
  });
});
