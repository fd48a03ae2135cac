import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Returns, type ReturnsDependencies } from '../../../src/agent/migrations/returns.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { godwitError } from '../../../src/errors.ts';
import { hookInput } from '../../../src/hooks/hooks.ts';
import { silentLog } from '../../../src/log.ts';
import {
  migrationSettings,
  type MigrationRequest,
  type Phase,
  type Report,
} from '../../../src/protocol/public/migration.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const CAME = 'm-00000001';

interface MigrationFixture {
  readonly migration: Migration;
  phase: Phase;
  runsAt: Report['runsAt'];
}

/** The host b, to which web1 came from a with a check that ends as `check(CODE)` says. */
class Host {
  nowMs = 1_000_000;
  readonly root: string;
  readonly hooks: string;
  readonly known = new Map<string, MigrationFixture>();
  readonly asked: { request: MigrationRequest & { id?: string | undefined }; why: string }[] = [];
  refuse: Error | undefined;
  readonly cancelled: string[] = [];

  constructor(t: TestContext) {
    this.root = tempDir(t);
    this.hooks = path.join(this.root, 'hooks');
    mkdirSync(this.hooks);
    const settings = migrationSettings.parse({
      mode: 'hybrid',
      returnIfUnhealthy: { check: 'check-web', withinMs: 600_000 },
    });
    const admission = admissionOf({ id: CAME, settings });
    this.add(
      CAME,
      { side: 'destination', fromHost: 'a', toHost: 'b', admission },
      'done',
      'destination',
    );
  }

  add(id: string, request: object, phase: Phase, runsAt: Report['runsAt']): void {
    const dir = path.join(this.root, id);
    mkdirSync(dir, { recursive: true });
    const common = { id, version: 1, createdAt: new Date(this.nowMs).toISOString() };
    const migration = { id, dir, request: { ...common, ...request } } as Migration;
    this.known.set(id, { migration, phase, runsAt });
  }

  /** A migration of web1 from here to another host. */
  leaves(id: string, to: string, phase: Phase, runsAt: Report['runsAt']): void {
    const request = { guest: 'web1', to };
    this.add(id, { side: 'source', fromHost: 'b', toHost: to, request }, phase, runsAt);
  }

  check(code: number | undefined): void {
    const file = path.join(this.hooks, 'check-web');
    rmSync(file, { force: true });
    if (code === undefined) return;
    const script = `#!/bin/sh\ncat >'${this.root}/input'\necho it is ill\nexit ${code}\n`;
    writeFileSync(file, script, { mode: 0o755 });
  }

  agent(): Returns {
    const need = (id: string): MigrationFixture => {
      const found = this.known.get(id);
      assert.ok(found, id);
      return found;
    };
    const isEnded = (id: string): boolean =>
      ['done', 'failed', 'cancelled'].includes(need(id).phase);
    const parts = {
      config: { name: 'b', hooks: { directory: this.hooks } },
      clock: { wallMs: () => this.nowMs },
      log: silentLog,
      store: {
        all: () => [...this.known.values()].map(({ migration }) => migration),
        get: (id: string) => this.known.get(id)?.migration,
        isEnded,
        runsAt: (id: string) => need(id).runsAt,
        report: () => ({ endedAt: new Date(1_000_000).toISOString() }),
        progress: (id: string) => ({ phase: need(id).phase }),
      },
      outgoing: {
        start: async (request: MigrationRequest & { id: string }, { why }: { why: string }) => {
          this.asked.push({ request, why });
          if (this.refuse !== undefined) throw this.refuse;
          this.leaves(request.id, request.to, 'memory', 'source');
          return request.id;
        },
      },
      follow: {
        cancel: async (id: string) => {
          this.cancelled.push(id);
          return { accepted: true, what: 'it rolls back' };
        },
      },
    } as unknown as ReturnsDependencies;
    return new Returns(parts);
  }
}

/** Looks once each ten seconds. */
async function looks(host: Host, agent: Returns, times: number): Promise<void> {
  for (let left = times; left > 0; left -= 1) {
    await agent.look();
    host.nowMs += 10_000;
  }
}

test('checks that hang for guests of one host leave room for the guests of another host', async (t) => {
  const host = new Host(t);
  const write = (name: string, lines: string): void => {
    const script = `#!/bin/sh\ncat >'${host.root}/input'\n${lines}\n`;
    writeFileSync(path.join(host.hooks, name), script, { mode: 0o755 });
  };
  const started = path.join(host.root, 'started');
  writeFileSync(started, '');
  write('check-web', `echo web >>'${started}'\nexec sleep 600`);
  write('check-db', 'exit 0');
  const comes = (id: string, fromHost: string, check: string): void => {
    const returnIfUnhealthy = { check, withinMs: 600_000 };
    const settings = migrationSettings.parse({ mode: 'hybrid', returnIfUnhealthy });
    const admission = admissionOf({ id, settings, guest: id, from: fromHost });
    host.add(id, { side: 'destination', fromHost, toHost: 'b', admission }, 'done', 'destination');
  };
  for (let nth = 2; nth <= 9; nth += 1) comes(`m-0000000${nth}`, 'a', 'check-web');
  comes('m-00000010', 'c', 'check-db');
  const agent = host.agent();
  void agent.look();
  await untilSo(() => agent.of('m-00000010')?.runs === 1);
  await untilSo(() => readFileSync(started, 'utf8').length === 'web\n'.length * 6);
  await agent.close();
});

