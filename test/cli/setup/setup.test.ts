import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { loadAgentConfig, parseAgentConfig } from '../../../src/config.ts';
import { runCommandLine } from '../../../src/cli/frame.ts';
import { configurationOf, explanationOf, nameFrom } from '../../../src/cli/setup/configuration.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { hostName } from '../../../src/protocol/names.ts';
import { parseToken } from '../../../src/pki/token.ts';
import { fleet } from '../../agent/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { FakeContext } from '../fake.ts';

async function godwit(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const context = new FakeContext();
  // Certificates go by the time that it is.
  await context.clock.sleep(Date.now());
  const code = await runCommandLine(argv, TABLE, context);
  return { code, out: context.out.text, err: context.err.text };
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

  test('is one that the agent reads, with what it was made from', () => {
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

  test('has each of its lines explained', () => {
    fc.assert(
      fc.property(place, (of) => {
        const explained = explanationOf({ ...of, caDir: '/ca' });
        const written = configurationOf({ ...of, caDir: '/ca' });
        for (const [, key] of written.matchAll(/^ {2}"(\w+)":/gm))
          assert.match(explained, new RegExp(`^${key}\n {4}\\S`, 'm'));
      }),
    );
  });

  test('takes its host’s name from whatever the machine is called, or says that it cannot', () => {
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
  test('writes a CA, a certificate and a configuration that doctor has nothing to say of', async (t) => {
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

  test('changes nothing where something is wrong', async (t) => {
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

  test('leaves a host alone that is set up', async (t) => {
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

  test('the command that is printed sets a host up', async (t) => {
    const command = await invited(t);
    const { config, flags } = placesIn(tempDir(t));
    const { code, out, err } = await godwit(...command, ...flags);
    assert.equal(code, 0, err);
    assert.match(out, /^ok {4}clocks/m);
    const { name, address, caDir } = loadAgentConfig(config);
    assert.deepEqual([name, address.split(':')[0], caDir], ['b', '127.0.0.1', undefined]);
    assert.match((await godwit(...command, ...flags)).err, /holds a certificate already/);
  });

  test('the token comes on standard input, and at a terminal it is asked for', async (t) => {
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

  test('without a token and without a terminal it says how to give one', async () => {
    const { code, err } = await godwit('join');
    assert.equal(code, 2);
    assert.match(err, /the token is missing[^]*`godwit join -`/);
    assert.match((await godwit('join', '-')).err, /no token came on standard input/);
  });

  test('a configuration of another host is kept, and the token stays of use', async (t) => {
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

  test('a host that holds no CA invites nobody, and an address is needed', async (t) => {
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
