import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judgeCertificates,
  judgeClock,
  judgeHooks,
  judgeJournal,
  judgeNested,
  judgeSecondPath,
  judgeSiteCheck,
  judgeTransport,
  judgeVersions,
  type HostsFacts,
} from '../../../src/migration/preflight/hosts.ts';

const NOW = 1_700_000_000_000;
const DAY = 86_400_000;

function facts(
  source: Partial<HostsFacts['source']> = {},
  destination: Partial<HostsFacts['source']> = {},
  answeredMs = NOW,
): HostsFacts {
  const common = { version: '1.0.0', wallMs: NOW };
  return {
    source: { name: 'a', ...common, ...source },
    destination: { name: 'b', ...common, ...destination },
    askedMs: NOW,
    answeredMs,
    mayPostcopy: false,
    paths: ['10.0.0.2:7443'],
  };
}

test('a clock difference causes a warning exactly if the duration of the question cannot explain it', () => {
  const span = fc.record({ skewMs: fc.integer({ min: -DAY, max: DAY }), tookMs: fc.nat(20_000) });
  fc.assert(
    fc.property(span, ({ skewMs, tookMs }) => {
      const [found] = judgeClock(facts({}, { wallMs: NOW + skewMs }, NOW + tookMs));
      const beyond = skewMs > tookMs + 1000 || skewMs < -1000;
      assert.equal(found?.verdict, beyond ? 'warn' : 'pass');
    }),
  );
});

test('a wrong clock is reported with its host and its direction', () => {
  const [ahead] = judgeClock(facts({}, { wallMs: NOW + 90_000 }));
  assert.match(ahead?.evidence ?? '', /clock of b is at least .* ahead of that of a/);
  const [behind] = judgeClock(facts({}, { wallMs: NOW - 90_000 }));
  assert.match(behind?.evidence ?? '', /clock of b is at least .* behind that of a/);
});

test('two different builds cause a warning with both versions', () => {
  assert.equal(judgeVersions(facts())[0]?.verdict, 'pass');
  const [found] = judgeVersions(facts({}, { version: '1.1.0' }));
  assert.match(found?.evidence ?? '', /a runs Godwit 1\.0\.0, b runs 1\.1\.0/);
});

test('each host without room for its journal is named; a host that does not report it is not', () => {
  const full = { journalFreeBytes: 1024 };
  assert.equal(judgeJournal(facts())[0]?.verdict, 'pass');
  assert.deepEqual(
    judgeJournal(facts(full, full)).map(({ verdict, evidence }) => [verdict, evidence.slice(-31)]),
    [
      ['warn', 'free where a keeps its journals'],
      ['warn', 'free where b keeps its journals'],
    ],
  );
});

test("a certificate that ends within two days by its host's clock causes a warning", () => {
  fc.assert(
    fc.property(fc.integer({ min: -DAY, max: 30 * DAY }), fc.nat(DAY), (leftMs, skewMs) => {
      const wallMs = NOW + skewMs;
      const [found] = judgeCertificates(facts({ wallMs, certificateEndsMs: wallMs + leftMs }));
      assert.equal(found?.verdict, leftMs < 2 * DAY ? 'warn' : 'pass');
    }),
  );
});

test('a hook that only one host has is named with the host that lacks it', () => {
  assert.equal(judgeHooks(facts())[0]?.verdict, 'pass');
  assert.equal(judgeHooks(facts({ hooks: ['x'] }, { hooks: ['x'] }))[0]?.verdict, 'pass');
  const [found] = judgeHooks(facts({ hooks: ['before-start', 'x'] }, { hooks: ['x', 'y'] }));
  assert.equal(found?.evidence, 'missing, though the other host has it: before-start on b, y on a');
});

test('a single link causes a warning only if memory may move by post-copy', () => {
  const ports = fc.integer({ min: 1, max: 65_535 });
  const places = fc.array(fc.tuple(fc.constantFrom('10.0.0.2', '10.1.0.2', '[fd00::2]'), ports), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(places, fc.boolean(), (all, mayPostcopy) => {
      const paths = all.map(([host, port]) => `${host}:${port}`);
      const found = judgeSecondPath({ ...facts(), mayPostcopy, paths });
      const links = new Set(all.map(([host]) => host)).size;
      const expected = mayPostcopy ? [links > 1 ? 'pass' : 'warn'] : [];
      assert.deepEqual(
        found.map(({ verdict }) => verdict),
        expected,
      );
    }),
  );
});

