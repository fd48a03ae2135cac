import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { loadAgentConfig, parseAgentConfig } from '../../../src/config.ts';
import { runCommandLine } from '../../../src/cli/frame.ts';
import { configurationOf, explanationOf, nameFrom } from '../../../src/cli/setup/configuration.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { hostName } from '../../../src/protocol/names.ts';
import { loadControllerConfig } from '../../../src/controller/config.ts';
import { startController } from '../../../src/controller/controller.ts';
import { readList } from '../../../src/host/fleet.ts';
import { silentLog } from '../../../src/log.ts';
import { changeList, withMember } from '../../../src/pki/fleet-list.ts';
import { ownIdentity } from '../../../src/pki/own-identity.ts';
import { makeToken, parseToken } from '../../../src/pki/token.ts';
import { fleet } from '../../agent/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';
import { FakeContext } from '../fake.ts';

async function godwit(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const context = new FakeContext();
  // Certificates go by the time that it is.
  await context.clock.sleep(Date.now());
  const code = await runCommandLine(argv, TABLE, context);
  return { code, out: context.out.text, err: context.err.text };
}

/** What a browser that trusts the fleet's CA gets. */
async function httpsJson(
  url: string,
  ca: string,
  token: string | undefined,
): Promise<{ status: number; body: unknown }> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const asked = request(url, { ca: readFileSync(ca), headers, agent: false }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: JSON.parse(await text(response)) };
}

/** Where a host of a test is set up. */
function placesIn(root: string): { config: string; flags: string[] } {
  const config = path.join(root, 'etc/agent.json');
  return { config, flags: ['--config', config, '--state-dir', path.join(root, 'state')] };
}

describe('a first configuration', () => {
  const directory = fc
    .array(fc.constantFrom('srv', 'images', 'a b', '"', '\\'), { minLength: 1, maxLength: 3 })
    .map((parts) => `/${parts.join('/')}`);
  const place = fc.record({
    name: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/),
    address: fc.constantFrom('10.0.0.1:7443', '[fd00::1]:7443'),
    stateDir: fc.constant('/var/lib/godwit'),
    storage: fc.array(directory, { maxLength: 3 }),
  });

  test('a first configuration is one that the agent reads, with the settings it was made from', () => {
    fc.assert(
      fc.property(place, fc.boolean(), (made, isFirst) => {
        const of = { ...made, ...(isFirst ? { caDir: '/etc/godwit/ca' } : {}) };
        const read = parseAgentConfig('agent.json', configurationOf(of));
        const { name, address, stateDir, caDir, storage } = read;
        assert.deepEqual(
          {
            name,
            address,
            stateDir,
            caDir,
            storage: storage.map((each) => 'path' in each && each.path),
          },
          { caDir: undefined, ...of },
        );
      }),
    );
  });

  test('a first configuration explains each of its lines', () => {
    fc.assert(
      fc.property(place, (of) => {
        const explained = explanationOf({ ...of, caDir: '/ca' });
        const written = configurationOf({ ...of, caDir: '/ca' });
        for (const [, key] of written.matchAll(/^ {2}"(\w+)":/gm))
          assert.match(explained, new RegExp(`^${key}\n {4}\\S`, 'm'));
      }),
    );
  });

  test("the host's name comes from the machine's name, whatever that is, or the command reports that it cannot", () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (called) => {
        const name = nameFrom(called);
        assert.ok(name === undefined || hostName.safeParse(name).success, String(name));
      }),
    );
    assert.equal(nameFrom('Rack1_A.example.net'), 'rack1-a');
  });
});

describe('godwit init', () => {
  test('godwit init writes a CA, a certificate and a configuration that doctor accepts', async (t) => {
    const { config, flags } = placesIn(tempDir(t));
    const { code, out } = await godwit('init', 'a', '--address', '127.0.0.1:0', ...flags, '--json');
    assert.equal(code, 0);
    const said = JSON.parse(out) as { checks: { name: string; verdict: string }[]; next: string[] };
    const { name, stateDir } = loadAgentConfig(config);
    assert.equal(name, 'a');
    // The agent that it sets up holds the CA, and renews it.
    const own = new X509Certificate(readFileSync(path.join(stateDir, 'pki/host.crt')));
    const days = (own.validToDate.getTime() - Date.now()) / 86_400_000;
    assert.ok(days > 29.9 && days <= 30, `${days} days`);
    for (const wanted of ['certificate', 'configuration']) {
      assert.equal(said.checks.find(({ name }) => name === wanted)?.verdict, 'ok', wanted);
    }
    assert.deepEqual(said.next[0], `godwit serve agent --config ${config}`);
  });

  test('godwit init changes nothing if something is wrong', async (t) => {
    const root = tempDir(t);
    const { config, flags } = placesIn(root);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const cases: [string[], RegExp][] = [
      [['a', '--address', taken], /is taken/],
      [['a', '--address', '192.0.2.1'], /is no address of this host/],
      [['a', '--address', 'b.example.net'], /is not an IP address/],
      [['A!', '--address', '127.0.0.1:0'], /is not a name/],
      [['a', '--address', '127.0.0.1:0', '--storage', `${root}/none`], /is no directory/],
    ];
    for (const [argv, message] of cases) {
      const { code, err } = await godwit('init', ...argv, ...flags);
      assert.notEqual(code, 0);
      assert.match(err, message);
      assert.equal(existsSync(path.dirname(config)), false);
    }
  });

  test('godwit init leaves a configured host unchanged', async (t) => {
    const { config, flags } = placesIn(tempDir(t));
    mkdirSync(path.dirname(config));
    writeFileSync(config, '{}');
    const { code, err } = await godwit('init', 'a', '--address', '127.0.0.1:0', ...flags);
    assert.notEqual(code, 0);
    assert.match(err, /is there already/);
    assert.ok(err.includes(`godwit doctor --config ${config}`), err);
    assert.equal(readFileSync(config, 'utf8'), '{}');
  });
});

