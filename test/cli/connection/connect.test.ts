import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { namedAgent } from '../../../src/cli/connection/credentials.ts';
import { connect } from '../../../src/cli/connection/connect.ts';
import { writeContexts, type FleetContext } from '../../../src/cli/connection/fleet-contexts.ts';
import type { ConnectionFlags } from '../../../src/cli/context.ts';
import { collectFacts } from '../../../src/cli/doctor/collect.ts';
import { judge } from '../../../src/cli/doctor/judge.ts';
import { hasCode, toGodwitError, type ErrorCode } from '../../../src/errors.ts';
import { certificatesOf, FakeContext } from '../fake.ts';

describe('connect', () => {
  let folder = '';
  let socket = '';
  const server = createServer();
  const labBefore = process.env['GODWIT_LAB_DIR'];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'godwit-connect-'));
    socket = path.join(folder, 'agent.sock');
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    process.env['GODWIT_LAB_DIR'] = path.join(folder, 'labs');
    await lab('demo', ['a', 'b']);
    for (const name of ['ca.crt', 'operator.crt', 'operator.key'])
      await writeFile(path.join(folder, name), 'PEM');
  });
  after(async () => {
    if (labBefore === undefined) delete process.env['GODWIT_LAB_DIR'];
    else process.env['GODWIT_LAB_DIR'] = labBefore;
    server.close();
    await rm(folder, { recursive: true });
  });

  /** A lab as its state file describes it. */
  async function lab(name: string, hosts: readonly string[]): Promise<void> {
    const dir = path.join(folder, 'labs', name);
    await mkdir(dir, { recursive: true });
    const state = {
      version: 1,
      name,
      phase: 'up',
      builder: { pid: 1, startTicks: 1 },
      createdAt: '2026-01-02T03:04:05.000Z',
      entry: { kind: 'root' },
      hosts,
      namespaces: {},
    };
    await writeFile(path.join(dir, 'lab.json'), JSON.stringify(state));
  }

  async function labels(
    flags: ConnectionFlags,
    env: Record<string, string> = {},
  ): Promise<string[]> {
    const fleet = await connect(flags, env);
    fleet.close();
    return fleet.endpoints.map(({ label }) => label);
  }

  /** The environment of somebody who has these contexts. */
  function contexts(all: Record<string, FleetContext>, current?: string): Record<string, string> {
    const own = path.join(folder, 'config');
    writeContexts({ XDG_CONFIG_HOME: own }, { current, contexts: all });
    return { XDG_CONFIG_HOME: own };
  }

  describe('with contexts', () => {
    const rack = 'https://rack1:7443';
    const both = (current?: string) =>
      contexts(
        {
          prod: { agent: rack, certificates: folder },
          try: { lab: 'demo' },
          far: { controller: '/c' },
        },
        current,
      );

    test('connect goes to the agent or lab of the context that is typed, named in the environment, or in use', async () => {
      assert.deepEqual(await labels({ context: 'prod' }, both()), ['rack1']);
      assert.deepEqual(await labels({ context: 'try' }, both('prod')), ['a', 'b']);
      assert.deepEqual(await labels({}, both('prod')), ['rack1']);
      assert.deepEqual(await labels({}, { ...both('prod'), GODWIT_CONTEXT: 'try' }), ['a', 'b']);
      assert.deepEqual(await labels({ context: 'try', host: 'b' }, both('prod')), ['b']);
    });

    test('a typed context precedes the environment, and the environment precedes the context in use', async () => {
      const env = { ...both('prod'), GODWIT_LAB: 'demo' };
      assert.deepEqual(await labels({}, env), ['a', 'b']);
      assert.deepEqual(await labels({ context: 'prod' }, env), ['rack1']);
      assert.deepEqual(await labels({ lab: 'demo', context: 'prod' }, both()), ['a', 'b']);
      assert.deepEqual(await labels({ agent: socket }, both('prod')), [socket]);
    });

    test("connect asks no other host instead of a fleet's controller if only the controller is known", async () => {
      // It is asked for its managers, which have agents behind it.
      const away = /a controller at \/c does not answer/;
      await refuses({ context: 'far' }, 'GODWIT_UNREACHABLE', away, both());
      await refuses({}, 'GODWIT_UNREACHABLE', away, both('far'));
      const host = { context: 'prod', host: 'b' };
      await refuses(host, 'GODWIT_USAGE', /the context prod names no lab/, both());
    });

    test('an unknown context is refused with the nearest name', async () => {
      await refuses({ context: 'prd' }, 'GODWIT_USAGE', /Did you mean prod\?/, both());
    });
  });

  function refuses(
    flags: ConnectionFlags,
    code: ErrorCode,
    words: RegExp,
    env = {},
  ): Promise<void> {
    return assert.rejects(connect(flags, env), (error) => {
      assert.ok(hasCode(error, code), String(error));
      assert.match(`${error.message} ${error.hint}`, words);
      return true;
    });
  }

  test('connect prefers a given socket to everything else', async () => {
    assert.deepEqual(await labels({ agent: socket }, { GODWIT_LAB: 'demo' }), [socket]);
    assert.deepEqual(await labels({}, { GODWIT_AGENT: `unix:${socket}` }), [`unix:${socket}`]);
  });

  test('connect takes all agents of a lab, or the agent of one host', async () => {
    assert.deepEqual(await labels({ lab: 'demo' }), ['a', 'b']);
    assert.deepEqual(await labels({ lab: 'demo', host: 'b' }), ['b']);
    assert.deepEqual(await labels({}, { GODWIT_LAB: 'demo' }), ['a', 'b']);
    assert.deepEqual(await labels({ lab: 'demo' }, { GODWIT_AGENT: socket }), ['a', 'b']);
  });

  test("connect takes this host's agent before a lab that was not named", async () => {
    const nowhere = path.join(folder, 'no-agent.sock');
    const chosen = async (own: string, env = {}): Promise<string[]> => {
      const fleet = await connect({}, env, { config: nowhere, sockets: [nowhere, own] });
      fleet.close();
      return fleet.endpoints.map(({ label }) => label);
    };
    assert.deepEqual(await chosen(nowhere), ['a', 'b'], 'the only lab');
    assert.deepEqual(await chosen(socket), ['this host']);
    await lab('lab', ['c', 'd']);
    assert.deepEqual(await chosen(nowhere), ['c', 'd'], 'the lab called lab');
    assert.deepEqual(await chosen(socket), ['this host']);
    assert.deepEqual(await chosen(socket, { GODWIT_LAB: 'demo' }), ['a', 'b']);
  });

  test("connect does not fall back to a lab when this host's agent does not answer", async () => {
    await lab('lab', ['c', 'd']);
    const dead = path.join(folder, 'dead.sock');
    await writeFile(dead, '');
    const fleet = await connect({}, {}, { config: `${dead}.json`, sockets: [dead] });
    const [{ api }] = fleet.endpoints;
    await assert.rejects(api.hosts(), { code: 'GODWIT_UNREACHABLE', message: /this host's agent/ });
    fleet.close();
  });

  describe("on a host with an agent's configuration", () => {
    let config = '';
    before(() => {
      config = path.join(folder, 'agent.json');
    });

    async function labelsOf(written: string): Promise<string[]> {
      await writeFile(config, written);
      const fleet = await connect({}, {}, { config, sockets: [path.join(folder, 'none.sock')] });
      fleet.close();
      return fleet.endpoints.map(({ label }) => label);
    }

    test("the socket in the configuration's stateDir is taken before a running lab", async () => {
      assert.deepEqual(await labelsOf(JSON.stringify({ stateDir: folder })), ['this host']);
      const newer = JSON.stringify({ stateDir: folder, settingOfANewerBuild: 1 });
      assert.deepEqual(await labelsOf(newer), ['this host']);
    });

    test('a lab does not replace an agent that is not running', async () => {
      await writeFile(config, JSON.stringify({ stateDir: path.join(folder, 'stopped') }));
      const fleet = await connect({}, {}, { config, sockets: [] });
      await assert.rejects(fleet.endpoints[0].api.hosts(), { code: 'GODWIT_UNREACHABLE' });
      fleet.close();
    });

    for (const written of ['{', '[]', '{"stateDir":7}', '{"stateDir":"here"}']) {
      test(`a configuration with ${written} is refused instead of guessed`, async () => {
        await assert.rejects(labelsOf(written), { code: 'GODWIT_CONFIG' });
      });
    }
  });

  test('an unknown lab or host is refused with the nearest name', async () => {
    await refuses({ lab: 'deom' }, 'GODWIT_LAB_UNKNOWN', /Did you mean demo\?/);
    await refuses({ lab: 'demo', host: 'A' }, 'GODWIT_HOST_UNKNOWN', /Did you mean a\?/);
  });

  test('a missing socket is named', async () => {
    await refuses({ agent: `${socket}x` }, 'GODWIT_UNREACHABLE', /agent\.sockx does not answer/);
  });

  test('the hint on a host that is not set up names godwit init', async (t) => {
    const none = { config: path.join(folder, 'none.json'), sockets: [] };
    const labs = process.env['GODWIT_LAB_DIR'];
    t.after(() => (process.env['GODWIT_LAB_DIR'] = labs));
    process.env['GODWIT_LAB_DIR'] = path.join(folder, 'no-labs');
    await assert.rejects(connect({}, {}, none), (thrown: unknown) => {
      const { code, hint } = toGodwitError(thrown);
      assert.equal(code, 'GODWIT_UNREACHABLE');
      assert.match(hint, /`godwit init`/);
      return true;
    });
    const lonely = judge(await collectFacts(new FakeContext(), {}, undefined));
    assert.match(lonely.find(({ name }) => name === 'agent')?.hint ?? '', /`godwit init`/);
  });

  test('connect takes the name of a host from its address or from the word before it', async () => {
    const shown = certificatesOf(folder);
    assert.deepEqual(await labels({ ...shown, agent: 'https://rack1.example.net:7443' }), [
      'rack1',
    ]);
    assert.deepEqual(await labels({ ...shown, agent: 'https://b@10.0.0.2:7443' }), ['b']);
    const env = contexts({ fleet: { certificates: folder } }, 'fleet');
    assert.deepEqual(await labels({ agent: 'https://b@[fd00::1]:7443' }, env), ['b']);
  });

  test('an address without a port gets the usual port, and port 443 only if it is typed', () => {
    assert.equal(namedAgent('https://rack1').address, 'rack1:7443');
    assert.equal(namedAgent('https://c@[fd00::1]', '--controller', 7444).address, '[fd00::1]:7444');
    assert.equal(namedAgent('https://rack1:443').address, 'rack1:443');
    assert.equal(namedAgent('https://rack1:8443/').address, 'rack1:8443');
  });

  test('connect requires a name and a certificate for https', async () => {
    await refuses(
      { agent: 'https://10.0.0.2:7443' },
      'GODWIT_USAGE',
      /https:\/\/NAME@10\.0\.0\.2:7443/,
    );
    await refuses({ agent: 'https://' }, 'GODWIT_USAGE', /is not https:\/\/host:port/);
    await refuses({ agent: 'http://rack1:1' }, 'GODWIT_USAGE', /unix socket/);
    await refuses({ agent: 'https://rack1:7443' }, 'GODWIT_USAGE', /needs --ca/);
    const missing = path.join(folder, 'gone.crt');
    const flags = { agent: 'https://rack1:7443', ...certificatesOf(folder), cert: missing };
    await refuses(flags, 'GODWIT_CONFIG', /gone\.crt: cannot be read \(ENOENT\)/);
  });
});
