import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { besideText, planText } from '../../../src/words/plan.ts';
import { painter } from '../../../src/words/style.ts';
import { ERRORS, godwitError } from '../../../src/errors.ts';
import type { AgentApi } from '../../../src/cli/connection/agent-set.ts';
import { checkRequest, type CheckRequest } from '../../../src/protocol/public/check.ts';
import {
  planRequest,
  type PlanAnswer,
  type PlanRequest,
} from '../../../src/protocol/public/plan.ts';
import { checked } from '../checked.ts';
import { endpoint, FakeContext, godwit, guest, host, report } from '../fake.ts';
import { plannedTo } from '../planned-move.ts';

const look = { columns: 120, isTerminal: false, paint: painter(false) };

function world() {
  const asked: PlanRequest[] = [];
  const context = new FakeContext(
    endpoint('a', {
      guests: async () => ({ guests: [guest('web1', 'a')] }),
      hosts: async () => ({ hosts: [host('a'), host('b')] }),
      plan: async ({ body }) => {
        asked.push(planRequest.parse(body));
        return plannedTo(body.to);
      },
    }),
  );
  return { asked, context };
}

describe('godwit migrate --dry-run', () => {
  test('--dry-run sends the flags of a migration, and shows assumptions, ranges and advice', async () => {
    const { asked, context } = world();
    assert.equal(
      await godwit(context, 'migrate web1 --to b --dry-run --mode hybrid'),
      0,
      context.err.text,
    );
    assert.deepEqual([asked[0]?.mode, asked[0]?.compare], ['hybrid', undefined]);
    const { text } = context.out;
    assert.match(text, /memory +1 GiB: 60 % zeros/);
    assert.match(text, /link +11\.9 MiB\/s, 9\.8 ms \(measured\)/);
    assert.match(text, /bytes +320 MiB +400 MiB +500 MiB/);
    assert.match(text, /it ends: 98 %/);
    assert.match(
      text,
      /steered by standard:\n  round 2, after 4\.0 s: downtime from 125 to 250 ms\n  round 4, after 9\.0 s: post-copy\n/,
    );
    assert.match(text, /Advice\n--mode precopy --streams 4/);
  });

  test('--dry-run names the path of the memory, its streams and its compression', () => {
    const answer = plannedTo('b');
    const { prediction = assert.fail() } = answer;
    const said = (change: Partial<typeof prediction>): string | undefined =>
      /^memory goes by (.*)$/m.exec(
        planText({ ...answer, prediction: { ...prediction, ...change } }, look),
      )?.[1];
    assert.equal(said({}), 'the native path');
    assert.equal(said({ path: 'wire' }), 'the wire');
    const stream = { streams: 4, compress: 'zstd', compressLevel: 3 } as const;
    assert.equal(said({ stream }), 'the native path over 4 streams, zstd 3');
  });

  test("--dry-run shows the present and the expected latency of the guest's requests to copied disks", async () => {
    const now = { overMs: 2000, writes: { count: 90, p50Ms: 0.6, p99Ms: 7 }, reads: { count: 0 } };
    const writes = { p50Ms: { low: 0.2, middle: 0.6, high: 1.8 } };
    const disk = { node: 'disk0', now, reads: {}, writes, flushes: {} };
    const context = new FakeContext(
      endpoint('a', {
        guests: async () => ({ guests: [guest('web1', 'a')] }),
        hosts: async () => ({ hosts: [host('a'), host('b')] }),
        plan: async ({ body: { to } }) => {
          const answer = plannedTo(to);
          const { prediction = assert.fail() } = answer;
          return { ...answer, prediction: { ...prediction, diskLatency: [disk] } };
        },
      }),
    );
    assert.equal(await godwit(context, 'migrate web1 --to b --dry-run'), 0, context.err.text);
    const { text } = context.out;
    assert.match(text, /to disk0 +no reads, 90 writes \(p50 0\.6 ms, p99 7 ms\), in 2\.0 s/);
    assert.match(text, /disk0 writes p50 +0\.2 ms +0\.6 ms +1\.8 ms/);
  });

  test('--dry-run shows other ways if they are requested', async () => {
    const { asked, context } = world();
    assert.equal(await godwit(context, 'migrate web1 --to b --dry-run --compare'), 0);
    assert.equal(asked[0]?.compare, true);
    assert.match(context.out.text, /precopy +native +4 x zstd +98 % +2\.4 s to 3\.8 s/);
  });

  test("the exit code is the first refusal's code, and nothing is predicted then", async () => {
    const { context } = world();
    assert.equal(
      await godwit(context, 'migrate web1 --to c --dry-run'),
      ERRORS.GODWIT_NAME_IN_USE.exit,
    );
    assert.match(context.out.text, /it cannot move/);
    assert.match(context.err.text, /hint: Rename/);
  });

  test('--dry-run requires a host', async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'migrate web1 --dry-run'), 2);
    assert.match(context.err.text, /godwit migrate needs --to HOST/);
  });
});

