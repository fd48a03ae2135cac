import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Plans, type PlansDependencies } from '../../../src/agent/prediction/plans.ts';
import { PLAIN } from '../../drivers/plain.ts';
import { planRequest } from '../../../src/protocol/public/plan.ts';
import { sourceMoverRequest } from '../../../src/protocol/mover/request.ts';
import { methodsOf, twoFakeHosts } from '../fake-fleet.ts';
import { fleet } from '../samples.ts';
import type { DirectDriver } from '../../../src/port/direct.ts';
import { systemClock } from '../../../src/clock.ts';
import { HONEST } from '../../../sim/fake/manager-options.ts';
import { FakeManager } from '../../../sim/fake/managed.ts';

const MIB = 1024 ** 2;

test('a plan has the checks, the measurements of guest and link, and a prediction, and begins nothing', async (t) => {
  const { a, b, instance } = await twoFakeHosts(t);
  // An agent renews its certificate whenever that is due.
  const files = () =>
    [a, b].map(({ config }) =>
      globSync('**', { cwd: config.stateDir, exclude: ['pki/**'] }).toSorted(),
    );
  const before = files();
  const answer = await a.api.plan({ body: { guest: 'web1', to: 'b', compare: true } });
  assert.deepEqual([answer.guest, answer.from, answer.host.to], ['web1', 'a', 'b']);
  assert.equal(answer.host.verdict, 'pass', JSON.stringify(answer.host.checks));
  assert.equal(answer.measured?.memoryBytes, 64 * MIB);
  assert.equal(answer.link?.how, 'measured');
  // How fast it is depends on what else this machine does.
  assert.ok(answer.link.rate > 0, String(answer.link.rate));
  const { prediction } = answer;
  assert.ok(prediction !== undefined);
  assert.equal(prediction.mode, 'precopy');
  const { probability } = prediction.converges;
  assert.ok(probability >= 0 && probability <= 1, JSON.stringify(prediction));
  const modes = new Set(answer.others?.map(({ mode }) => mode));
  assert.ok(modes.has('hybrid') && modes.has('postcopy'));
  assert.deepEqual(files(), before);
  assert.equal(instance.run, 'running');
});

test('a plan with a given link rate does not measure the link and predicts by that rate', async (t) => {
  const { a } = await twoFakeHosts(t);
  const by = async (rate: number) => {
    const link = { rate, how: 'measured', roundTripMs: 50 } as const;
    const answer = await a.api.plan({ body: { guest: 'web1', to: 'b', link } });
    assert.deepEqual(answer.link, link);
    assert.ok(answer.prediction !== undefined);
    return answer.prediction;
  };
  const { bytes } = await by(1e9);
  assert.ok(bytes.low <= 64 * MIB && bytes.high >= 64 * MIB, JSON.stringify(bytes));
  const { memoryMs } = await by(1e6);
  assert.ok(memoryMs.middle > 1000, JSON.stringify(memoryMs));
});

test("a plan of a guest that a manager moves has the manager's findings, as a check has", async (t) => {
  const { host, as } = await fleet(t);
  const options = { clock: systemClock, random: () => 0.5, hosts: ['a', 'b'], behaves: HONEST };
  const manager = new FakeManager({ ...options, copies: [] });
  manager.guests.set('web1', 'a');
  const managed = manager.driver('a');
  // The fake of one host, with all that a driver does whose manager moves guests.
  const driver = {
    ...methodsOf(managed as unknown as DirectDriver),
    openManaged: managed.openManaged.bind(managed),
  };
  const a = await host('a', { driver });
  const api = await as('me', 'operator', a);
  const asked = { body: { guest: 'web1', to: 'b' } };
  const [checked] = (await api.check(asked)).hosts;
  const planned = (await api.plan(asked)).host;
  assert.equal(checked?.verdict, 'pass', JSON.stringify(checked?.checks));
  assert.deepEqual(
    planned.checks.map(({ name }) => name),
    checked.checks.map(({ name }) => name),
  );
});

