import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { AfterMove, type AfterMoveDependencies } from '../../../src/agent/migrations/after-move.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { silentLog } from '../../../src/log.ts';
import type { LaterAnswer } from '../../../src/protocol/peer/probe.ts';
import type { Phase, Report } from '../../../src/protocol/public/migration.ts';
import { ID, report } from '../../cli/fake.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const FOR = 60_000;
const LATER = { sent: 10, answered: 9, gapMs: 5, forMs: 1000, complete: false } as const;

/** The host a, from which a guest went to b; c and a itself probe it. */
function host(t: TestContext, given: { side?: 'source' | 'destination'; hosts?: string[] } = {}) {
  const dir = tempDir(t);
  const { side = 'source', hosts = ['c'] } = given;
  const at = { nowMs: 1_000_000, phase: 'done' as Phase, isEnded: true, reads: 0 };
  const endedAt = new Date(at.nowMs).toISOString();
  const createdAt = new Date(at.nowMs - 500).toISOString();
  const request = { side, fromHost: 'a', toHost: 'b', createdAt, request: {} };
  const migration = { id: ID, dir, request } as unknown as Migration;
  const vantages = hosts.map((name) => ({ host: name, goesOnMs: FOR }));
  const own = report({ outcome: 'done', endedAt, vantages });
  const answers: Record<string, () => LaterAnswer> = {};
  const asked: string[] = [];
  const ask = (name: string): LaterAnswer => {
    asked.push(name);
    return answers[name]?.() ?? { later: LATER };
  };
  const parts = {
    name: 'a',
    clock: { wallMs: () => at.nowMs },
    log: silentLog,
    store: {
      all: () => [migration],
      isEnded: () => at.isEnded,
      progress: () => ({ phase: at.phase, elapsedMs: 500 }),
      report: () => {
        at.reads += 1;
        return own;
      },
    },
    peers: { probing: (name: string) => ({ laterWatch: async () => ask(name) }) },
    probes: { later: () => ask('a') },
  } as unknown as AfterMoveDependencies;
  const file = path.join(dir, 'later.json');
  const open = () => new AfterMove(parts);
  const shown = (each: AfterMove): Report['vantages'] => each.complete(own, dir).vantages;
  return { at, asked, answers, file, open, shown };
}

describe('the source after a move', () => {
  test('an agent asks every prober, including itself, keeps the answers and shows them in the report', async (t) => {
    const { at, asked, answers, file, open, shown } = host(t, { hosts: ['c', 'a'] });
    const agent = open();
    await agent.look();
    assert.deepEqual(asked, []);
    at.nowMs += 30_000;
    await agent.look();
    await agent.look();
    assert.deepEqual(asked, ['c', 'a']);
    assert.deepEqual(shown(agent)?.[0]?.latency?.later, LATER);
    at.nowMs += 30_000;
    const complete = { ...LATER, complete: true };
    for (const name of ['c', 'a']) answers[name] = () => ({ later: complete });
    await agent.look();
    assert.deepEqual(
      shown(agent)?.map(({ latency }) => latency?.later),
      [complete, complete],
    );
    at.nowMs += 3_600_000;
    await agent.look();
    assert.equal(asked.length, 4);
    assert.match(readFileSync(file, 'utf8'), /"complete":true/);
  });

  test('an agent continues from its file after a restart', async (t) => {
    const { at, asked, open, shown } = host(t);
    const first = open();
    await first.look();
    at.nowMs += 30_000;
    await first.look();
    await first.close();
    await first.look();
    const second = open();
    assert.deepEqual(shown(second)?.[0]?.latency?.later, LATER);
    at.nowMs += 30_000;
    await second.look();
    assert.deepEqual(asked, ['c', 'c']);
  });

  test('an agent reports an unknown result if its file cannot be read once the time is over', async (t) => {
    const { at, file, open, shown } = host(t);
    writeFileSync(file, '{"version":1,');
    const agent = open();
    assert.equal(shown(agent)?.[0]?.latency?.later, undefined);
    at.nowMs += 10 * FOR;
    assert.equal(shown(agent)?.[0]?.latency?.later?.ended, 'c was not asked for it in time');
  });

  test('an agent keeps the known results if a host is silent, and reports the silence at the end', async (t) => {
    const { at, answers, open, shown } = host(t);
    const agent = open();
    await agent.look();
    at.nowMs += 30_000;
    await agent.look();
    answers['c'] = () => {
      throw new Error('c is off');
    };
    at.nowMs += 46_000;
    await agent.look();
    const later = shown(agent)?.[0]?.latency?.later;
    assert.equal(later?.sent, LATER.sent);
    assert.match(later?.ended ?? '', /c is off/);
  });

  test('an agent keeps nothing of failed migrations, of incoming ones, or of ones that ended long ago', async (t) => {
    const elsewhere = host(t, { side: 'destination' });
    const failed = host(t);
    failed.at.phase = 'failed';
    const old = host(t);
    old.at.nowMs += 3_600_000;
    const unwatched = host(t, { hosts: [] });
    for (const each of [elsewhere, failed, old, unwatched]) {
      await each.open().look();
      assert.ok(!existsSync(each.file));
      assert.deepEqual(each.asked, []);
    }
    assert.equal(old.at.reads, 0);
  });

  test('an agent waits for the end of an active migration', async (t) => {
    const { at, file, open } = host(t);
    at.isEnded = false;
    const agent = open();
    await agent.look();
    assert.ok(!existsSync(file));
    at.isEnded = true;
    await agent.look();
    assert.ok(existsSync(file));
  });
});