test('a cloud machine without nested virtualization causes a warning, and is named, if the source has KVM', () => {
  const own = { isVirtual: false, hasKvm: true };
  const machine = { isVirtual: true, maker: 'Amazon EC2', model: 'm5.large', hasKvm: false };
  const judged = (source: object, destination: object) =>
    judgeNested(
      facts({ platform: { ...own, ...source } }, { platform: { ...own, ...destination } }),
    );
  assert.deepEqual(judgeNested(facts()), []);
  assert.equal(judged({}, {})[0]?.evidence, 'b is no virtual machine');
  const [found] = judged({}, machine);
  assert.equal(found?.verdict, 'warn');
  assert.equal(
    found?.evidence,
    'b is a virtual machine (Amazon EC2 m5.large) without nested virtualisation',
  );
  assert.match(found?.hint ?? '', /guest under KVM cannot go there.*bare metal/s);
  assert.equal(judged({ hasKvm: false }, machine)[0]?.verdict, 'pass');
  assert.equal(judged({}, { ...machine, hasKvm: true })[0]?.verdict, 'pass');
});

test("a site's check that the destination lacks is refused by name, as is a destination without any", () => {
  const judged = (siteChecks?: string[], siteCheck: string | undefined = 'check-web') =>
    judgeSiteCheck({
      ...facts({}, siteChecks === undefined ? {} : { siteChecks }),
      siteCheck,
    })[0];
  assert.deepEqual(judgeSiteCheck(facts({}, { siteChecks: [] })), []);
  assert.equal(judged(['check-db', 'check-web'])?.verdict, 'pass');
  const other = judged(['check-db']);
  assert.equal(other?.error?.code, 'GODWIT_CAPABILITY');
  assert.match(
    other?.error?.message ?? '',
    /b has no executable check-web in .*; it has check-db$/,
  );
  assert.match(judged([])?.error?.message ?? '', /it has no check$/);
  assert.match(judged()?.error?.message ?? '', /b runs a build that knows no checks/);
});

test('memory is sent unencrypted only if both hosts name each other', () => {
  const zero = (here: string[] | undefined, there: string[] | undefined) =>
    judgeTransport({
      ...facts({ unencryptedMemory: here }, { unencryptedMemory: there }),
      transport: 'zero-copy',
    });
  assert.deepEqual(
    zero(['b'], ['a']).map(({ verdict }) => verdict),
    ['pass'],
  );
  const [one, ...more] = zero(['b'], ['c']);
  assert.equal(more.length, 0);
  assert.equal(one?.error?.code, 'GODWIT_CAPABILITY');
  assert.match(one?.evidence ?? '', /b does not let memory go unencrypted between it and a/);
  assert.match(one?.error?.hint ?? '', /add a to `unencryptedMemory` in the configuration of b/);
  // A host of an earlier build says nothing.
  assert.equal(zero(['b'], undefined).length, 1);
  assert.equal(zero([], []).length, 2);
});

test('RDMA needs a device with an active port on each host', () => {
  const rdma = (here: string[], there: string[]) =>
    judgeTransport({
      ...facts({ unencryptedMemory: ['b'], rdma: here }, { unencryptedMemory: ['a'], rdma: there }),
      transport: 'rdma',
    });
  assert.match(rdma(['mlx5_0'], ['mlx5_1'])[0]?.evidence ?? '', /^a: mlx5_0; b: mlx5_1$/);
  const [missing] = rdma(['mlx5_0'], []);
  assert.match(
    missing?.evidence ?? '',
    /--transport rdma.*b has no RDMA device with an active port/,
  );
  assert.match(missing?.error?.hint ?? '', /`rdma link`.* on b/);
});

test('no finding mentions a transport that was not requested', () => {
  assert.deepEqual(judgeTransport(facts()), []);
  assert.deepEqual(judgeTransport({ ...facts(), transport: 'tcp' }), []);
});
