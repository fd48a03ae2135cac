import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentApi, Endpoint } from '../../../src/cli/connection/agent-set.ts';
import { godwitError } from '../../../src/errors.ts';
import { planRequest, type PlanRequest } from '../../../src/protocol/public/plan.ts';
import { plannedTo } from '../planned-move.ts';
import { publicContract } from '../../../src/protocol/contract.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { openApi } from '../../../src/protocol/public/openapi.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { endpoint, FakeContext, godwit, guest, ID, progress, report, sample } from '../fake.ts';
import { all, world } from '../migrating.ts';

const failure = godwitError('GODWIT_MEMORY_SHORT', {
  host: 'b',
  availableBytes: 1,
  guest: 'web1',
  neededBytes: 2,
}).toJSON();

const unknown = async (): Promise<never> => {
  throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: 'web1', host: 'a' });
};

describe('godwit migrate', () => {
  test('godwit migrate sends what was typed, with the defaults filled in', async () => {
    const { context, asked } = world();
    const line =
      'migrate web1 --to b --mode hybrid --max-downtime 250ms --max-bandwidth 1gbit --streams 4 --compress zstd --compress-level 3 --give-up-after 2m';
    assert.equal(await godwit(context, line), 0);
    assert.deepEqual(asked, [
      {
        guest: 'web1',
        to: 'b',
        mode: 'hybrid',
        maxDowntimeMs: 250,
        maxBandwidth: 125_000_000,
        streams: 4,
        compress: 'zstd',
        compressLevel: 3,
        timeoutMs: 120_000,
        hybridRounds: 3,
        onLost: 'hold',
        path: 'native',
        linkGraceMs: 60_000,
      },
    ]);
    assert.equal(context.closed, 1);
  });

  test('the share of the link is a number or a percentage, and anything else is refused', async () => {
    const { context, asked } = world();
    for (const typed of ['0.7', '70%', '.7'])
      assert.equal(await godwit(context, `migrate web1 --to b --link-share ${typed}`), 0);
    assert.deepEqual(
      asked.map(({ linkShare }) => linkShare),
      [0.7, 0.7, 0.7],
    );
    for (const typed of ['half', '0', '150%', '70', '-1'])
      assert.equal(await godwit(context, `migrate web1 --to b --link-share ${typed}`), 2, typed);
    assert.match(context.err.text, /--link-share: must be 0\.01 to 1/);
  });

  test("a site's check and its time are sent and shown, and --return-within or --quiet-within alone is refused", async () => {
    const openapi = async (): Promise<Record<string, unknown>> => openApi(publicContract, 'x');
    const settings = migrationSettings.parse({
      returnIfUnhealthy: { check: 'check-web', withinMs: 90_000 },
    });
    const untilAt = '2026-01-01T00:00:00.000Z';
    const siteCheck = { state: 'watching', untilAt, runs: 2, failures: 1, why: 'no page' } as const;
    const { context, asked } = world({
      ending: report({ settings, siteCheck }),
      more: { openapi },
    });
    const line = 'migrate web1 --to b --return-if-unhealthy check-web';
    assert.equal(await godwit(context, `${line} --return-within 90s`), 0);
    assert.equal(await godwit(context, line), 0);
    const times = asked.map(({ returnIfUnhealthy }) => returnIfUnhealthy?.withinMs);
    assert.deepEqual(times, [90_000, 600_000]);
    assert.match(
      context.out.text,
      /check-web +the guest is looked after until 2026-.*: no page \(1 of 2 runs failed\)/,
    );
    for (const wrong of [
      'migrate web1 --to b --return-within 90s',
      `${line} --quiet-within 90s`,
      `${line} --return-within 1s`,
      'migrate web1 --to b --return-if-unhealthy ../sh',
    ])
      assert.equal(await godwit(context, wrong), 2, wrong);
    assert.match(context.err.text, /--return-within/);
    assert.match(context.err.text, /--return-if-unhealthy/);
  });

  test('a --mode with --steering is refused before an agent is asked', async () => {
    const context = new FakeContext();
    const line = 'migrate web1 --to b --mode hybrid --steering standard';
    assert.equal(await godwit(context, line), 2);
    assert.match(context.err.text, /--mode and --steering are both given/);
    const help = new FakeContext();
    await godwit(help, 'migrate --help');
    assert.match(help.out.text, /Not\s+with --steering/);
  });

  test('further addresses of the destination are sent in the order of the attempts', async () => {
    const { context, asked } = world();
    const line = 'migrate web1 --to b --path-address 10.1.0.12 --path-address [fd00::2]:7000';
    assert.equal(await godwit(context, line), 0);
    assert.deepEqual(asked[0]?.pathAddresses, ['10.1.0.12', '[fd00::2]:7000']);
    assert.equal(await godwit(context, 'migrate web1 --to b --path-address 10.1.0.12/24'), 2);
    assert.match(context.err.text, /--path-address.*host:port/);
  });

  test("the summary has the duration of post-copy's stall", async () => {
    const ending = report({ mode: 'postcopy', postcopyStalledMs: 3200, postcopyStalls: 2 });
    const { context } = world({ ending });
    assert.equal(await godwit(context, 'migrate web1 --to b --mode postcopy'), 0);
    assert.match(context.out.text, /post-copy was stalled +3\.2 s, 2 times/);
  });

  test('warnings of the checks are printed before memory flows, and again at the end', async () => {
    const warned = {
      name: 'accelerator',
      side: 'source',
      verdict: 'warn',
      evidence: 'QEMU without KVM can lose a write to memory while it is sent',
      hint: 'Use KVM.',
    } as const;
    const { context } = world({
      async *events() {
        yield progress('checking');
        yield progress('memory', { elapsedMs: 10 });
        await new Promise(setImmediate);
        yield progress('done');
      },
      ending: report({ checks: [warned] }),
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 0);
    const parts = context.out.text.split('can lose a write to memory');
    assert.equal(parts.length, 3, context.out.text);
    assert.ok(!parts[0]?.includes('moved from'));
    assert.match(parts[1] ?? '', /moved from a to b/);
  });

  test('--dry-run answers as check and plan do, ends with the expected result and begins nothing', async () => {
    const bodies: PlanRequest[] = [];
    const plan: AgentApi['plan'] = async ({ body }) => {
      bodies.push(planRequest.parse(body));
      return plannedTo(body.to);
    };
    const { context, asked } = world({ more: { plan } });
    assert.equal(await godwit(context, 'migrate web1 --to b --dry-run --mode hybrid'), 0);
    const { text } = context.out;
    for (const { name, side } of plannedTo('b').host.checks)
      assert.ok(text.includes(` ${name} (${side}): `), text);
    assert.match(text, /web1 from a to b: [^]*\nMeasured\n[^]*\nPredicted\n[^]*it ends: 98 %/);
    assert.match(text, /web1 would move to b by precopy; nothing was begun\n$/);
    assert.deepEqual(
      bodies.map(({ mode }) => mode),
      ['hybrid'],
    );
    const refused = world({ more: { plan } });
    assert.equal(await godwit(refused.context, 'migrate web1 --to c --dry-run'), 4);
    assert.match(refused.context.out.text, /web1 would stay where it is; nothing was begun\n$/);
    assert.deepEqual([...asked, ...refused.asked], []);
  });

  test("the output ends with the guest's host and the measurements", async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'migrate web1 --to b'), 0);
    assert.match(context.out.text, /web1 moved from a to b \(precopy/);
    for (const words of [
      'total',
      'downtime (hypervisor)',
      'blackout',
      'rounds',
      'throughput',
      'on b',
    ]) {
      assert.ok(context.out.text.includes(words), words);
    }
  });

  test('--json prints the report and nothing else', async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'migrate web1 --to b --json'), 0);
    assert.deepEqual(JSON.parse(context.out.text), report());
    assert.equal(context.err.text, '');
  });

  test('a failure sets the exit code of its error and prints the hint', async () => {
    const ending = report({ outcome: 'failed', phase: 'failed', error: failure, runsAt: 'source' });
    const { context } = world({
      ending,
      events: () => all(progress('failed', { error: failure })),
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 4);
    assert.match(
      context.err.text,
      /error: web1 needs 2 B of memory; b has 1 B free\nhint: Free memory/,
    );
    assert.match(context.out.text, /web1 did not move from a to b/);
  });

  for (const [outcome, exit] of [
    ['cancelled', 6],
    ['held', 7],
    ['lost', 7],
  ] as const) {
    test(`the outcome ${outcome} has the exit code ${exit}`, async () => {
      const ending = report({ outcome, phase: outcome });
      const { context } = world({ ending, events: () => all(progress(outcome)) });
      assert.equal(await godwit(context, 'migrate web1 --to b'), exit);
    });
  }

  test('--detach prints the id and how to watch', async () => {
    const { context } = world({ more: { events: () => assert.fail('it must not be watched') } });
    assert.equal(await godwit(context, 'migrate web1 --to b --detach'), 0);
    assert.equal(context.out.text, `${ID}\n`);
    assert.match(context.err.text, new RegExp(`godwit watch ${ID}`));
  });

  test('godwit migrate requires a destination', async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'migrate web1'), 2);
    assert.match(context.err.text, /needs --to HOST/);
  });

  test('a flag out of range is named', async () => {
    const { context, asked } = world();
    assert.equal(await godwit(context, 'migrate web1 --to b --streams 99'), 2);
    assert.match(context.err.text, /--streams: /);
    assert.equal(await godwit(context, 'migrate web1 --to b --max-downtime 2h'), 2);
    assert.match(context.err.text, /--max-downtime: must be 1ms to 60s/);
    assert.deepEqual(asked, []);
  });

  test('an unknown guest is refused with the nearest guest', async () => {
    const { context } = world({ more: { migrate: unknown, guest: unknown } });
    assert.equal(await godwit(context, 'migrate wbe1 --to b'), 3);
    assert.match(context.err.text, /Did you mean web1\?/);
  });

  test('an unknown host is refused with the nearest host and the list of all', async () => {
    const refuse = async (): Promise<never> => {
      throw godwitError('GODWIT_HOST_UNKNOWN', { host: 'bta' });
    };
    const { context } = world({ more: { migrate: refuse } });
    assert.equal(await godwit(context, 'migrate web1 --to bta'), 3);
    assert.match(context.err.text, /Did you mean beta\? The hosts are a, beta\./);
  });

  test('an impossible name is refused before any agent is asked', async () => {
    const { context, asked } = world();
    assert.equal(await godwit(context, 'migrate ../web1 --to b'), 2);
    assert.match(context.err.text, /"\.\.\/web1" is not a guest name/);
    assert.deepEqual(asked, []);
  });

  test("the agent of the guest's host is asked if several agents are reached directly", async () => {
    const asked: string[] = [];
    const agent = (label: string, own: boolean): Endpoint =>
      endpoint(label, {
        guest: own ? async () => guest('web1', label) : unknown,
        migrate: async () => {
          asked.push(label);
          return { id: ID };
        },
      });
    const context = new FakeContext(agent('a', false), agent('b', true));
    assert.equal(await godwit(context, 'migrate web1 --to a --detach'), 0);
    assert.deepEqual(asked, ['b']);
  });

  test("the guest's host is named when its agent is not reached directly", async () => {
    const guests = async (): Promise<{ guests: GuestInfo[] }> => ({ guests: [guest('web1', 'c')] });
    const { context } = world({ more: { migrate: unknown, guest: unknown, guests } });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 3);
    assert.match(context.err.text, /It is on c: run this there, or give a certificate of yours/);
  });

  test('watching continues over a restart of the agent', async () => {
    let connections = 0;
    const { context } = world({
      async *events() {
        connections += 1;
        if (connections === 1) yield progress('memory', { sample: sample(1) });
        else if (connections < 4)
          throw godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'x', reason: 'off' });
        else yield progress('done');
      },
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 0);
    assert.equal(connections, 4);
  });

  test('the command that continues the watch is printed when the agent stays away', async () => {
    const { context } = world({
      // eslint-disable-next-line require-yield -- this one has nothing to yield
      async *events() {
        throw godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'x', reason: 'off' });
      },
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 8);
    assert.match(context.err.text, new RegExp(`goes on; \`godwit watch ${ID}\``));
  });
});
