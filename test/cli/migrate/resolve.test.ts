import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JSON_SHAPES } from '../../../tools/docs/json-shapes.ts';
import { godwitError } from '../../../src/errors.ts';
import type { Leftover } from '../../../src/protocol/public/leftover.ts';
import {
  resolveRequest,
  type Resolution,
  type ResolveRequest,
  type SideView,
} from '../../../src/protocol/public/resolve.ts';
import {
  endpoint,
  FakeContext,
  godwit,
  host,
  ID,
  likeBefore,
  progress,
  report,
  summary,
} from '../fake.ts';

const source: SideView = {
  id: ID,
  guest: 'web1',
  host: 'a',
  side: 'source',
  epoch: 17,
  phase: 'held',
  right: 'committing',
  hypervisor: 'handed-over',
  complete: true,
  postcopy: false,
  unsure: false,
  moverAlive: false,
  error: godwitError('GODWIT_HELD', { guest: 'web1', reason: 'b does not answer' }).toJSON(),
};

const dark: Resolution = {
  id: ID,
  guest: 'web1',
  from: 'a',
  to: 'b',
  here: source,
  unreachable: 'b at 10.77.0.2:7443 does not answer',
  fencing: true,
  answers: [
    {
      runAt: 'source',
      verdict: 'risky',
      why: 'b was told to run it',
      risks: ['two copies run'],
      proof: 'none',
    },
    {
      runAt: 'destination',
      verdict: 'waits',
      why: 'b cannot be asked',
      risks: [],
      proof: 'ask',
    },
  ],
};

interface Scene {
  readonly context: FakeContext;
  readonly asked: ResolveRequest[];
}

function scene(known: Resolution, runsAt: 'source' | 'unknown' = 'source'): Scene {
  const asked: ResolveRequest[] = [];
  const outcome = runsAt === 'source' ? 'failed' : 'held';
  const error = godwitError('GODWIT_TAKEN_BACK', { guest: 'web1', host: 'a', by: 'ann' }).toJSON();
  const context = new FakeContext(
    endpoint('a', {
      migrations: async () => ({ migrations: [summary({ phase: 'held', moverAlive: false })] }),
      resolution: async () => known,
      resolve: async ({ body }) => {
        asked.push(resolveRequest.parse(body));
        return { what: 'web1 goes back to a', proof: 'operator' };
      },
      async *events() {
        yield progress('undoing');
        yield progress(outcome);
      },
      report: async () => report({ outcome, phase: outcome, runsAt, error }),
    }),
  );
  return { context, asked };
}

describe('godwit resolve', () => {
  test('godwit resolve without --run-at shows the known facts and the risk of each answer', async (t) => {
    const { context, asked } = scene(dark);
    assert.equal(await godwit(context, `resolve ${ID}`), 0);
    likeBefore(t, context.out.text);
    assert.deepEqual(asked, []);
  });

  test('godwit resolve names the safe answer if there is one', async () => {
    const { context } = scene({ ...dark, safe: 'source' });
    await godwit(context, `resolve ${ID}`);
    assert.match(context.out.text, new RegExp(`The safe answer: godwit resolve ${ID} --run-at`));
  });

  test('godwit resolve prints JSON of its shape', async () => {
    const shown = scene(dark);
    assert.equal(await godwit(shown.context, `resolve ${ID} --json`), 0);
    assert.deepEqual(JSON_SHAPES['resolution']?.parse(JSON.parse(shown.context.out.text)), dark);
    const done = scene(dark);
    const line = `resolve ${ID} --run-at source --confirm web1 --yes-i-know --json`;
    assert.equal(await godwit(done.context, line), 0);
    assert.ok(JSON_SHAPES['resolved']?.safeParse(JSON.parse(done.context.out.text)).success);
  });

  test('godwit resolve asks for the name, and explains the flag if there is no terminal', async () => {
    const { context, asked } = scene(dark);
    assert.equal(await godwit(context, `resolve ${ID} --run-at source`), 2);
    assert.match(context.err.text, /--confirm web1/);
    assert.deepEqual(asked, []);
  });

  test("godwit resolve sends what was typed; only --yes-i-know replaces a person's confirmation", async () => {
    const { context, asked } = scene(dark);
    await godwit(context, `resolve ${ID} --run-at source --confirm web1`);
    await godwit(context, `resolve ${ID} --run-at source --confirm web1 --yes-i-know`);
    assert.deepEqual(asked, [
      { runAt: 'source', confirm: 'web1', iKnow: false },
      { runAt: 'source', confirm: 'web1', iKnow: true },
    ]);
  });

  test("the exit code is 0 when the guest runs at the requested host, else the report's exit code", async () => {
    const line = `resolve ${ID} --run-at source --confirm web1`;
    assert.equal(await godwit(scene(dark).context, line), 0);
    assert.equal(await godwit(scene(dark, 'unknown').context, line), 7);
  });
});

const tap: Leftover = { kind: 'tap', what: 'gw01n0', safe: true, why: 'no process holds it' };
const kept: Leftover = { kind: 'hypervisor', what: 'process 7', safe: false, why: 'm-1 is held' };

describe('godwit doctor --leftovers', () => {
  const context = (): FakeContext =>
    new FakeContext(
      endpoint('a', {
        hosts: async () => ({ hosts: [host('a', { self: true }), host('b')] }),
        leftovers: async () => ({ leftovers: [tap, kept] }),
        clearLeftovers: async () => ({ cleared: [tap], left: [kept] }),
      }),
    );

  test('godwit doctor --leftovers lists each leftover, whether it may go, and why', async (t) => {
    const world = context();
    assert.equal(await godwit(world, 'doctor --leftovers'), 0);
    likeBefore(t, world.out.text);
  });

  test('godwit doctor --leftovers clears and lists what it kept', async (t) => {
    const world = context();
    assert.equal(await godwit(world, 'doctor --leftovers --clear'), 0);
    likeBefore(t, world.out.text);
  });

  test('godwit doctor --leftovers prints JSON of its shape', async () => {
    for (const line of ['doctor --leftovers --json', 'doctor --leftovers --clear --json']) {
      const world = context();
      await godwit(world, line);
      assert.ok(JSON_SHAPES['leftovers']?.safeParse(JSON.parse(world.out.text)).success, line);
    }
  });

  test('godwit doctor clears nothing without --leftovers', async () => {
    assert.equal(await godwit(context(), 'doctor --clear'), 2);
  });
});
