import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  connectionAfter,
  LOST_AFTER_MS,
  pauseBefore,
  type Connection,
  type ConnectionNews,
} from '../../web/src/base/connection.ts';
import { EventReader } from '../../web/src/base/event-stream.ts';
import { match } from '../../web/src/base/paths.ts';

const from = (list: readonly (readonly [ConnectionNews, number])[]): Connection =>
  list.reduce<Connection>((now, [news, at]) => connectionAfter(now, news, at), {
    state: 'connecting',
  });

test('a broken connection is shown as reconnecting, then as lost, and as live once it is back', () => {
  assert.equal(from([['opened', 0]]).state, 'live');
  assert.equal(
    from([
      ['opened', 0],
      ['failed', 5],
    ]).state,
    'reconnecting',
  );
  const lost = from([
    ['opened', 0],
    ['failed', 5],
    ['failed', 900],
    ['tick', LOST_AFTER_MS + 5],
  ]);
  assert.deepEqual(lost, { state: 'lost', sinceMs: 5, tries: 2 });
  assert.equal(connectionAfter(lost, 'opened', 1e6).state, 'live');
  assert.equal(
    from([
      ['opened', 0],
      ['tick', 1e9],
    ]).state,
    'live',
  );
});

test('the pauses between attempts grow to a limit and are spread', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.double({ min: 0, max: 1, noNaN: true }), (tries, chance) => {
      const pause = pauseBefore(tries, chance);
      assert.ok(pause >= 250 && pause <= 8000);
    }),
  );
});

test('events are read the same wherever their text is split', () => {
  const line = fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[\r\n]/g, ''));
  const sent = fc.array(
    fc.record({
      id: line.filter((id) => !id.includes('\0')),
      data: fc.array(line, { minLength: 1, maxLength: 3 }),
    }),
  );
  const end = fc.constantFrom('\n', '\r\n');
  fc.assert(
    fc.property(sent, end, fc.array(fc.nat(40)), (events, eol, cuts) => {
      const text = events
        .map(({ id, data }) =>
          [`id: ${id}`, ':', ...data.map((each) => `data: ${each}`), '', ''].join(eol),
        )
        .join('');
      const reader = new EventReader();
      const found = [];
      let at = 0;
      for (const cut of cuts) {
        found.push(...reader.push(text.slice(at, at + cut)));
        at += cut;
      }
      found.push(...reader.push(text.slice(at)));
      assert.deepEqual(
        found,
        events.map(({ id, data }) => ({ event: 'message', id, data: data.join('\n') })),
      );
    }),
  );
});

test('an event without an end is given up before it fills the memory', () => {
  const reader = new EventReader();
  const piece = `data: ${'x'.repeat(1024 * 1024)}\n`;
  assert.throws(() => {
    for (let at = 0; at < 6; at += 1) reader.push(piece);
  }, RangeError);
});

test('a path is matched by its parts, and a broken one throws nothing', () => {
  assert.deepEqual(match('/hosts/:name', '/hosts/a'), { name: 'a' });
  assert.deepEqual(match('/hosts/:name', '/hosts/a/'), { name: 'a' });
  assert.deepEqual(match('/hosts/:name', '/hosts/%E0%A4%A'), { name: '%E0%A4%A' });
  assert.equal(match('/hosts/:name', '/hosts'), undefined);
  assert.deepEqual(match('/', '/'), {});
});
