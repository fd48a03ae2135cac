import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JSON_SHAPES } from '../../tools/docs/json-shapes.ts';
import { checked } from './checked.ts';
import { plannedTo } from './planned-move.ts';
import { godwitError } from '../../src/errors.ts';
import {
  endpoint,
  FakeContext,
  godwit,
  guest,
  host,
  ID,
  likeBefore,
  progress,
  report,
  sample,
  summary,
} from './fake.ts';

const guests = [
  guest('web1', 'a'),
  guest('db', 'b', { migration: ID }),
  guest('win', 'b', { manager: 'libvirt' }),
  guest('gpu', 'a', { unmovable: ['device hostdev0 (vfio-pci) is passed through'] }),
];

function lists(): FakeContext {
  return new FakeContext(
    endpoint('a', {
      hosts: async () => ({
        hosts: [
          host('a', { self: true }),
          host('b', { status: 'unreachable', reason: 'nothing listens there' }),
        ],
      }),
      guests: async () => ({ guests }),
      guest: async ({ params }) =>
        guests.find(({ name }) => name === params.guest) ?? assert.fail(),
      migrations: async () => ({
        migrations: [
          summary({ phase: 'memory', elapsedMs: 1500 }),
          summary({
            id: 'm-older000',
            phase: 'failed',
            elapsedMs: 99,
            startedAt: '2026-01-01T00:00:00.000Z',
          }),
        ],
      }),
      check: async ({ body: { to } }) => checked(to === undefined ? ['b', 'c'] : [to]),
      plan: async ({ body: { to } }) => plannedTo(to),
      cancel: async () => ({ accepted: true, what: 'web1 stays on a' }),
      report: async () => report(),
      migrate: async () => ({ id: ID }),
      async *events() {
        yield progress('memory', { sample: sample(1) });
        yield progress('done');
      },
    }),
  );
}

describe('list verbs', () => {
  for (const line of [
    'hosts',
    'guests',
    'guests --on b',
    'guest gpu',
    'migrate web1 --to any --dry-run',
    'migrate web1 --to b --dry-run --compare',
    'migrations',
    `report ${ID}`,
  ]) {
    test(`the output of godwit ${line} matches its snapshot`, async (t) => {
      const context = lists();
      context.out.width = 120;
      assert.equal(await godwit(context, line), 0);
      likeBefore(t, context.out.text);
      assert.equal(context.closed, 1);
    });
  }

  for (const [line, shape] of [
    ['hosts', 'hosts'],
    ['guests', 'guests'],
    ['guest web1', 'guest'],
    ['migrate web1 --to any --dry-run', 'check'],
    ['migrate web1 --to b --dry-run', 'plan'],
    ['migrations', 'migrations'],
    [`cancel ${ID}`, 'cancel'],
    [`report ${ID}`, 'report'],
    ['version', 'version'],
    ['migrate web1 --to b --detach', 'detached'],
  ] as const) {
    test(`the output of godwit ${line} --json keeps the shape ${shape}`, async () => {
      const context = lists();
      assert.equal(await godwit(context, `${line} --json`), 0, context.err.text);
      assert.equal(context.out.text.split('\n').length, 2);
      JSON_SHAPES[shape]?.parse(JSON.parse(context.out.text));
    });
  }

  test('the nearest host is named if godwit guests --on names an unknown one', async () => {
    const context = lists();
    assert.equal(await godwit(context, 'guests --on zzz'), 3);
    assert.match(context.err.text, /no host is called zzz/);
  });

  test('an error with --json keeps the shape error', async () => {
    const context = lists();
    assert.equal(await godwit(context, 'guest nobody --json'), 3);
    JSON_SHAPES['error']?.parse(JSON.parse(context.out.text));
  });

  test('a terminal gets no line wider than itself', async () => {
    const context = lists();
    context.out.isTerminal = true;
    context.out.width = 40;
    context.env['NO_COLOR'] = '1';
    await godwit(context, 'guests');
    assert.ok(context.out.text.split('\n').every((line) => line.length <= 40));
  });

  test('color is for terminals, and NO_COLOR switches it off', async () => {
    const plain = lists();
    await godwit(plain, 'guests');
    assert.ok(!plain.out.text.includes('\u001b'));
    const colored = lists();
    colored.out.isTerminal = true;
    await godwit(colored, 'guests');
    assert.ok(colored.out.text.includes('\u001b[32mrunning'));
    const refused = lists();
    refused.out.isTerminal = true;
    refused.env['NO_COLOR'] = '1';
    await godwit(refused, 'guests');
    assert.ok(!refused.out.text.includes('\u001b'));
  });
});