describe('guests with --return-if-unhealthy', () => {
  test('a guest stays if its check finds nothing until the time is over', async (t) => {
    const host = new Host(t);
    host.check(0);
    const agent = host.agent();
    await looks(host, agent, 61);
    assert.deepEqual(host.asked, []);
    assert.equal(agent.of(CAME)?.state, 'passed');
    assert.equal(agent.of(CAME)?.runs, 60);
    const input = hookInput.parse(JSON.parse(readFileSync(path.join(host.root, 'input'), 'utf8')));
    const { hook, migration, guest, from, to } = input;
    assert.deepEqual([hook, migration, guest, from, to], ['check-web', CAME, 'web1', 'a', 'b']);
  });

  test('a guest goes back after three failures, by a separate migration that gives the reason', async (t) => {
    const host = new Host(t);
    host.check(1);
    const agent = host.agent();
    await looks(host, agent, 3);
    assert.equal(host.asked.length, 0);
    await looks(host, agent, 1);
    assert.equal(host.asked.length, 1);
    const [only] = host.asked;
    assert.equal(only?.request.to, 'a');
    assert.equal(only?.request.mode, 'hybrid');
    assert.equal(only?.request.returnIfUnhealthy, undefined);
    assert.match(only?.why ?? '', /^check-web ended with 1: it is ill \(3 failures in a row\)$/);
    assert.deepEqual(
      [agent.of(CAME)?.state, agent.of(CAME)?.migration],
      ['returning', only?.request.id],
    );
    Object.assign(host.known.get(only?.request.id ?? '') ?? {}, {
      phase: 'done',
      runsAt: 'destination',
    });
    await looks(host, agent, 2);
    assert.equal(agent.of(CAME)?.state, 'returned');
    assert.equal(host.asked.length, 1);
  });

  test('a guest goes back by the same migration if the agent died between its record and its start', async (t) => {
    const host = new Host(t);
    host.check(10);
    host.refuse = godwitError('GODWIT_GUEST_BUSY', {
      guest: 'web1',
      id: 'm-00000009',
      to: 'c',
      phase: 'memory',
    });
    await looks(host, host.agent(), 2);
    host.refuse = undefined;
    const next = host.agent();
    await looks(host, next, 2);
    assert.equal(host.asked.length, 2);
    assert.equal(host.asked[0]?.request.id, host.asked[1]?.request.id);
    assert.equal(next.of(CAME)?.state, 'returning');
  });

  test("the failures are counted on from the previous agent's count", async (t) => {
    const host = new Host(t);
    host.check(1);
    await looks(host, host.agent(), 2);
    await looks(host, host.agent(), 2);
    assert.equal(host.asked.length, 1);
  });

  test('a guest stays if it was moved on or is being moved by another caller', async (t) => {
    const host = new Host(t);
    host.check(10);
    host.leaves('m-00000009', 'c', 'memory', 'source');
    const agent = host.agent();
    await looks(host, agent, 3);
    assert.equal(agent.of(CAME)?.runs, 0);
    Object.assign(host.known.get('m-00000009') ?? {}, { phase: 'done', runsAt: 'destination' });
    await looks(host, agent, 3);
    assert.equal(agent.of(CAME)?.state, 'moved-on');
    assert.deepEqual(host.asked, []);
  });

  test('a guest stays once an operator has cancelled the return, even if the return has begun', async (t) => {
    const host = new Host(t);
    host.check(0);
    const agent = host.agent();
    await looks(host, agent, 1);
    assert.deepEqual(await agent.cancel(CAME, 'ann'), {
      accepted: true,
      what: 'web1 stays on b: it is checked no more',
    });
    host.check(10);
    await looks(host, agent, 3);
    assert.deepEqual(host.asked, []);
    assert.equal(await agent.cancel(CAME, 'ann'), undefined);

    const other = new Host(t);
    other.check(10);
    const there = other.agent();
    await looks(other, there, 2);
    const id = other.asked[0]?.request.id ?? '';
    const answer = await there.cancel(CAME, 'ann');
    assert.deepEqual([answer?.accepted, other.cancelled], [true, [id]]);
    Object.assign(other.known.get(id) ?? {}, { phase: 'cancelled' });
    await looks(other, there, 2);
    assert.equal(there.of(CAME)?.state, 'cancelled');
  });

  test('a guest stays if its check is gone or its kept state cannot be read', async (t) => {
    const host = new Host(t);
    host.check(undefined);
    const agent = host.agent();
    await looks(host, agent, 61);
    assert.deepEqual([agent.of(CAME)?.state, agent.of(CAME)?.runs], ['failed', 0]);
    assert.match(agent.of(CAME)?.why ?? '', /no executable check-web/);
    writeFileSync(path.join(host.root, CAME, 'site-check.json'), '{"version":1');
    host.check(10);
    const next = host.agent();
    await looks(host, next, 3);
    assert.equal(next.of(CAME)?.state, 'failed');
    assert.deepEqual(host.asked, []);
  });

  test('a guest stays if it cannot be taken back after three attempts', async (t) => {
    const host = new Host(t);
    host.check(10);
    host.refuse = godwitError('GODWIT_HOST_UNKNOWN', { host: 'a' });
    const agent = host.agent();
    await looks(host, agent, 12);
    assert.equal(host.asked.length, 3);
    assert.equal(new Set(host.asked.map(({ request }) => request.id)).size, 3);
    assert.equal(agent.of(CAME)?.state, 'failed');
  });
});