test("a plan of a guest that a manager moves predicts by the manager's measurements, and lists its assumptions", async (t) => {
  const { host, as } = await fleet(t);
  const writes = async (dirtyRate: number) => {
    const dirtying = { memoryBytes: 1024 * MIB, rate: 100 * MIB, dirtyRate };
    const options = { clock: systemClock, random: () => 0.5, hosts: ['a', 'b'], dirtying };
    const manager = new FakeManager(options);
    manager.guests.set('web1', 'a');
    return manager;
  };
  const manager = await writes(50 * MIB);
  const managed = manager.driver('a');
  const driver = {
    ...methodsOf(managed as unknown as DirectDriver),
    openManaged: managed.openManaged.bind(managed),
  };
  const a = await host('a', { driver });
  const api = await as('me', 'operator', a);
  const link = { rate: 100 * MIB, how: 'configured', roundTripMs: 1 } as const;
  const { measured, prediction, advice } = await api.plan({
    body: { guest: 'web1', to: 'b', link },
  });
  assert.deepEqual(
    measured?.curve.map(({ dirtyBytes }) => dirtyBytes),
    [50 * MIB, 100 * MIB],
  );
  assert.ok(prediction !== undefined);
  const { low, high } = prediction.bytes;
  assert.ok(low < high && high >= 1024 * MIB, JSON.stringify(prediction.bytes));
  for (const words of ['its manager moves it', 'nobody could look at its pages'])
    assert.ok(
      advice.some((each) => each.includes(words)),
      advice.join('; '),
    );
  // A dry run: no task was begun, and the manager was asked for nothing that changes the guest.
  assert.deepEqual([manager.tasks.length, manager.guests.get('web1')], [0, 'a']);
  const asks = new Set(manager.calls.map(({ name }) => name));
  assert.deepEqual([...asks].toSorted(), ['check', 'copies', 'inspect', 'measure']);
});

test('a plan reports that a guest writing faster than its cap will not converge, and suggests a remedy', async (t) => {
  const { a } = await twoFakeHosts(t, { dirtyRate: 400 * MIB });
  const body = { guest: 'web1', to: 'b', maxBandwidth: 10 * MIB };
  const { prediction, advice } = await a.api.plan({ body });
  assert.equal(prediction?.converges.probability, 0);
  assert.ok(
    advice.some((each) => /--mode (hybrid|postcopy).* ends/.test(each)),
    advice.join('; '),
  );
});

test("a refused check yields no prediction, and the plan has the check's message", async (t) => {
  const { a } = await twoFakeHosts(t, { machine: 'fake-2' });
  const { host, prediction } = await a.api.plan({ body: { guest: 'web1', to: 'b' } });
  assert.equal(host.verdict, 'refuse');
  assert.equal(prediction, undefined);
});

test('limits that contradict each other are refused with the arithmetic', async (t) => {
  const { a } = await twoFakeHosts(t);
  const body = { guest: 'web1', to: 'b', maxBandwidth: MIB, timeoutMs: 10_000 };
  await assert.rejects(a.api.plan({ body }), / at 1 MiB\/s take .*, and 10\.0 s are allowed/);
});

test('the link is measured once for two plans, and a silent host is a check that refuses', async (t) => {
  const { a, b } = await twoFakeHosts(t);
  const first = await a.api.plan({ body: { guest: 'web1', to: 'b' } });
  const second = await a.api.plan({ body: { guest: 'web1', to: 'b' } });
  assert.equal(first.link?.at, second.link?.at);
  await b.agent.close();
  const third = await a.api.plan({ body: { guest: 'web1', to: 'b' } });
  assert.equal(third.host.verdict, 'refuse');
});

test('a migration that follows its plan carries the prediction and the measurements, and another one carries neither', async (t) => {
  const { a } = await twoFakeHosts(t);
  const requestOf = (id: string) => {
    const file = path.join(a.config.stateDir, 'migrations', id, 'request.json');
    return sourceMoverRequest.parse(JSON.parse(readFileSync(file, 'utf8')));
  };
  const asked = { guest: 'web1', to: 'b' };
  const { prediction, measured } = await a.api.plan({ body: asked });
  const { id } = await a.api.migrate({ body: asked });
  assert.deepEqual(requestOf(id).prediction?.bytes, prediction?.bytes);
  assert.ok(measured !== undefined);
  assert.deepEqual(requestOf(id).measured, measured);
});