describe('silent hosts', () => {
  const missing = [
    { host: 'c', why: 'c at 10.77.0.3:7443 does not answer: nothing listens there' },
  ];
  const part = (): FakeContext =>
    new FakeContext(
      endpoint('a', {
        guests: async (input) => ({
          guests: input?.query?.name === undefined ? [] : [guest('web1', 'a')],
          missing,
        }),
        guest: async () => guest('web1', 'a'),
        check: async () => checked(['b']),
        migrations: async () => ({ migrations: [], missing }),
      }),
    );

  for (const [line, said] of [
    ['guests', 'no guests on the hosts that answered'],
    ['migrations', 'no migrations on the hosts that answered'],
    ['guest web1', 'web1'],
  ] as const) {
    test(`a host that does not answer is part of the output of godwit ${line}, and of its exit code`, async () => {
      const people = part();
      assert.equal(await godwit(people, line), 8);
      assert.ok(people.out.text.includes(said), people.out.text);
      assert.match(people.err.text, /error: .* is incomplete: no answer from c \(c at 10\.77/);
      const programs = part();
      assert.equal(await godwit(programs, `${line} --json`), 8);
      const shape = JSON_SHAPES[line.split(' ')[0] ?? ''];
      assert.ok(shape);
      const reported = shape.parse(JSON.parse(programs.out.text)) as { missing: unknown };
      assert.deepEqual(reported.missing, missing);
    });
  }

  test('a silent host is left out if only another host is asked about', async () => {
    const context = part();
    assert.equal(await godwit(context, 'guests --on c'), 8);
  });
});

describe('godwit watch', () => {
  test('godwit watch follows the newest running migration when none is named', async () => {
    const context = lists();
    assert.equal(await godwit(context, 'watch'), 0);
    assert.match(context.out.text, /sending memory/);
    assert.match(context.out.text, /web1 moved from a to b/);
  });

  test('godwit watch --json prints one object per line', async () => {
    const context = lists();
    assert.equal(await godwit(context, `watch ${ID} --json`), 0);
    const lines = context.out.text.trimEnd().split('\n');
    assert.equal(lines.length, 2);
    for (const line of lines) JSON_SHAPES['progress']?.parse(JSON.parse(line));
  });

  test('godwit watch reports that nothing is under way, and the last migration, without an error', async () => {
    const over: ReturnType<typeof summary>[] = [];
    const context = new FakeContext(
      endpoint('a', { migrations: async () => ({ migrations: over }) }),
    );
    assert.equal(await godwit(context, 'watch'), 0);
    over.push({ ...summary(), phase: 'done' });
    assert.equal(await godwit(context, 'watch'), 0);
    assert.equal(
      context.out.text,
      `no migration is under way\nno migration is under way; the newest is over: web1 from a to b, done (${ID})\n`,
    );
    context.out.text = '';
    assert.equal(await godwit(context, 'watch --json'), 0);
    assert.equal(context.out.text, '');
  });

  test('godwit watch stops at the first Ctrl-C and leaves the migration alone', async () => {
    const context: FakeContext = new FakeContext(
      endpoint('a', {
        migrations: async () => ({ migrations: [summary()] }),
        async *events(_input, options) {
          yield progress('memory');
          context.interrupt();
          options?.signal?.throwIfAborted();
        },
      }),
    );
    assert.equal(await godwit(context, 'watch'), 130);
    assert.match(context.err.text, /the migration goes on/);
  });
});

describe('godwit cancel', () => {
  test('godwit cancel reports what will happen', async () => {
    const context = lists();
    assert.equal(await godwit(context, `cancel ${ID}`), 0);
    assert.equal(context.out.text, `${ID}: web1 stays on a\n`);
  });

  test('godwit cancel reports that it is too late', async () => {
    const context = new FakeContext(
      endpoint('a', {
        migrations: async () => ({ migrations: [summary()] }),
        cancel: async () => {
          throw godwitError('GODWIT_CANCEL_TOO_LATE', { id: ID, phase: 'handover' });
        },
      }),
    );
    assert.equal(await godwit(context, `cancel ${ID}`), 5);
    assert.match(context.err.text, /past the point of no return/);
  });
});
