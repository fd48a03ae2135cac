import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { HostEvents } from '../../../src/agent/host/host-events.ts';
import type { HostEvent } from '../../../src/protocol/public/hosts/host-event.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { fleet, guest } from '../samples.ts';

const gone = (name: string) => ({ type: 'guest-gone' as const, name });

function following(t: TestContext, events: HostEvents, lastId?: string) {
  const end = new AbortController();
  t.after(() => end.abort());
  const stream = events.follow(lastId, end.signal);
  return async (): Promise<HostEvent> => {
    const { value, done } = await stream.next();
    assert.equal(done, false);
    return value;
  };
}

describe('the events of a host', () => {
  test('events come in order from the moment of the subscription, and each has an id', async (t) => {
    const events = new HostEvents();
    events.add(gone('before'));
    const next = following(t, events);
    assert.equal((await next()).type, 'ready');
    events.add(gone('web1'));
    events.add(gone('web2'));
    const [one, two] = [await next(), await next()];
    assert.partialDeepStrictEqual([one, two], [gone('web1'), gone('web2')]);
    assert.notEqual(one.id, two.id);
  });

  test("a stream continues after the reader's last event, or the reader learns that some are lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 2200 }),
        async (had, missed) => {
          const events = new HostEvents();
          const end = new AbortController();
          const first = events.follow(undefined, end.signal);
          await first.next();
          let last = '';
          for (let count = 0; count < had; count += 1) {
            events.add(gone(`had${count}`));
            last = (await first.next()).value?.id ?? '';
          }
          for (let count = 0; count < missed; count += 1) events.add(gone(`missed${count}`));
          events.add(gone('last'));
          const again = events.follow(last, end.signal);
          const got: string[] = [];
          while (got.at(-1) !== 'last' && got.at(-1) !== 'lost') {
            const { value } = (await again.next()) as IteratorYieldResult<HostEvent>;
            got.push(value.type === 'guest-gone' ? value.name : value.type);
          }
          end.abort();
          const all = Array.from({ length: missed }, (_each, count) => `missed${count}`);
          assert.deepEqual(got, missed < 1000 ? [...all, 'last'] : ['lost']);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('the events of another run of the agent are lost, and the stream continues after that', async (t) => {
    for (const id of ['000000000000-1', 'nonsense', '']) {
      const events = new HostEvents();
      const next = following(t, events, id);
      assert.equal((await next()).type, 'lost');
      events.add(gone('web1'));
      assert.equal((await next()).type, 'guest-gone');
    }
  });

  test('events report the differences between two looks at the guests', async (t) => {
    const events = new HostEvents();
    const next = following(t, events);
    await next();
    const [stays, pauses, ends] = ['stays', 'pauses', 'ends'].map((name) => guest(name).info);
    assert.ok(stays && pauses && ends);
    const paused = { ...pauses, state: 'paused' as const };
    events.compare([stays, pauses, ends], [stays, paused, guest('new').info]);
    const reported = [await next(), await next(), await next()];
    assert.partialDeepStrictEqual(reported, [
      gone('ends'),
      { type: 'guest', guest: paused },
      { type: 'guest', guest: { name: 'new' } },
    ]);
  });

  test('a subscriber that applies the events has the present guests, even if several have one name', async () => {
    const infos = fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('web1', 'web2'),
        uuid: fc.constantFrom('u-1', 'u-2', undefined),
        state: fc.constantFrom('running' as const, 'paused' as const),
      }),
      { selector: ({ name, uuid }) => `${name} ${uuid}`, maxLength: 5 },
    );
    const looks = fc.array(infos, { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(looks, async (all) => {
        const events = new HostEvents();
        const end = new AbortController();
        const stream = events.follow(undefined, end.signal);
        await stream.next();
        const heard = new Map<string, GuestInfo>();
        let before: GuestInfo[] = [];
        for (const look of all) {
          const now = look.map((each) => ({ ...guest(each.name).info, ...each }));
          events.compare(before, now);
          events.add(gone('end of the look'));
          for (;;) {
            const { value } = (await stream.next()) as IteratorYieldResult<HostEvent>;
            if (value.type === 'guest')
              heard.set(`${value.guest.name} ${value.guest.uuid}`, value.guest);
            if (value.type !== 'guest-gone') continue;
            if (value.name === 'end of the look') break;
            for (const key of heard.keys()) if (key.startsWith(`${value.name} `)) heard.delete(key);
          }
          const sorted = (list: Iterable<GuestInfo>) =>
            [...list].map((each) => JSON.stringify(each)).toSorted();
          assert.deepEqual(sorted(heard.values()), sorted(now));
          before = now;
        }
        end.abort();
      }),
      { numRuns: 100 },
    );
  });
});

test('an agent streams guests and migrations as server-sent events that can be resumed', async (t) => {
  const { host } = await fleet(t);
  const names = ['web1'];
  const a = await host('a', {
    guests: () => names.map((name) => guest(name)),
    peers: { b: { address: '127.0.0.1:1' } },
  });
  await a.api.guests();
  const end = new AbortController();
  t.after(() => end.abort());
  const stream = a.api.hostEvents({}, { signal: end.signal })[Symbol.asyncIterator]();
  assert.equal((await stream.next()).value?.type, 'ready');
  names.push('web2');
  await a.api.guests();
  const begun = (await stream.next()).value;
  assert.partialDeepStrictEqual(begun, { type: 'guest', guest: { name: 'web2' } });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  const moved = (await stream.next()).value;
  assert.partialDeepStrictEqual(moved, { type: 'migration', migration: { id, guest: 'web1' } });

  const raw = await new Promise<string>((resolve, reject) => {
    const headers = { 'last-event-id': begun?.id ?? '' };
    const asked = request({ socketPath: a.agent.socket, path: '/v1/events', headers }, (answer) => {
      assert.equal(answer.headers['content-type'], 'text/event-stream');
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (!text.includes('\n\n')) return;
        resolve(text);
        asked.destroy();
      });
      answer.on('error', () => undefined);
    });
    asked.on('error', reject).end();
  });
  const [, eventId, data = ''] = /^id: (\S+)\ndata: (.*)\n\n/.exec(raw) ?? [];
  assert.equal(eventId, moved?.id);
  assert.partialDeepStrictEqual(JSON.parse(data), { type: 'migration', id: moved?.id });
});
