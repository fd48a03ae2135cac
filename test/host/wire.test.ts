import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig, type AgentConfig } from '../../src/config.ts';
import { budgetOf, cacheFor, offerOf, termsFor } from '../../src/host/wire.ts';
import { sharing, wireOffer } from '../../src/protocol/wire.ts';

function configOf(t: TestContext, cache: object = {}, secret = 'ab'.repeat(32)): AgentConfig {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  mkdirSync(path.join(stateDir, 'pki'));
  writeFileSync(path.join(stateDir, 'pki', 'site.secret'), `${secret}\n`);
  return agentConfig.parse({ name: 'a', address: '127.0.0.1:7443', stateDir, cache });
}

describe("the host's cache for a guest", () => {
  test("the host's cache is the guest's alone unless configured otherwise", (t) => {
    const config = configOf(t);
    const cache = cacheFor(config, 'web1', termsFor(config, 'web1', 1000), 'b');
    assert.deepEqual(cache?.sharing, { with: 'guest', guest: 'web1' });
    assert.equal(cache.secret.length, 32);
    assert.ok(cache.placesFile.startsWith(cache.directory));
  });

  test("the host's cache is shared no further than the stricter of both hosts allows", (t) => {
    const width = sharing.options;
    for (const scope of width) {
      for (const asked of width) {
        const terms = { linkGraceMs: 1000, sharing: asked, tenant: 'acme' };
        const made = cacheFor(configOf(t, { scope }), 'web1', terms, 'b');
        const narrower = width[Math.min(width.indexOf(scope), width.indexOf(asked))];
        assert.equal(made?.sharing.with ?? 'none', narrower);
      }
    }
  });

  test("the host's cache is the guest's alone if its tenant is unknown", (t) => {
    const config = configOf(t, { scope: 'tenant', tenants: { web1: 'acme' } });
    assert.deepEqual(termsFor(config, 'web1', 5), {
      linkGraceMs: 5,
      sharing: 'tenant',
      tenant: 'acme',
    });
    assert.equal(termsFor(config, 'web2', 5).sharing, 'guest');
  });

  test('the host has no cache without a valid secret', (t) => {
    for (const secret of ['', 'ab', 'no hex at all']) {
      const config = configOf(t, {}, secret);
      assert.equal(cacheFor(config, 'web1', termsFor(config, 'web1', 1), 'b'), undefined);
    }
  });

  test("the host's cache reports a guest as known to the host that exchanged its places", (t) => {
    const config = configOf(t);
    assert.equal(offerOf(config, 'web1', 'b').knowsGuest, false);
    const cache = cacheFor(config, 'web1', termsFor(config, 'web1', 1), 'b');
    writeFileSync(cache?.placesFile ?? '', '');
    assert.equal(offerOf(config, 'web1', 'b').knowsGuest, true);
    assert.equal(offerOf(config, 'web2', 'b').knowsGuest, false);
    assert.equal(offerOf(config, 'web1', 'c').knowsGuest, false);
  });

  test("the host's cache is offered with its processors and their load, as the protocol accepts it", (t) => {
    const offer = offerOf(configOf(t), 'web1', 'b');
    assert.deepEqual(wireOffer.parse(offer), offer);
    const { cores, load = NaN } = offer;
    assert.ok(cores >= 1 && load >= 0);
  });
});

test("a host's migrations share a budget if it has one", () => {
  const host = { name: 'a', address: '127.0.0.1:7443', stateDir: '/var/lib/godwit' };
  assert.equal(budgetOf(agentConfig.parse(host)), undefined);
  const budget = budgetOf(agentConfig.parse({ ...host, wire: { bytesPerS: 1_000_000 } }));
  assert.deepEqual(budget, { directory: '/var/lib/godwit/wire-shares', bytesPerS: 1_000_000 });
});
