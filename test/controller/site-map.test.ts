import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseControllerConfig } from '../../src/controller/config.ts';
import {
  siteMapProblem,
  trunksOf,
  type SiteLink,
  type SiteMap,
} from '../../src/controller/site-map.ts';

const link = (one: string, other: string, more: Partial<SiteLink> = {}): SiteLink => ({
  between: [one, other],
  bytesPerS: 12_500_000,
  roundTripMs: 50,
  costPerGb: 0,
  ...more,
});

const map = (
  sites: Readonly<Record<string, readonly string[]>>,
  siteLinks: readonly SiteLink[] = [],
): SiteMap => ({
  sites: Object.fromEntries(Object.entries(sites).map(([name, networks]) => [name, { networks }])),
  siteLinks,
});

const words = (given: SiteMap): string => siteMapProblem(given)?.words ?? 'it was taken';

test('a ring of links between sites is a valid map', () => {
  const ring = [link('s1', 's2'), link('s2', 's3'), link('s3', 's1')];
  assert.equal(words(map({ s1: [], s2: [], s3: [] }, ring)), 'it was taken');
});

test('a link from a site to itself, to an unknown site, or parallel to another one is refused by name', () => {
  const sites = { s1: [], s2: [], paris: [] };
  assert.match(words(map(sites, [link('s1', 's1')])), /from s1 to s1 itself/);
  assert.match(words(map(sites, [link('s1', 'pari')])), /pari is no site.*mean paris/);
  assert.match(words(map(sites, [link('s1', 's2'), link('s2', 's1')])), /two links.*s1 and s2/);
});

test('two sites with overlapping networks are refused, and both are named', () => {
  const problem = words(map({ s1: ['10.1.0.0/16'], s2: ['10.2.0.0/16', '10.1.4.0/24'] }));
  assert.match(problem, /10\.1\.4\.0\/24 of s2 overlaps 10\.1\.0\.0\/16 of s1/);
  assert.equal(
    words(map({ s1: ['10.1.0.0/16', '10.1.4.0/24'], s2: ['fd00::/8'] })),
    'it was taken',
  );
});

test('an address of any host is in the networks of one site at most', () => {
  const byte = fc.integer({ min: 0, max: 3 });
  const network = fc.tuple(byte, byte).map(([one, two]) => `10.${one}.${two}.0/24`);
  const wide = byte.map((one) => `10.${one}.0.0/16`);
  const networks = fc.array(fc.oneof(network, wide), { maxLength: 3 });
  fc.assert(
    fc.property(networks, networks, byte, byte, (s1, s2, one, two) => {
      fc.pre(siteMapProblem(map({ s1, s2 })) === undefined);
      const holds = (list: readonly string[]): boolean =>
        list.includes(`10.${one}.${two}.0/24`) || list.includes(`10.${one}.0.0/16`);
      assert.ok(!(holds(s1) && holds(s2)));
    }),
  );
});

test('the configuration names the line of a mistake in the map', () => {
  const text = JSON.stringify(
    {
      name: 'control',
      address: '10.0.0.9:7444',
      stateDir: '/s',
      sites: { s1: {} },
      siteLinks: [{ between: ['s1', 's2'], bytesPerS: 12_500_000, costPerGb: 0.09 }],
    },
    undefined,
    1,
  );
  assert.throws(
    () => parseControllerConfig('c.json', text),
    /line \d+.*`siteLinks`: s2 is no site/,
  );
  const good = parseControllerConfig('c.json', text.replace('"s1": {}', '"s1": {}, "s2": {}'));
  assert.deepEqual(trunksOf(good.siteLinks), [
    { between: ['s1', 's2'], bytesPerSecond: 12_500_000 },
  ]);
});
