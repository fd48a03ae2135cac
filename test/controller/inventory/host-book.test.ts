import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_GUESTS } from '../../../src/agent/peer-guests.ts';
import { HostBook } from '../../../src/controller/inventory/host-book.ts';
import { hasCode } from '../../../src/errors.ts';
import { guest } from '../../agent/samples.ts';
import { HOST } from './hosts.ts';

test('a host that reports ever new guests is refused once it has more than a host runs', () => {
  let written = 0;
  const book = new HostBook(HOST, {
    write: ({ upserts }) => (written += upserts?.size ?? 0),
    publish: () => {},
    reportHost: () => {},
    followed: () => {},
    moved: () => {},
    nowMs: () => 0,
  });
  const { info } = guest('web', { host: 'a' });
  const report = (nth: number, state: 'running' | 'paused' = 'running') =>
    book.event({ id: 'x', type: 'guest', guest: { ...info, name: `web${nth}`, state } });
  for (let nth = 0; nth < MOST_GUESTS; nth += 1) report(nth);
  assert.throws(
    () => report(MOST_GUESTS),
    (thrown) => hasCode(thrown, 'GODWIT_PROTOCOL_INVALID'),
  );
  report(0, 'paused');
  assert.deepEqual([book.row.guests, written], [MOST_GUESTS, MOST_GUESTS + 1]);
});