describe('a plan for the terminal', () => {
  const linkLine = (link: PlanAnswer['link'], linkUnmeasured?: string): string =>
    /^link +(.*)$/m.exec(planText({ ...plannedTo('b'), link, linkUnmeasured }, look))?.[1] ?? '';

  test('a plan names the source of the link rate, and marks it if the link may carry more', () => {
    const rate = 13.1 * 2 ** 20;
    const measured = { rate, how: 'measured', roundTripMs: 2.32 } as const;
    assert.equal(linkLine(measured), '13.1 MiB/s, 2.32 ms (measured)');
    assert.equal(
      linkLine({ ...measured, isLeast: true }),
      'at least 13.1 MiB/s, 2.32 ms (measured; the agents may have been slower)',
    );
    assert.equal(
      linkLine({ rate, how: 'seen', isLeast: true }, 'it is busy'),
      'at least 13.1 MiB/s (what an earlier migration came to; not measured now: it is busy)',
    );
    assert.equal(linkLine({ rate, how: 'configured' }), '13.1 MiB/s (configured)');
  });

  test('a plan shows the observed cost of its path if it differs from the assumed cost', () => {
    const answer = plannedTo('b');
    const { prediction = assert.fail() } = answer;
    const processor = { times: 1.82, moves: 4, share: 1 };
    const costs = { memoryPath: 'packed', processor };
    const text = planText({ ...answer, prediction: { ...prediction, costs } }, look);
    const line = 'zstd takes 1.8 times the processor time that is assumed: 4 moves to b';
    assert.ok(/^costs /m.test(text) && text.includes(line), text);
    const after = besideText(report({ prediction: { ...prediction, costs } }), look);
    assert.ok(after.endsWith(`${line}\n`), after);
    const usual = { ...costs, processor: { ...processor, times: 1 } };
    assert.doesNotMatch(
      planText({ ...answer, prediction: { ...prediction, costs: usual } }, look),
      /costs/,
    );
  });

  test('a plan shows no downtime for a move that never ends', () => {
    const answer = plannedTo('b');
    const { prediction = assert.fail() } = answer;
    const range = { low: 0, middle: 0, high: 0 };
    const never = {
      ...prediction,
      downtimeMs: range,
      clientGapMs: range,
      converges: { probability: 0, why: 'it writes too much' },
    };
    const text = planText({ ...answer, prediction: never, others: [never] }, look);
    assert.match(text, /^downtime +- +- +-$/m);
    assert.match(text, /^client gap +- +- +-$/m);
    assert.match(text, /^total time +4\.8 s +6\.0 s +7\.5 s$/m);
    assert.match(text, /^precopy \(as asked\) +native .* 0 % .*MiB +- +- /m);
  });
});