describe('godwit init --controller', () => {
  function placesOf(root: string): { config: string; stateDir: string; flags: string[] } {
    const [config, stateDir] = [path.join(root, 'etc/controller.json'), path.join(root, 'state')];
    const flags = ['--controller', '--address', '127.0.0.1:0', '--config', config];
    return { config, stateDir, flags: [...flags, '--state-dir', stateDir] };
  }
  interface SetUp {
    readonly name: string;
    readonly url: string;
    readonly admin: { readonly name: string; readonly token: string };
    readonly checks: readonly { readonly name: string; readonly verdict: string }[];
  }

  test("an init on the CA's host creates a controller that starts, follows the fleet and admits its administrator", async (t) => {
    const { caDir } = await fleet(t);
    changeList(caDir, withMember({ name: 'a', address: '127.0.0.1:1', addresses: [] }), Date.now());
    const { config, flags } = placesOf(tempDir(t));
    const { code, out, err } = await godwit('init', ...flags, '--ca', caDir, '--json');
    assert.equal(code, 0, err);
    const { name, url, admin, checks } = JSON.parse(out) as SetUp;
    assert.equal(name, 'control');
    assert.match(url, /^https:\/\/127\.0\.0\.1:/);
    assert.deepEqual(
      checks.map(({ verdict }) => verdict),
      ['ok'],
    );
    const controller = await startController({
      config: loadControllerConfig(config),
      log: silentLog,
    });
    t.after(() => controller.close());
    const api = (route: string, token?: string): Promise<{ status: number; body: unknown }> =>
      httpsJson(`https://${controller.web}${route}`, path.join(caDir, 'ca.crt'), token);
    assert.equal((await api('/v1/tokens')).status, 401);
    const { status, body } = await api('/v1/tokens', admin.token);
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, { tokens: [{ name: 'admin', role: 'admin' }] });
    // It reads the fleet's list by itself, a moment after it serves.
    await untilSo(async () => {
      const { hosts } = (await api('/v1/hosts', admin.token)).body as { hosts: { name: string }[] };
      return hosts.some((host) => host.name === 'a');
    });
  });

  test('an init elsewhere takes the token of an invitation, and gets the fleet with it', async (t) => {
    const { host, caDir } = await fleet(t);
    const { agent } = await host('a', { holdsCa: true });
    const file = path.join(tempDir(t), 'agent.json');
    const own = { name: 'a', address: agent.address, stateDir: '/var/lib/godwit', caDir };
    writeFileSync(file, JSON.stringify(own));
    const asked = ['invite', 'c1', '--controller', '--addresses', '127.0.0.1', '--config', file];
    const said = await godwit(...asked);
    assert.match(said.out, /^godwit init --controller$/m, said.err);
    const token = /^gwj1\/.+$/m.exec(said.out)?.[0] ?? '';
    const { stateDir, config, flags } = placesOf(tempDir(t));
    const { code, out, err } = await godwit('init', ...flags, '--token', token);
    assert.equal(code, 0, err);
    assert.match(out, /^The controller is c1; its dashboard is at https:/m);
    assert.match(out, /^gdw_[A-Za-z0-9_-]{43}$/m);
    assert.equal(loadControllerConfig(config).name, 'c1');
    const certificate = readFileSync(path.join(stateDir, 'pki/controller.crt'), 'utf8');
    assert.deepEqual(ownIdentity('it', certificate), { name: 'c1', role: 'controller' });
    const signed = readFileSync(path.join(stateDir, 'pki/fleet.json'), 'utf8');
    const authority = readFileSync(path.join(stateDir, 'pki/ca.crt'), 'utf8');
    assert.equal(readList(signed, authority).list.holder, 'a');
  });

  test('a token of the other kind is refused, with the command that makes the right one', async (t) => {
    const { host, caDir } = await fleet(t);
    const { agent } = await host('a', { holdsCa: true });
    const made = (role: 'agent' | 'controller'): string =>
      makeToken(
        { caDir, agent: agent.address, name: 'c1', role, addresses: [], validMs: 60_000 },
        Date.now(),
      );
    const { config, flags } = placesOf(tempDir(t));
    const wrong = await godwit('init', ...flags, '--token', made('agent'));
    assert.match(wrong.err, /made for the role agent[^]*`godwit invite NAME --controller`/);
    assert.equal(existsSync(config), false);
    const own = placesIn(tempDir(t));
    const joined = await godwit('join', made('controller'), ...own.flags);
    assert.match(joined.err, /made for the role controller/);
    assert.equal(existsSync(own.config), false);
  });

  test("an existing controller is left unchanged, and so is another controller's database", async (t) => {
    const { caDir } = await fleet(t);
    const { config, stateDir, flags } = placesOf(tempDir(t));
    assert.equal((await godwit('init', ...flags, '--ca', caDir)).code, 0);
    const database = readFileSync(path.join(stateDir, 'controller.db'));
    assert.match((await godwit('init', ...flags, '--ca', caDir)).err, /is there already/);
    rmSync(config);
    assert.match((await godwit('init', ...flags, '--ca', caDir)).err, /database of another/);
    assert.deepEqual(readFileSync(path.join(stateDir, 'controller.db')), database);
    assert.equal(existsSync(config), false);
  });

  test('flags of a host and of a controller are not mixed', async () => {
    assert.match((await godwit('init', '--ca', '/x')).err, /--ca goes with --controller/);
    const mixed = await godwit('init', '--controller', '--storage', '/tmp');
    assert.match(mixed.err, /--storage does not go with --controller/);
  });
});

