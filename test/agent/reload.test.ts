import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Reload, settingsThatDiffer } from '../../src/agent/reload.ts';
import { agentConfig, configFileOf, loadAgentConfig, type AgentConfig } from '../../src/config.ts';
import { hasCode } from '../../src/errors.ts';
import { silentLog, type LogLevel } from '../../src/log.ts';
import { fleet } from './samples.ts';

type Settings = Record<string, unknown>;

async function agentWithFile(t: TestContext) {
  const { host, as } = await fleet(t);
  const party = await host('a', { inFile: true });
  const file = configFileOf(party.config) ?? '';
  const settings = JSON.parse(readFileSync(file, 'utf8')) as Settings;
  const write = (change: Settings): void =>
    writeFileSync(file, JSON.stringify({ ...settings, ...change }, undefined, 2));
  return { ...party, as, file, settings, write };
}

/** Of documentation (RFC 5737): whatever else runs here, nobody listens there, and a port that is taken is refused. */
const NOBODYS = '192.0.2.1:1';
const LIMITS = { migrationsIn: 2, migrationsOut: 8, memoryReserveBytes: 0 };

/** Each of them changes one setting; the agent takes it while it runs. */
const TAKEN: Readonly<Record<string, Settings>> = {
  'limits.migrationsIn': { limits: LIMITS },
  'ports.to': { ports: { from: 49_152, to: 49_200 } },
  'bridges.br0': { bridges: { br0: 'br1' } },
  'wire.connections': { wire: { connections: 2 } },
  logLevel: { logLevel: 'debug' },
  'peers.b': { peers: { b: { address: '10.0.0.2:7443' } } },
  'guestLogs.bytes': { guestLogs: { bytes: 1_048_576 } },
};
/** Of what it has opened. */
const RESTART: Readonly<Record<string, Settings>> = {
  addresses: { addresses: [NOBODYS] },
  'drivers.qemu': { drivers: { qemu: { user: 'agent' } } },
  fencing: { fencing: { command: ['fence'], controls: ['10.0.0.254:80'] } },
};
const WRONG: readonly Settings[] = [
  { limts: {} },
  { limits: { migrationsIn: 0 } },
  { name: 'b' },
  { drivers: { qemu: 7 } },
  { ports: { from: 20, to: 10 } },
];

