import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { AgentApi, AgentSet, Endpoint } from '../../../src/cli/connection/agent-set.ts';
import { insightOfAgents } from '../../../src/cli/history/fleet-insight.ts';
import { godwitError } from '../../../src/errors.ts';
import { insightOf, reportedOf } from '../../../src/migration/insight/insight.ts';
import { insight } from '../../../src/protocol/controller/history.ts';
import type { MigrationSummary } from '../../../src/protocol/public/migration.ts';
import { prediction as answer } from '../../../src/protocol/public/prediction.ts';
import { endpoint, FakeContext, godwit, host, report, summary } from '../fake.ts';
import { plannedTo } from '../planned-move.ts';

const TIME = { sinceMs: 0, untilMs: Date.parse('2026-02-01T00:00:00Z') };

const prediction = answer.parse(plannedTo('b').prediction);

const unknown = (id: string, at: string) =>
  godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: at });

interface Move {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly downtimeMs: number;
}

function reportOf({ id, from, to, downtimeMs }: Move) {
  return report({ id, from, to, side: 'source', downtimeMs, prediction });
}

function summaryOf({ id, from, to }: Move, side: MigrationSummary['side']): MigrationSummary {
  return { ...summary(), id, from, to, side, phase: 'done', elapsedMs: 5000 };
}

/** The agent of a host that had a part in some of these moves, and answers for its peers, too. */
function agentOf(
  name: string,
  moves: readonly Move[],
  peers: readonly string[] = [],
): Endpoint & { readonly asked: string[] } {
  const asked: string[] = [];
  const ofHosts = (hosts: readonly string[]) =>
    hosts.flatMap((each) =>
      moves.flatMap((move) => [
        ...(move.from === each ? [summaryOf(move, 'source')] : []),
        ...(move.to === each ? [summaryOf(move, 'destination')] : []),
      ]),
    );
  const api: Partial<AgentApi> = {
    migrations: async (input) => {
      const all = input?.query?.scope === 'all';
      return { migrations: ofHosts(all ? [name, ...peers] : [name]) };
    },
    hosts: async () => ({ hosts: [name, ...peers].map((each) => host(each)) }),
    report: async ({ params: { id } }) => {
      asked.push(id);
      const move = moves.find((each) => each.id === id && [each.from, each.to].includes(name));
      if (move === undefined) throw unknown(id, name);
      return reportOf(move);
    },
  };
  return { ...endpoint(name, api), asked };
}

const set = (first: Endpoint, ...others: Endpoint[]): AgentSet => ({
  endpoints: [first, ...others],
  close: () => {},
});

const hosts = fc.constantFrom('a', 'b', 'c');
const moves = fc
  .array(
    fc
      .record({ from: hosts, to: hosts, downtimeMs: fc.integer({ min: 0, max: 100 }) })
      .filter(({ from, to }) => from !== to),
    { maxLength: 12 },
  )
  .map((all) => all.map((each, at): Move => ({ ...each, id: `m-${String(at).padStart(8, '0')}` })));

describe('migration results without a controller', () => {
  test('each migration is counted once, by its source, wherever the question is asked', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (all) => {
        const each = ['a', 'b', 'c'].map((name) => agentOf(name, all));
        const [first, ...others] = each;
        const byAll = await insightOfAgents(set(first ?? assert.fail(), ...others), TIME);
        const far = new Map(each.map((agent) => [agent.label, agent]));
        const byOne = await insightOfAgents(
          {
            ...set({ ...agentOf('a', all, ['b', 'c']), label: 'this host' }),
            reach: (name) => far.get(name) ?? assert.fail(name),
          },
          TIME,
        );
        const reported = all.map((move) => reportedOf(summaryOf(move, 'source'), reportOf(move)));
        const expected = insightOf(reported, { ...TIME, isPart: false });
        for (const { insight: found, missing } of [byAll, byOne]) {
          assert.deepEqual(missing, []);
          assert.deepEqual(insight.parse(found).predictions, expected.predictions);
          assert.deepEqual([found.count, found.downtimeMs], [all.length, expected.downtimeMs]);
        }
      }),
      { numRuns: 50 },
    );
  });

  const toC = { id: 'm-00000001', from: 'b', to: 'c', downtimeMs: 5 };

  test('hosts with unreadable reports are named, and the ends of their migrations are counted', async () => {
    const a = agentOf('a', [toC], ['b', 'c']);
    const { insight: found, missing } = await insightOfAgents(set(a), TIME);
    assert.deepEqual(found.outcomes, [{ outcome: 'done', count: 1 }]);
    assert.deepEqual(
      [found.totalMs?.most, found.downtimeMs, found.predictions],
      [5000, undefined, []],
    );
    assert.deepEqual(
      missing.map((each) => each.host),
      ['b', 'c'],
    );
    assert.match(missing[0]?.why ?? '', /give a certificate of yours/);
  });

  test('a silent host is asked once, and then the other host of each of its migrations', async () => {
    const all = Array.from({ length: 40 }, (_, at): Move => ({
      ...toC,
      id: `m-${10_000_000 + at}`,
    }));
    const b = agentOf('b', all);
    let asked = 0;
    const api: Partial<AgentApi> = {
      migrations: b.api.migrations,
      report: async () => {
        asked += 1;
        throw godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'x', reason: 'off' });
      },
    };
    const fleet = set(endpoint('b', api), agentOf('c', all));
    const { insight: found, missing } = await insightOfAgents(fleet, TIME);
    assert.equal(found.downtimeMs?.count, 40);
    assert.deepEqual(
      missing.map((each) => each.host),
      ['b'],
    );
    assert.ok(asked <= 8, `${asked} times`);
  });

  test('the newest 500 reports that ended in the requested time are read', async () => {
    const all = Array.from({ length: 600 }, (_, at): Move => ({
      ...toC,
      id: `m-${10_000_000 + at}`,
    }));
    const agent = agentOf('b', all);
    const { insight: found } = await insightOfAgents(set(agent), TIME);
    assert.deepEqual([found.count, found.isPart, agent.asked.length], [500, true, 500]);
    const sinceMs = Date.parse(summary().startedAt) + 5001;
    const later = await insightOfAgents(set(agent), { ...TIME, sinceMs });
    assert.deepEqual([later.insight.count, later.insight.isPart], [0, false]);
  });

  test('`godwit stats` shows these counts if no controller is named', async () => {
    const asked = async (line: string) => {
      const context = new FakeContext(agentOf('a', [{ ...toC, to: 'a' }]), agentOf('b', []));
      const exit = await godwit(context, line);
      return [exit, context.out.text] as const;
    };
    const [exit, scores] = await asked('stats --prediction');
    assert.equal(exit, 0);
    assert.match(scores, /^downtime +1 +94 % .* -94 % +0 %$/m);
    assert.match((await asked('stats'))[1], /^1 migrations: 1 done\n/);
    const [, json] = await asked('stats --json');
    assert.equal(insight.parse(JSON.parse(json)).count, 1);
  });
});