test('a plan of --path auto chooses by the measured link and guest, and so does its migration', async (t) => {
  const { a } = await twoFakeHosts(t);
  const asked = { guest: 'web1', to: 'b', path: 'auto' } as const;
  const { measured, link, prediction } = await a.api.plan({ body: asked });
  assert.equal(link?.how, 'measured');
  assert.ok(prediction !== undefined && measured !== undefined);
  const { id } = await a.api.migrate({ body: asked });
  const file = path.join(a.config.stateDir, 'migrations', id, 'request.json');
  const request = sourceMoverRequest.parse(JSON.parse(readFileSync(file, 'utf8')));
  assert.deepEqual([request.link?.rate, request.measured], [link.rate, measured]);
});

test('a plan with a link rate from the caller is not kept as a prediction for the report, and replaces none', async (t) => {
  const { a } = await twoFakeHosts(t);
  const asked = { guest: 'web1', to: 'b' };
  const link = { rate: 1e12, how: 'measured', roundTripMs: 0 } as const;
  const { prediction } = await a.api.plan({ body: asked });
  await a.api.plan({ body: { ...asked, link } });
  const { id } = await a.api.migrate({ body: asked });
  const file = path.join(a.config.stateDir, 'migrations', id, 'request.json');
  const request = sourceMoverRequest.parse(JSON.parse(readFileSync(file, 'utf8')));
  assert.deepEqual(request.prediction?.totalMs, prediction?.totalMs);
});

test("a plan has the devices that the guest's labels name, and so has the following migration", async () => {
  const asked: unknown[] = [];
  const deps: unknown = {
    config: { name: 'a' },
    checks: {
      examination: async (request: unknown) => {
        asked.push(request);
        return { host: { to: 'b', verdict: 'refuse', checks: [] }, capabilities: PLAIN };
      },
    },
    outgoing: {
      links: { known: async () => ({}) },
      labelled: (request: object) => ({ ...request, unplug: ['usb1'] }),
      workloadOf: (settings: object) => ({ settings }),
    },
    guestLoads: { of: () => ({ hours: [] }) },
  };
  const plan = planRequest.parse({ guest: 'web1', to: 'b' });
  await new Plans(deps as PlansDependencies).answer(plan, new AbortController().signal);
  assert.deepEqual((asked[0] as { unplug?: unknown }).unplug, ['usb1']);
});

test("a plan's measurement of the guest's dirty rate is kept with the hours of its load", async () => {
  const seen: unknown[] = [];
  const curve = [
    { windowMs: 100, dirtyBytes: MIB },
    { windowMs: 3000, dirtyBytes: 9 * MIB },
    // Of a longer look, with which others are not compared.
    { windowMs: 6000, dirtyBytes: 10 * MIB },
  ];
  const measured = { how: 'pages', memoryBytes: 64 * MIB, pages: 16, curve };
  const planOf = (found: object) => {
    const deps: unknown = {
      config: { name: 'a' },
      checks: {
        examination: async () => ({
          host: { to: 'b', verdict: 'refuse', checks: [] },
          found,
          capabilities: PLAIN,
        }),
      },
      outgoing: {
        links: { known: async () => ({}) },
        labelled: (request: object) => request,
        workloadOf: (settings: object) => ({ settings }),
      },
      guestLoads: { of: () => ({ hours: [] }), dirtied: (...given: unknown[]) => seen.push(given) },
    };
    const asked = planRequest.parse({ guest: 'web1', to: 'b' });
    return new Plans(deps as PlansDependencies).answer(asked, new AbortController().signal);
  };
  await planOf({ unmeasured: 'nobody may' });
  assert.deepEqual(seen, []);
  await planOf({ measured });
  assert.deepEqual(seen, [['web1', 3 * MIB]]);
});
