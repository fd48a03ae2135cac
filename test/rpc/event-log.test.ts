import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventLog } from '../../src/rpc/event-log.ts';

interface News {
  readonly type: 'news';
  readonly text: string;
}

const news = (text: string): News => ({ type: 'news', text });

async function read(log: EventLog<News>, lastId: string, count: number): Promise<string[]> {
  const end = new AbortController();
  const all: string[] = [];
  if (count === 0) return all;
  for await (const each of log.follow(lastId, end.signal)) {
    all.push(each.type === 'news' ? each.text : each.type);
    if (all.length === count) end.abort();
  }
  return all;
}

test('a log keeps the newest events within its limits, and tells a late follower about lost ones', async () => {
  const texts = fc.array(fc.string({ maxLength: 40 }), { maxLength: 60 });
  const bounds = fc.record({ events: fc.integer({ min: 1, max: 20 }), bytes: fc.nat(1500) });
  await fc.assert(
    fc.asyncProperty(texts, bounds, async (all, most) => {
      const log = new EventLog<News>(most);
      const [{ value }] = [await log.follow(undefined, new AbortController().signal).next()];
      const run = (value as { id: string }).id.split('-', 1)[0] ?? '';
      const sizes: number[] = [];
      for (const [nth, text] of all.entries()) {
        log.add(news(text));
        const event = { id: `${run}-${nth + 1}`, ...news(text) };
        sizes.push(Buffer.byteLength(JSON.stringify(event)));
        assert.ok(log.bytes <= most.bytes);
      }
      let [kept, bytes] = [0, 0];
      for (const size of sizes.toReversed()) {
        if (kept === most.events || bytes + size > most.bytes) break;
        kept += 1;
        bytes += size;
      }
      assert.equal(log.bytes, bytes);
      const first = all.length - kept;
      assert.deepEqual(await read(log, `${run}-${first}`, kept), all.slice(first));
      if (first > 0) assert.deepEqual(await read(log, `${run}-${first - 1}`, 1), ['lost']);
    }),
  );
});

test('an event that is larger than the whole log is lost to followers', async () => {
  const log = new EventLog<News>({ events: 10, bytes: 100 });
  const stream = log.follow(undefined, new AbortController().signal);
  assert.equal((await stream.next()).value?.type, 'ready');
  log.add(news('x'.repeat(200)));
  assert.equal((await stream.next()).value?.type, 'lost');
  assert.equal(log.bytes, 0);
});