describe('godwit invite and join', () => {
  async function invited(t: Parameters<typeof fleet>[0]): Promise<string[]> {
    const { host, caDir } = await fleet(t);
    const { agent } = await host('a', { holdsCa: true });
    const file = path.join(tempDir(t), 'agent.json');
    writeFileSync(
      file,
      JSON.stringify({ name: 'a', address: agent.address, stateDir: '/var/lib/godwit', caDir }),
    );
    const said = await godwit('invite', 'b', '--addresses', '127.0.0.1', '--config', file);
    assert.match(said.out, /^godwit join$/m, said.err);
    const token = /^gwj1\/.+$/m.exec(said.out)?.[0] ?? '';
    assert.equal(parseToken(token).address, agent.address);
    return ['join', token];
  }

  test('the printed command sets a host up', async (t) => {
    const command = await invited(t);
    const { config, flags } = placesIn(tempDir(t));
    const { code, out, err } = await godwit(...command, ...flags);
    assert.equal(code, 0, err);
    assert.match(out, /^ok {4}clocks/m);
    const { name, address, caDir } = loadAgentConfig(config);
    assert.deepEqual([name, address.split(':')[0], caDir], ['b', '127.0.0.1', undefined]);
    assert.match((await godwit(...command, ...flags)).err, /holds a certificate already/);
  });

  test('the token comes on standard input, and a terminal asks for it', async (t) => {
    for (const [argv, said] of [
      [['join', '-'], ''],
      [['join'], 'Token, as `godwit invite` printed it: '],
    ] as const) {
      const [, token] = await invited(t);
      const context = new FakeContext();
      await context.clock.sleep(Date.now());
      context.input = `${token}\nmore`;
      context.answers = [];
      const { config, flags } = placesIn(tempDir(t));
      assert.equal(await runCommandLine([...argv, ...flags], TABLE, context), 0, context.err.text);
      assert.equal(context.err.text, said);
      assert.equal(loadAgentConfig(config).name, 'b');
    }
  });

  test('a call without a token and without a terminal explains how to give one', async () => {
    const { code, err } = await godwit('join');
    assert.equal(code, 2);
    assert.match(err, /the token is missing[^]*`godwit join -`/);
    assert.match((await godwit('join', '-')).err, /no token came on standard input/);
  });

  test('the configuration of another host is kept, and the token remains valid', async (t) => {
    const command = await invited(t);
    const { config, flags } = placesIn(tempDir(t));
    mkdirSync(path.dirname(config));
    const other = JSON.stringify({
      name: 'c',
      address: '127.0.0.1:1',
      stateDir: '/var/lib/godwit',
    });
    writeFileSync(config, other);
    assert.match((await godwit(...command, ...flags)).err, /`name` is c, and the token is for b/);
    assert.equal(readFileSync(config, 'utf8'), other);
    assert.equal((await godwit(...command, ...placesIn(tempDir(t)).flags)).code, 0);
  });

  test('a host without a CA cannot invite, and an address is required', async (t) => {
    const file = path.join(tempDir(t), 'agent.json');
    writeFileSync(file, '{"name":"a","address":"127.0.0.1:1","stateDir":"/var/lib/godwit"}');
    const flags = ['--config', file];
    assert.match((await godwit('invite', 'b', ...flags)).err, /--addresses is missing/);
    const wrong = await godwit('invite', 'b', '--addresses', 'a b', ...flags);
    assert.match(wrong.err, /is neither an IP address nor a DNS name/);
    const { err } = await godwit('invite', 'b', '--addresses', '127.0.0.1', ...flags);
    assert.match(err, /has no `caDir`/);
  });
});
