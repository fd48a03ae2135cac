import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { initCa, issue, storeCredentials } from '../../../src/pki/authority.ts';
import { controllerNamed } from '../../../src/cli/connection/controller-place.ts';
import { fleet, guest } from '../../agent/samples.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { until } from '../../until.ts';
import { certificatesOf, FakeContext, godwit } from '../fake.ts';

async function run(words: readonly string[], env: Record<string, string> = {}) {
  const context = new FakeContext();
  Object.assign(context.env, env);
  const exit = await godwit(context, words.join(' '));
  return { exit, out: context.out.text, err: context.err.text };
}

test('hosts and guests of a whole fleet are listed by a controller, over its socket or with a certificate', async (t) => {
  const { host, caDir, certificate } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')] });
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    gone: { address: '127.0.0.1:1', addresses: [] },
  };
  const given = { hosts, web: { address: '127.0.0.1:0' } };
  const { controller, api } = await controllerOf(t, caDir, given);
  await until('the hosts to be known', 20_000, async () => {
    const known = (await api.hosts()).hosts.map(({ state }) => state);
    return known.join() === 'up,silent' ? true : undefined;
  });
  const where = ['--controller', controller.socket];
  const listed = await run(['hosts', ...where]);
  assert.equal(listed.exit, 0, listed.err);
  assert.match(listed.out, /^a +up .* 1 /m);
  assert.match(listed.out, /^gone +silent .*since \d{4}-.*nothing listens/m);
  assert.equal((await run(['hosts', '-q', ...where])).out, 'a\ngone\n');
  const named = await run(['guests', '--json'], { GODWIT_CONTROLLER: controller.socket });
  const { guests } = JSON.parse(named.out) as { guests: { name: string; host: string }[] };
  assert.deepEqual(
    guests.map((each) => [each.name, each.host]),
    [['web1', 'a']],
  );
  const folder = tempDir(t);
  storeCredentials(folder, await certificate('ann', 'viewer'), 'viewer');
  const shown = Object.entries(certificatesOf(folder, 'viewer')).flatMap(([flag, file]) => [
    `--${flag}`,
    file,
  ]);
  const https = `https://control@${controller.address}`;
  const far = await run(['guests', '--on', 'a', '-q', '--controller', https, ...shown]);
  assert.equal(far.out, 'web1\n', far.err);
  const fresh = await run(['guests', '--fresh', ...where]);
  assert.match(fresh.err, /--fresh is for agents/);
  const strange = await run(['guests', '--on', 'zz', ...where]);
  assert.match(strange.err, /GODWIT_HOST_UNKNOWN|no host is called zz/);
  // Its web listener is for tokens, whatever certificate it shows.
  const web = await run(['hosts', ...shown, '--controller', `https://control@${controller.web}`]);
  assert.equal(web.exit, 2, web.out);
  assert.match(web.err, /is the web listener of the controller/);
  assert.match(web.err, /`address`/);
  // A host’s agent is no controller.
  const agent = `https://a@${a.agent.address}`;
  const wrong = await run(['hosts', '--controller', agent, ...shown]);
  assert.notEqual(wrong.exit, 0);
});

describe('a controller', () => {
  test('a controller from the environment is not asked if an agent or a lab is named', () => {
    const env = { GODWIT_CONTROLLER: '/c.sock' };
    assert.equal(controllerNamed({}, env), '/c.sock');
    assert.equal(controllerNamed({ lab: 'lab' }, env), undefined);
    assert.throws(
      () => controllerNamed({ controller: '/d.sock', lab: 'lab' }, env),
      /--lab are both/,
    );
    assert.equal(controllerNamed({ atHost: true }, env), undefined);
    assert.equal(controllerNamed({}, { GODWIT_CONTROLLER: '' }), undefined);
  });

  test('a missing controller and a malformed address are reported', async () => {
    const away = await run(['hosts', '--controller', path.join('/nowhere', 'c.sock')]);
    assert.match(away.err, /the socket is not there/);
    const strange = await run(['hosts', '--controller', 'postgres://x']);
    assert.match(strange.err, /--controller cannot be postgres/);
  });
});

test('a web listener with a separate certificate is told apart from an attacker as far as possible', async (t) => {
  const { caDir, certificate } = await fleet(t);
  const other = path.join(tempDir(t), 'other');
  await initCa(other);
  const issued = await issue({
    caDir: other,
    name: 'www',
    role: 'agent',
    addresses: ['127.0.0.1'],
  });
  const own = tempDir(t);
  storeCredentials(own, issued);
  const [certFile, keyFile] = [path.join(own, 'host.crt'), path.join(own, 'host.key')];
  const web = { address: '127.0.0.1:0', certFile, keyFile };
  const { controller } = await controllerOf(t, caDir, { web });
  const folder = tempDir(t);
  storeCredentials(folder, await certificate('ann', 'viewer'), 'viewer');
  const shown = Object.entries(certificatesOf(folder, 'viewer')).flatMap(([flag, file]) => [
    `--${flag}`,
    file,
  ]);
  const where = ['--controller', `https://control@${controller.web}`];
  const { exit, err } = await run(['hosts', ...where, ...shown]);
  assert.equal(exit, 9, err);
  assert.match(err, /did not present a certificate that this host trusts/);
  assert.match(err, /web listener.*`address`/s);
});
