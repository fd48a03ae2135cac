import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import type { GuestInfo } from '../../src/protocol/public/hosts/host.ts';
import { endpoint, FakeContext, godwit, guest } from './fake.ts';

const UNREACHABLE = godwitError('GODWIT_UNREACHABLE', {
  peer: 'a',
  address: 'here',
  reason: 'it rests',
});

/** Runs the line while an agent has these guests, or fails, one look after the other; then a Ctrl-C comes. */
async function watched(
  line: string,
  looks: readonly (readonly GuestInfo[] | Error)[],
  how: { rows?: number } = {},
): Promise<{ exit: number; context: FakeContext }> {
  const left = [...looks];
  const context: FakeContext = new FakeContext(
    endpoint('a', {
      guests: async () => {
        const next = left.shift() ?? [];
        if (left.length === 0) context.interrupt('SIGINT');
        if (next instanceof Error) throw next;
        return { guests: [...next] };
      },
    }),
  );
  if (how.rows !== undefined)
    Object.assign(context.out, { isTerminal: true, rows: () => how.rows });
  return { exit: await godwit(context, line), context };
}

const web = guest('web1', 'a');
const db = guest('db', 'a');

test('a watched list is printed again when it has changed, and only then', async () => {
  const { exit, context } = await watched('guests -q -w', [[web], [web], [web, db], [db], [db]]);
  assert.equal(exit, 130);
  assert.equal(context.out.text, 'web1\nweb1\ndb\ndb\n');
});

test('the JSON output has one value per line', async () => {
  const { context } = await watched('guests --watch --json', [[web], [web, db], [db]]);
  const values = context.out.text.trim().split('\n');
  assert.deepEqual(
    values.map((line) => (JSON.parse(line) as { guests: unknown[] }).guests.length),
    [1, 2],
  );
});

test('a host that cannot be reached for a while does not end the watch, and is reported once', async () => {
  const looks = [[web], UNREACHABLE, UNREACHABLE, [web], [web, db], [db]];
  const { exit, context } = await watched('guests -q -w', looks);
  assert.equal(exit, 130);
  assert.match(context.out.text, /^web1\n(web1\ndb\n)$/);
  assert.equal(context.err.text.match(/it rests/g)?.length, 1);
});

test('the list stays on the terminal, with the error below, while a host cannot be reached', async () => {
  const { context } = await watched('guests -q -w', [[web], UNREACHABLE, [db]], { rows: 24 });
  assert.ok(
    context.out.text.startsWith('web1\n\r\u001b[1A\u001b[Jweb1\nerror: '),
    context.out.text,
  );
});

test('a first look that fails ends the watch, as the list itself would', async () => {
  const { exit, context } = await watched('guests -w', [UNREACHABLE, [web]]);
  assert.equal(exit, UNREACHABLE.exit);
  assert.match(context.err.text, /it rests/);
});

test('the newest list replaces the previous one on a terminal, as far as there are rows', async () => {
  const many = Array.from({ length: 30 }, (_, at) => guest(`g${at}`, 'a'));
  const { context } = await watched('guests -q -w', [many, [db], []], { rows: 6 });
  assert.equal(context.out.text, 'g0\ng1\ng2\ng3\n… 26 more lines\n' + '\r\u001b[5A\u001b[Jdb\n');
});

test('a wrapped line counts as many rows as it takes on the terminal', async () => {
  const long = (at: number): string => `${at}`.repeat(100);
  const many = Array.from({ length: 9 }, (_, at) => guest(long(at), 'a'));
  const { context } = await watched('guests -q -w', [many, [db], []], { rows: 6 });
  const first = `${long(0)}\n${long(1)}\n… 7 more lines\n`;
  assert.equal(context.out.text, `${first}\r\u001b[5A\u001b[Jdb\n`);
});
