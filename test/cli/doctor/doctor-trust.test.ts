import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CertificateFact, Facts, Finding, TrustFact } from '../../../src/cli/doctor/facts.ts';
import { judgeCertificates, judgeTrust } from '../../../src/cli/doctor/judge-trust.ts';

type TrustInput = Pick<Facts, 'trust' | 'damagedList'>;

const FACT: TrustFact = {
  host: 'a',
  daysLeft: 20,
  failures: 0,
  list: { number: 4, ageDays: 1, leftDays: 6 },
  refusals: [],
};
const trusting = (change: Partial<TrustFact>): TrustInput => ({
  trust: [{ ...FACT, ...change }],
  damagedList: undefined,
});
const refusal = {
  peer: 'c (agent)',
  code: 'GODWIT_NOT_A_MEMBER',
  count: 41,
  message: 'c is not in the fleet list of a',
  at: '2026-11-22T18:00:00.000Z',
};
const lines = (given: TrustInput, name: string): Finding[] =>
  judgeTrust(given).filter((each) => each.name === name);

describe('doctor on the trust between hosts', () => {
  test('a host that trusts and is trusted gets only ok', () => {
    assert.ok(judgeTrust(trusting({})).every(({ verdict }) => verdict === 'ok'));
    assert.deepEqual(judgeTrust({ trust: [], damagedList: undefined }), []);
  });

  test('a host that missed a rotation of the CA is a failure, with the way back', () => {
    const authoritiesProblem = 'the fleet removed the CA of host.crt';
    const [found] = lines(trusting({ authoritiesProblem }), 'CA');
    assert.equal(found?.verdict, 'fail');
    assert.match(found.hint ?? '', /godwit join/);
  });

  test('a CA that expires soon is replaced by a rotation, a certificate by a join', () => {
    const hintFor = (file: string) =>
      judgeCertificates({ certificates: [{ file, daysLeft: 1, lifeDays: 3650 }] })[0]?.hint ?? '';
    assert.match(hintFor('/x/ca.crt'), /godwit pki rotate-ca start/);
    assert.match(hintFor('/x/host.crt'), /godwit join/);
  });

  test('a certificate that another party uses is a failure, with the command that ends a thief', () => {
    const reported = {
      name: 'b',
      serial: 'ab12',
      shownByHost: 'cd34',
      at: '2026-11-22T18:00:00.000Z',
    };
    const found = lines(trusting({ twoHolders: [reported] }), 'renewal');
    const failure = found.find(({ verdict }) => verdict === 'fail');
    assert.match(failure?.found ?? '', /uses certificate ab12 of b, which itself shows cd34/);
    assert.match(failure?.hint ?? '', /run `godwit pki revoke b`, and let b join again/);
    assert.match(failure?.hint ?? '', /pki revoke ab12` alone does not end the thief/);
  });

  const cases: [string, TrustInput, string, Finding['verdict'], RegExp, RegExp][] = [
    [
      'a list of the fleet that is damaged on disk',
      { trust: [], damagedList: '/var/lib/godwit/fleet.json is damaged: it is not JSON' },
      'fleet list',
      'fail',
      /fleet\.json is damaged/,
      /Remove the file/,
    ],
    [
      'a list of the fleet that an agent cannot use',
      trusting({ listProblem: 'fleet.json is damaged' }),
      'fleet list',
      'fail',
      /a: fleet\.json is damaged/,
      /Remove the file/,
    ],
    [
      'a list of the fleet that has expired',
      trusting({ list: { number: 4, ageDays: 8.5, leftDays: -1.5 } }),
      'fleet list',
      'fail',
      /list 4, signed 8 days ago; it expired 36 hours ago/,
      /holds the CA/,
    ],
    [
      'a list of the fleet that nobody signs anew',
      trusting({ list: { number: 4, ageDays: 5, leftDays: 2.5 } }),
      'fleet list',
      'warn',
      /expires in 2 days/,
      /holds the CA/,
    ],
    [
      'a certificate that could not be renewed',
      trusting({ failures: 7, daysLeft: 8.2, problem: 'a is not reachable' }),
      'renewal',
      'warn',
      /has 8 days left and could not be renewed, 7 times: a is not reachable/,
      /joins again/,
    ],
    [
      'a peer that was refused',
      trusting({ refusals: [refusal] }),
      'refusals',
      'warn',
      /a refused c \(agent\), 41 times, .*GODWIT_NOT_A_MEMBER.*: c is not in the fleet list of a/,
      /docs\/security\.md/,
    ],
  ];
  for (const [what, given, name, verdict, found, hint] of cases) {
    test(`${what} is reported`, () => {
      const [first, ...others] = lines(given, name);
      assert.deepEqual(others, []);
      assert.equal(first?.verdict, verdict);
      assert.match(first.found, found);
      assert.match(first.hint ?? '', hint);
    });
  }

  test('many refusals are a few lines and a count', () => {
    const found = lines(
      trusting({ refusals: Array.from({ length: 100 }, () => refusal) }),
      'refusals',
    );
    assert.equal(found.length, 9);
    assert.match(found.at(-1)?.found ?? '', /a: 92 more/);
  });

  test('a certificate for thirty days is fine until it should have been renewed long ago', () => {
    const certificate = (daysLeft: number): CertificateFact => ({
      file: 'host.crt',
      daysLeft,
      lifeDays: 30,
    });
    const verdictAt = (daysLeft: number) =>
      judgeCertificates({ certificates: [certificate(daysLeft)] })[0]?.verdict;
    assert.deepEqual([29, 10, 7].map(verdictAt), ['ok', 'ok', 'warn']);
  });
});
