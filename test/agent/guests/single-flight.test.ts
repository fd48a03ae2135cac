import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { listHandlers } from '../../../src/agent/guests/lists.ts';
import { SingleFlight } from '../../../src/agent/guests/single-flight.ts';
import { fleet, guest } from '../samples.ts';

describe('shared looks', () => {
  test('looks at one thing run one at a time, and a caller that acts never gets an older result', async () => {
    const asks = fc.array(
      fc.record({
        name: fc.constantFrom('web1', 'web2'),
        how: fc.constantFrom('read', 'fresh'),
        turns: fc.nat(4),
        fails: fc.boolean(),
      }),
      { maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(asks, async (all) => {
        let clock = 0;
        const under = new Map<string, number>();
        const looks = new SingleFlight(async (name: string) => {
          const began = ++clock;
          under.set(name, (under.get(name) ?? 0) + 1);
          assert.equal(under.get(name), 1);
          const { turns = 0, fails = false } = all[began % all.length] ?? {};
          for (let each = 0; each <= turns; each += 1) await turn();
          under.set(name, 0);
          if (fails) throw new Error(`${began}`);
          return began;
        });
        const began = (word: unknown): number =>
          word instanceof Error ? Number(word.message) : Number(word);
        const done: Promise<void>[] = [];
        for (const { name, how, turns } of all) {
          for (let each = 0; each < turns; each += 1) await turn();
          const askedAt = clock;
          const answer = how === 'read' ? looks.read(name) : looks.fresh(name);
          done.push(
            answer
              .catch((error: unknown) => error)
              .then((word) => {
                if (how === 'fresh') assert.ok(began(word) > askedAt);
                assert.ok(began(word) > 0);
              }),
          );
        }
        await Promise.all(done);
      }),
    );
  });
});

/** A host whose hypervisor, as each does, serves one client at a time; `most`: how many were at it at once. */
async function besieged(t: TestContext) {
  const { host, as } = await fleet(t);
  const seen = { now: 0, most: 0, looks: 0 };
  const served = async <T>(answer: T): Promise<T> => {
    seen.now += 1;
    seen.looks += 1;
    seen.most = Math.max(seen.most, seen.now);
    for (let each = 0; each < 20; each += 1) await turn();
    seen.now -= 1;
    return answer;
  };
  const driver = {
    discover: () => served([guest('web1')]),
    processorOf: () =>
      served({
        guest: 'web1',
        driver: 'fake',
        accelerator: 'tcg',
        vendor: 'a',
        features: [],
      }),
  };
  const peers = { greedy: { address: '127.0.0.1:1' } };
  const a = await host('a', { driver, peers });
  return { a, as, seen };
}

test('the fleet is asked once at a time, however often a caller requests the lists of all hosts', async () => {
  let asked = 0;
  const others = async <T>(answer: T): Promise<T> => {
    asked += 1;
    for (let each = 0; each < 20; each += 1) await turn();
    return answer;
  };
  const parts = {
    config: { name: 'a', address: '127.0.0.1:1' },
    guests: { listed: () => Promise.resolve({ found: [], silent: [], observedAt: '' }) },
    follow: { list: () => Promise.resolve({ migrations: [] }) },
    peers: {
      entries: () => others([]),
      guests: () => others({ items: [], missing: [] }),
      migrations: () => others({ items: [], missing: [] }),
    },
  };
  const lists = listHandlers(parts as never, () => Promise.resolve({} as never));
  const query = { scope: 'all', limit: 10 };
  for (const list of [lists.hosts, lists.guests, lists.migrations]) {
    asked = 0;
    await Promise.all(
      Array.from({ length: 16 }, async (): Promise<unknown> => list({ query } as never)),
    );
    assert.equal(asked, 1);
  }
});

test("a caller that only reads never keeps a guest's hypervisor from others, however often it asks", async (t) => {
  const { a, as, seen } = await besieged(t);
  const viewer = await as('vera', 'viewer', a);
  const many = 16;
  await a.api.guests({ query: {} });
  for (const ask of [
    () => viewer.guest({ params: { guest: 'web1' } }),
    () => viewer.processors({}),
    () => viewer.guests({ query: { fresh: 'true' } }),
  ]) {
    Object.assign(seen, { most: 0, looks: 0 });
    await Promise.all(Array.from({ length: many }, (): Promise<unknown> => ask()));
    assert.equal(seen.most, 1);
    assert.ok(seen.looks > 0 && seen.looks < many, `${seen.looks} looks`);
  }
});
