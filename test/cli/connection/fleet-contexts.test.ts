import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { controllerNamed } from '../../../src/cli/connection/controller-place.ts';
import {
  parseContexts,
  readContexts,
  withContext,
  withoutContext,
  writeContexts,
  type Contexts,
  type FleetContext,
} from '../../../src/cli/connection/fleet-contexts.ts';
import { GodwitError } from '../../../src/errors.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { FakeContext, godwit } from '../fake.ts';

const field = fc.option(fc.stringMatching(/^[a-z/:.]{0,12}$/), { nil: undefined });
const changes = fc.record({ agent: field, lab: field, controller: field, certificates: field });
// Names that objects have of their own are names like others.
const name = fc.constantFrom('prod', 'try', 'constructor', 'toString', 'a.b_c-1');

test('a setting of a context is kept, and an empty value removes it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, changes)), (all) => {
      let contexts: Contexts = { contexts: {} };
      for (const [each, given] of all) {
        const before = Object.hasOwn(contexts.contexts, each) ? contexts.contexts[each] : {};
        contexts = withContext(contexts, each, given);
        const after: FleetContext = contexts.contexts[each] ?? {};
        for (const key of ['controller', 'certificates'] as const)
          assert.equal(
            after[key],
            given[key] === undefined ? before?.[key] : given[key] || undefined,
          );
        if (given.agent === undefined && given.lab === undefined)
          assert.deepEqual([after.agent, after.lab], [before?.agent, before?.lab]);
        else
          assert.deepEqual(
            [after.agent ?? '', after.lab ?? ''],
            [given.agent ?? '', given.lab ?? ''],
          );
        assert.equal(contexts.current, all[0]?.[0]);
      }
      // What is written is read as it was.
      const text = JSON.stringify(contexts);
      assert.deepEqual(JSON.parse(JSON.stringify(parseContexts(text, 'f'))), JSON.parse(text));
      for (const [each] of all) contexts = withoutContext(contexts, each);
      assert.deepEqual([contexts.current, contexts.contexts], [undefined, {}]);
    }),
  );
});

test('a file yields contexts or an error that names the file, whatever it holds', () => {
  const json = fc.json({ maxDepth: 4 });
  const near = fc
    .record({ current: fc.jsonValue(), contexts: fc.dictionary(fc.string(), fc.jsonValue()) })
    .map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(fc.oneof(fc.string(), json, near), (text) => {
      try {
        parseContexts(text, '/f.json');
      } catch (error) {
        assert.ok(error instanceof GodwitError && error.code === 'GODWIT_CONFIG');
        assert.match(error.message, /^\/f\.json/);
      }
    }),
  );
});

function person(t: Parameters<typeof tempDir>[0]) {
  const home = tempDir(t);
  const certificates = path.join(home, 'pki');
  mkdirSync(certificates);
  for (const file of ['ca.crt', 'viewer.crt', 'viewer.key'])
    writeFileSync(path.join(certificates, file), 'PEM');
  const run = async (line: string, env: Record<string, string> = {}) => {
    const context = new FakeContext();
    Object.assign(context.env, { HOME: home, ...env });
    const exit = await godwit(context, line);
    return { exit, out: context.out.text, err: context.err.text };
  };
  return { home, certificates, run };
}

describe('godwit context', () => {
  test('godwit context creates, lists, uses and removes contexts', async (t) => {
    const { home, certificates, run } = person(t);
    assert.equal((await run('context list')).out, 'no contexts\n');
    const at = `--agent https://rack1:7443 --certificates ${certificates}`;
    assert.equal(
      (await run(`context set prod ${at}`)).out,
      'The context prod is saved, and in use.\n',
    );
    const second = await run('context set try --lab lab');
    assert.match(second.out, /^Next: godwit context use try$/m);
    const listed = await run('context ls --json');
    assert.deepEqual(JSON.parse(listed.out), {
      contexts: [
        { name: 'prod', current: true, agent: 'https://rack1:7443', certificates },
        { name: 'try', current: false, lab: 'lab' },
      ],
    });
    assert.match((await run('context list', { GODWIT_CONTEXT: 'try' })).out, /^try +yes +lab lab/m);
    assert.equal((await run('context use try')).exit, 0);
    assert.equal(readContexts({ HOME: home }).current, 'try');
    const elsewhere = await run('context use prod', { GODWIT_CONTEXT: 'try' });
    assert.match(elsewhere.err, /GODWIT_CONTEXT names try, which counts/);
    assert.match((await run('context rm prod')).out, /None is in use now/);
    assert.equal((await run('context use')).out, 'No context is in use.\n');
    assert.equal((await run('completion --names context')).out, 'try\n');
  });

  test('contexts are readable by their owner alone, and no other file is left there', async (t) => {
    const { home, run } = person(t);
    await run('context set try --lab lab');
    const folder = path.join(home, '.config', 'godwit');
    assert.deepEqual(readdirSync(folder), ['contexts.json']);
    assert.equal(statSync(path.join(folder, 'contexts.json')).mode & 0o777, 0o600);
  });

  test('an unusable context is refused', async (t) => {
    const { home, certificates, run } = person(t);
    for (const [line, why] of [
      ['context set a/b --lab lab', /no name for a context/],
      ['context set prod', /would say nothing/],
      ['context set prod --agent x --lab y', /an agent or a lab, not both/],
      ['context set prod --agent https://', /--agent: https:\/\/ is not https:\/\/host:port/],
      ['context set prod --agent http://rack1:1', /--agent cannot be http/],
      [
        'context set prod --controller https://10.0.0.1:2',
        /--controller: .*does not say which host/,
      ],
      [`context set prod --certificates ${home}`, /needs --ca/],
      ['context use prod', /there is no context "prod"/],
      ['context remove prod', /there is no context "prod"/],
      ['guests --context prod', /there is no context "prod"/],
    ] as const) {
      // The fake world's agents are not found by flags, but a controller is.
      const { exit, err } = await run(line);
      assert.equal(exit, 2, `${line}: ${err}`);
      assert.match(err, why);
    }
    assert.deepEqual(readContexts({ HOME: home }), { contexts: {} });
    await run(`context set me --certificates ${certificates}`);
    assert.deepEqual(readContexts({ HOME: home }).contexts, { me: { certificates } });
    const homeless = await run('context set me --lab lab', { HOME: '' });
    assert.match(homeless.err, /neither XDG_CONFIG_HOME nor HOME is set/);
  });
});

test('the controller of a context is asked if no other target is named', (t) => {
  const env = { XDG_CONFIG_HOME: tempDir(t) };
  const contexts = { prod: { controller: '/p' }, far: { controller: '/f' }, try: { lab: 'lab' } };
  writeContexts(env, { current: 'prod', contexts });
  const at = (flags: object, more: object = {}) => controllerNamed(flags, { ...env, ...more });
  assert.equal(at({}), '/p');
  assert.equal(at({ context: 'far' }), '/f');
  assert.equal(at({ context: 'try' }, { GODWIT_CONTROLLER: '/c' }), undefined);
  assert.equal(at({}, { GODWIT_CONTROLLER: '/c' }), '/c');
  assert.equal(at({}, { GODWIT_CONTEXT: 'far' }), '/f');
  for (const name of ['GODWIT_AGENT', 'GODWIT_LAB'])
    assert.equal(at({}, { [name]: 'x' }), undefined);
  for (const flags of [{ agent: 'x' }, { lab: 'x' }, { host: 'x' }])
    assert.equal(at(flags), undefined);
});