describe('reload', () => {
  test('a reload applies the settings that can change at run time, and names the ones that need a restart', async (t) => {
    const { api, config, write, file } = await agentWithFile(t);
    const query = { dryRun: 'false' } as const;
    assert.deepEqual(await api.reload({ query }), { file, taken: [], restart: [], warnings: [] });
    write({ limits: LIMITS, address: NOBODYS, storage: [{ path: '/no/images' }] });
    const dry = await api.reload({ query: { dryRun: 'true' } });
    assert.equal(config.limits.migrationsIn, 8);
    const answer = await api.reload({ query });
    assert.deepEqual(answer, dry);
    assert.deepEqual(answer.taken, ['storage', 'limits.migrationsIn']);
    assert.deepEqual(answer.restart, ['address']);
    assert.match(answer.warnings[0]?.what ?? '', /storage\.0\.path: \/no\/images is not there/);
    assert.equal(config.limits.migrationsIn, 2);
    assert.equal(config.address, '127.0.0.1:0');
    // What it could not take stays named for as long as the file has it otherwise.
    assert.deepEqual((await api.reload({ query })).restart, ['address']);
  });

  test('a reload applies all of a changed file or nothing, whatever is changed together', async (t) => {
    const { config, write, file } = await agentWithFile(t);
    const changes = { ...TAKEN, ...RESTART };
    const some = fc.subarray(Object.keys(changes));
    const wrong = fc.option(fc.constantFrom(...WRONG), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(some, wrong, async (names, mistake) => {
        write({});
        const inUse = loadAgentConfig(file);
        const levels: LogLevel[] = [];
        const reload = new Reload({
          config: inUse,
          log: silentLog,
          setLogLevel: (level) => void levels.push(level),
        });
        const before = structuredClone(inUse);
        write(Object.assign({}, ...names.map((name) => changes[name]), mistake) as Settings);
        const answer = await reload.read().catch((thrown: unknown) => {
          if (!hasCode(thrown, 'GODWIT_CONFIG')) throw thrown;
          return undefined;
        });
        if (mistake !== undefined) {
          assert.equal(answer, undefined);
          assert.deepEqual(structuredClone(inUse), before);
          assert.deepEqual(levels, []);
          return;
        }
        const ofTable = (table: object) => names.filter((name) => name in table).toSorted();
        assert.deepEqual(answer?.taken.toSorted(), ofTable(TAKEN));
        assert.deepEqual(answer?.restart.toSorted(), ofTable(RESTART));
        const left = settingsThatDiffer(inUse, loadAgentConfig(file)).map(([, name]) => name);
        assert.deepEqual(left.toSorted(), ofTable(RESTART));
        assert.deepEqual(levels, [inUse.logLevel]);
      }),
      { numRuns: 60 },
    );
    assert.equal(config.limits.migrationsIn, 8);
  });

  test('a reload restores the default of a setting that was removed from the file', async (t) => {
    const { api, config, write } = await agentWithFile(t);
    write({ limits: { ...LIMITS, migrationsOut: 1 } });
    await api.reload({ query: {} });
    assert.equal(config.limits.migrationsOut, 1);
    write({ limits: LIMITS, hooks: { directory: '/' } });
    await api.reload({ query: {} });
    assert.deepEqual(config.hooks, { directory: '/' });
    write({});
    await api.reload({ query: {} });
    assert.equal(config.hooks, undefined);
  });

  test('a reload of a faulty file keeps the present settings and reports line and column', async (t) => {
    const { agent, api, config, file } = await agentWithFile(t);
    const before = structuredClone(config);
    writeFileSync(file, '{\n  "name": "a",\n  "limts": {}\n}');
    await assert.rejects(api.reload({ query: {} }), (error) => {
      assert.ok(hasCode(error, 'GODWIT_CONFIG'));
      assert.match(
        error.message,
        /line 3, column 3: `limts` is no setting; did you mean `limits`\?/,
      );
      return true;
    });
    await agent.reload();
    assert.deepEqual(structuredClone(config), before);
    assert.deepEqual(await api.health(), { ok: true });
  });

  test('a reload is for an operator and not for a viewer', async (t) => {
    const party = await agentWithFile(t);
    const [operator, viewer] = [
      await party.as('ann', 'operator', party),
      await party.as('bob', 'viewer', party),
    ];
    assert.deepEqual((await operator.reload({ query: {} })).taken, []);
    await assert.rejects(viewer.reload({ query: {} }), { code: 'GODWIT_ROLE_FORBIDDEN' });
  });

  test('a reload without a configuration file is refused with that reason', async () => {
    const config: AgentConfig = agentConfig.parse({ name: 'a', address: 'a:1', stateDir: '/x' });
    const reload = new Reload({ config, log: silentLog });
    await assert.rejects(reload.read(), /lies in no file/);
  });

  test("a reload does not report the agent's own port as taken, whatever the new state directory is", async (t) => {
    const { agent, config, file, settings } = await agentWithFile(t);
    const elsewhere = path.join(config.stateDir, 'elsewhere');
    mkdirSync(elsewhere);
    const pkiDir = path.join(config.stateDir, 'pki');
    const changed = { ...settings, address: agent.address, stateDir: elsewhere, pkiDir };
    writeFileSync(file, JSON.stringify(changed));
    const { restart } = await new Reload({ config, log: silentLog }).read();
    assert.deepEqual(restart, ['address', 'stateDir', 'pkiDir']);
  });
});
