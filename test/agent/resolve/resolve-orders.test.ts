import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readJournals } from '../../../src/host/journal/journal.ts';
import { TAKE_UP_MS } from '../../../src/agent/peers.ts';
import {
  ANOTHER_ORDER,
  b,
  back,
  evil,
  FROM_B,
  gate,
  GUESTS,
  scene,
  signal,
  TO_B,
  TO_EVIL,
} from './resolve-scene.ts';

describe('takeups of a silent host', () => {
  test("a takeup holds up only the same host's next one, and no other host and no operator", async (t) => {
    const silence = gate();
    let isSilent = true;
    const { resolve, order, asked, started } = await scene(t, {
      asked: (id) => (id === TO_EVIL && isSilent ? silence.pass() : undefined),
    });
    const gone = new AbortController();
    const first = resolve.takeUp(TO_EVIL, back, evil, signal);
    await silence.came;
    isSilent = false;
    const second = resolve.takeUp(TO_EVIL, back, evil, gone.signal);
    await resolve.takeUp(TO_B, back, b, signal);
    await order(TO_EVIL);
    assert.deepEqual(started, [TO_B, TO_EVIL]);
    // Its second takeup waits for the first; a caller that is gone leaves the queue at once.
    const before = asked.length;
    gone.abort(new Error('the caller is gone'));
    await assert.rejects(second, /the caller is gone/);
    silence.open();
    await assert.rejects(first, { code: 'GODWIT_RESOLVE_REFUSED' });
    assert.equal(asked.length, before);
    assert.deepEqual(started, [TO_B, TO_EVIL]);
  });

  test("a takeup ends after the caller's waiting time, and the next one has its turn", async (t) => {
    const silence = gate();
    let isSilent = true;
    const { resolve, orders, started } = await scene(t, {
      asked: async (_id, given) => {
        if (!isSilent) return;
        const { promise, reject } = Promise.withResolvers<void>();
        given?.addEventListener('abort', () => reject(given.reason as Error));
        void silence.pass();
        await promise;
      },
    });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const first = resolve.takeUp(TO_EVIL, back, evil, signal);
    await silence.came;
    t.mock.timers.tick(TAKE_UP_MS);
    await assert.rejects(first, { code: 'GODWIT_DEADLINE' });
    assert.equal(orders(TO_EVIL), 0);
    isSilent = false;
    await resolve.takeUp(TO_EVIL, back, evil, signal);
    assert.deepEqual(started, [TO_EVIL]);
  });
});

describe('takeups without questions', () => {
  const refused = {
    'of a migration that is done, and is refused': [TO_B, 'done', /it is done/],
    'of a migration that came here, and is refused': [FROM_B, 'held', /a is the destination/],
  } as const;
  for (const [name, [id, phase, why]] of Object.entries(refused)) {
    test(name, async (t) => {
      const { resolve, store, asked } = await scene(t);
      const progress = { ...store.progress(id), phase };
      t.mock.method(store, 'progress', () => progress);
      await assert.rejects(resolve.takeUp(id, back, b, signal), why);
      assert.deepEqual(asked, []);
    });
  }

  test('a migration that continues by itself needs no question to a host', async (t) => {
    const { resolve, store, asked } = await scene(t);
    const progress = { ...store.progress(TO_B), phase: 'switchover' } as const;
    t.mock.method(store, 'progress', () => progress);
    const { what } = await resolve.takeUp(TO_B, back, b, signal);
    assert.equal(what, 'it goes on (switchover)');
    assert.deepEqual(asked, []);
  });

  test('a migration that is held again after an order asks no host, and the takeup is refused for a minute', async (t) => {
    let aheadMs = 0;
    const { resolve, append, asked, started } = await scene(t, { aheadMs: () => aheadMs });
    await append(TO_B, ANOTHER_ORDER);
    await assert.rejects(resolve.takeUp(TO_B, back, b, signal), /Decide at a, or wait/);
    assert.deepEqual(asked, []);
    aheadMs = 60_000;
    await resolve.takeUp(TO_B, back, b, signal);
    assert.deepEqual(started, [TO_B]);
  });
});