describe('a report after a plan', () => {
  test('a report shows each prediction next to the result', () => {
    const { prediction } = plannedTo('b');
    assert.ok(prediction !== undefined);
    const text = besideText({ ...report(), prediction, totalMs: 6100, bytes: 900 * 2 ** 20 }, look);
    assert.match(text, /total time +4\.8 s to 7\.5 s +6\.0 s +6\.1 s +yes/);
    assert.match(text, /bytes +320 MiB to 500 MiB +400 MiB +900 MiB +no/);
  });

  test('a report has the predicted end, and no downtime for a move that was predicted never to end', () => {
    const { prediction } = plannedTo('b');
    assert.ok(prediction !== undefined);
    const never = { ...prediction, converges: { probability: 0, why: 'it writes too much' } };
    const text = besideText({ ...report(), prediction: never }, look);
    assert.match(text, /^it ends: 0 %; it writes too much$/m);
    assert.match(text, /^downtime +- +- +[\d.]+ ms *$/m);
  });

  test('a report shows the copy of disks next to the time of its phase', () => {
    const { prediction } = plannedTo('b');
    assert.ok(prediction !== undefined);
    const range = { low: 1000, middle: 2000, high: 4000 };
    const made = report();
    const text = besideText(
      {
        ...made,
        prediction: { ...prediction, disks: { ms: range, bytes: range } },
        phases: [{ phase: 'disks', ms: 5000 }, ...made.phases],
      },
      look,
    );
    assert.match(text, /copy of disks +1\.0 s to 4\.0 s +2\.0 s +5\.0 s +no/);
    assert.match(text, /bytes of disks +0\.98 KiB to 3\.91 KiB +1\.95 KiB +-/);
    assert.match(text, /total time .* 5\.0 s +yes/);
  });

  test("a report shows the expected latency of the guest's requests next to the measured latency", () => {
    const { prediction } = plannedTo('b');
    assert.ok(prediction !== undefined);
    const writes = { p50Ms: { low: 0.2, middle: 0.6, high: 1.8 } };
    const disk = { node: 'disk0', now: {}, reads: writes, writes, flushes: {} };
    const during = { writes: { count: 90, p50Ms: 2, p99Ms: 7 } };
    const made = {
      ...report(),
      prediction: { ...prediction, diskLatency: [disk] },
      diskLatency: [{ node: 'disk0', during }],
    };
    const text = besideText(made, look);
    assert.match(text, /disk0 writes p50 +0\.2 ms to 1\.8 ms +0\.6 ms +2 ms +no/);
    assert.match(text, /disk0 reads p50 +0\.2 ms to 1\.8 ms +0\.6 ms +-/);
    assert.doesNotMatch(text, /p99|flushes/);
  });

  test('a report without a plan shows no prediction', () => {
    assert.equal(besideText(report(), look), '');
  });
});

describe('godwit migrate --to any --dry-run', () => {
  function hosts(more: Partial<AgentApi> = {}) {
    const asked: CheckRequest[] = [];
    const context = new FakeContext(
      endpoint('a', {
        guests: async () => ({ guests: [guest('web1', 'a')] }),
        hosts: async () => ({ hosts: [host('a'), host('beta')] }),
        check: async ({ body }) => {
          asked.push(checkRequest.parse(body));
          return checked(['b', 'c']);
        },
        ...more,
      }),
    );
    return { asked, context };
  }
  const line = 'migrate web1 --to any --dry-run';

  test('--to any asks for every host with the flags of a migration, and passes if one of them can take the guest', async () => {
    const { asked, context } = hosts();
    assert.equal(await godwit(context, `${line} --mode hybrid --map-network br0=br1`), 0);
    assert.equal(asked[0]?.to, undefined);
    assert.deepEqual([asked[0]?.mode, asked[0]?.networks], ['hybrid', { br0: 'br1' }]);
    assert.match(context.out.text, /^HOST +VERDICT +WHY\nb .*warn .*user.*\nc .*refuse .*name/);
    const nobody = hosts({ check: async () => checked(['c', 'd']) });
    assert.equal(await godwit(nobody.context, line), ERRORS.GODWIT_NAME_IN_USE.exit);
    assert.equal(nobody.context.err.text, '');
  });

  test('--to any fails on a host without peers', async () => {
    const { context } = hosts({ check: async () => checked([]) });
    assert.equal(await godwit(context, line), 3);
    assert.match(context.err.text, /`peers`/);
  });

  test('--to any and --compare are refused without --dry-run before an agent is asked', async () => {
    for (const words of ['migrate web1 --to any', 'migrate web1 --to b --compare']) {
      const context = new FakeContext();
      assert.equal(await godwit(context, words), 2);
      assert.match(context.err.text, /goes with --dry-run/);
    }
  });

  test('a preview names the nearest host if there is none of that name', async () => {
    const { context } = hosts({
      plan: async () => {
        throw godwitError('GODWIT_HOST_UNKNOWN', { host: 'bet' });
      },
    });
    assert.equal(await godwit(context, 'migrate web1 --to bet --dry-run'), 3);
    assert.match(context.err.text, /Did you mean beta/);
  });
});
