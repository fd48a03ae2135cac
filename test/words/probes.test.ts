import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probePairs } from '../../src/words/probes.ts';
import { reportHtml } from '../../src/words/report-html.ts';
import type { Latency, ProbeReport } from '../../src/protocol/public/probe.ts';
import { report } from '../cli/fake.ts';

const seen: ProbeReport = {
  host: 'c',
  kind: 'arp',
  address: '10.9.0.21',
  gapMs: 84,
  goesOnMs: 600_000,
};
const known = { sent: 60, answered: 59, gapMs: 210, forMs: 6000, complete: false };
const waits = { count: 59, p50Ms: 1, p99Ms: 12 };
const shown = (given: Partial<ProbeReport>): string | undefined =>
  probePairs(report({ vantages: [{ ...seen, ...given }] }))[1]?.join(': ');
const later = (given: Partial<NonNullable<Latency['later']>>): string | undefined =>
  shown({ latency: { later: { ...known, ...given } } });

test("the guest's answers after its migration have a separate line, as far as they are known", () => {
  assert.equal(shown({ goesOnMs: undefined }), undefined);
  assert.equal(
    shown({ goesOnMs: undefined, goesNot: 'c probes 4 guests already' }),
    'c, afterwards: not probed: c probes 4 guests already',
  );
  assert.equal(shown({}), 'c, afterwards: nothing known yet; it is probed for 10 min 00 s');
  const figures =
    'c, afterwards: p50 and p99 of its answers 1 ms and 12 ms, at most 210 ms without one, 59 answers to 60 in';
  assert.equal(later({ waits }), `${figures} 6.0 s of 10 min 00 s so far`);
  assert.equal(later({ waits, complete: true }), `${figures} 10 min 00 s`);
  assert.equal(
    later({ waits, ended: 'it was moved again' }),
    `${figures} 6.0 s of 10 min 00 s only: it was moved again`,
  );
  assert.equal(
    later({ answered: 0, complete: true }),
    'c, afterwards: no answer to 60 in 10 min 00 s',
  );
  const page = reportHtml(report({ vantages: [seen] }));
  assert.match(page, /c, afterwards<\/dt>\s*<dd>nothing known yet/);
});