describe('while an operator decides', () => {
  test('a takeup of the migration is refused, though its look began before', async (t) => {
    const looks = [gate(), gate()];
    let count = 0;
    const { resolve, orders, asked } = await scene(t, { asked: () => looks[count++]?.pass() });
    const early = resolve.takeUp(TO_B, back, b, signal);
    await looks[0]?.came;
    const order = { runAt: 'source', confirm: GUESTS[TO_B], iKnow: false } as const;
    const ordered = resolve.resolve(TO_B, order, 'ann', signal);
    await looks[1]?.came;
    looks[0]?.open();
    const why = /an operator decides about it at a now/;
    await assert.rejects(early, why);
    await assert.rejects(resolve.takeUp(TO_B, back, b, signal), why);
    assert.equal(asked.length, 2);
    assert.equal(orders(TO_B), 0);
    looks[1]?.open();
    await ordered;
    assert.equal(orders(TO_B), 1);
  });
});

describe('older orders', () => {
  test("an operator's older order is refused, though the migration is held again", async (t) => {
    let isMeant = false;
    const { order, append, orders, resolve } = await scene(t, {
      asked: async (id) => {
        if (isMeant) await append(id, ANOTHER_ORDER);
        isMeant = id === TO_B;
      },
    });
    await assert.rejects(order(TO_B), /its journal has changed since the hosts were asked/);
    assert.equal(orders(TO_B), 1);
    isMeant = false;
    assert.equal((await resolve.show(TO_B)).here.phase, 'held');
  });

  test("a partner's older order is refused, though the migration is held again", async (t) => {
    const { resolve, append, orders, started } = await scene(t, {
      asked: (id): Promise<void> => append(id, ANOTHER_ORDER),
    });
    const taken = resolve.takeUp(TO_B, back, b, signal);
    await assert.rejects(taken, /its journal has changed since the hosts were asked/);
    assert.equal(orders(TO_B), 1);
    assert.deepEqual(started, []);
  });

  test('an older order fences no host', async (t) => {
    const off: string[] = [];
    const fence = async (host: string) => {
      off.push(host);
      return { off: true, by: 'the hook' } as const;
    };
    let isMeant = false;
    const { resolve, append, orders } = await scene(t, {
      isDark: true,
      fence,
      asked: async (id): Promise<void> => {
        if (isMeant) await append(id, ANOTHER_ORDER);
      },
    });
    const order = { runAt: 'source', confirm: GUESTS[TO_B], iKnow: false } as const;
    isMeant = true;
    await assert.rejects(resolve.resolve(TO_B, order, 'ann', signal), /Look again/);
    assert.deepEqual(off, []);
    isMeant = false;
    assert.equal((await resolve.resolve(TO_B, order, 'ann', signal)).proof, 'fenced');
    assert.deepEqual(off, ['b']);
    assert.equal(orders(TO_B), 2);
  });
});

test("an order records its operator's insistence, even if the fencing hook proves the other host off", async (t) => {
  const fence = async () => ({ off: true, by: 'the hook' }) as const;
  const { order, resolve, store } = await scene(t, { isDark: true, fence });
  const plain = { runAt: 'source', confirm: GUESTS[TO_EVIL], iKnow: false } as const;
  await order(TO_B);
  await resolve.resolve(TO_EVIL, plain, 'ann', signal);
  const written = [TO_B, TO_EVIL].map((id) => {
    const event = readJournals(store.need(id).dir).source.at(-1)?.event;
    return event?.type === 'resolved' ? [event.proof, event.insists] : [];
  });
  assert.deepEqual(written, [
    ['fenced', true],
    ['fenced', undefined],
  ]);
});

test('an order whose operator is gone before its turn is not carried out', async (t) => {
  const gone = new AbortController();
  let isMeant = false;
  const { order, orders, started } = await scene(t, {
    asked: () => {
      if (isMeant) gone.abort(new Error('the operator is gone'));
      isMeant = true;
    },
  });
  await assert.rejects(order(TO_B, gone.signal), /the operator is gone/);
  assert.equal(orders(TO_B), 0);
  assert.deepEqual(started, []);
});

test('an order at the destination that its source does not answer does not delay another order', async (t) => {
  const calls: PromiseWithResolvers<never>[] = [];
  const second = Promise.withResolvers<void>();
  const { order } = await scene(t, {
    takeUp: () => {
      const call = Promise.withResolvers<never>();
      if (calls.push(call) === 2) second.resolve();
      return call.promise;
    },
  });
  const ordered = [order(FROM_B), order(FROM_B)];
  await second.promise;
  for (const { reject } of calls) reject(new Error('no answer'));
  for (const each of ordered) await assert.rejects(each, /no answer/);
});
