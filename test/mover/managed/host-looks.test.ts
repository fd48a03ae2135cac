import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentConfig } from '../../../src/config.ts';
import type { WrittenFiles } from '../../../src/port/disks.ts';
import { godwitError } from '../../../src/errors.ts';
import { ManagedVerification, type HostLooks } from '../../../src/mover/managed/verification.ts';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { PLANNED, sleptClock } from './samples.ts';

const clock = sleptClock();

const look = (name: string, given: Partial<Check> = {}): Check => ({
  name,
  side: 'destination',
  verdict: 'pass',
  evidence: `${name} of b`,
  ...given,
});

/** What both hosts see of a guest that has two disks here. */
async function atBothHosts(
  { askThere, writers = [[], []] }: { askThere: HostLooks['askThere']; writers?: string[][] },
  written: WrittenFiles | 'no mover' | 'unnamed' = { files: ['/d/a', '/d/b'], remote: 0 },
): Promise<string[]> {
  const config = agentConfig.parse({ name: 'a', address: '10.0.0.1:1', stateDir: '/s' });
  const hosts: HostLooks = { askThere, writersHere: async () => writers };
  const verification = new ManagedVerification(config, clock, { hosts });
  if (written !== 'no mover') verification.inspected(written === 'unnamed' ? {} : { written });
  const { verified } = await verification.results(PLANNED);
  return verified
    .filter(({ name }) => name === 'disks' || name === 'segment')
    .map(({ name, side, verdict, notTried, evidence }) => {
      return `${name} ${side} ${notTried === true ? 'not tried' : verdict}: ${evidence}`;
    });
}

describe('a moved managed guest', () => {
  const askThere = async (): Promise<Check[]> => [look('disks'), look('segment')];

  test("a moved managed guest has one hypervisor that may write to its disks: the destination's", async () => {
    assert.deepEqual(await atBothHosts({ askThere }), [
      'disks source pass: at a no hypervisor may write to /d/a, /d/b any more',
      'disks destination pass: disks of b',
      'segment destination pass: segment of b',
    ]);
    const [doubt] = await atBothHosts({ askThere, writers: [[], ['web1 (process 7)']] });
    assert.match(doubt ?? '', /^disks source warn: at a web1 .* may still write to \/d\/b/);
  });

  test('a moved managed guest is checked once, before its manager is told that it is over', async () => {
    let asked = 0;
    const config = agentConfig.parse({ name: 'a', address: '10.0.0.1:1', stateDir: '/s' });
    const hosts: HostLooks = {
      askThere: async () => {
        asked += 1;
        return [look('disks')];
      },
      writersHere: async () => [],
    };
    const verification = new ManagedVerification(config, clock, { hosts });
    await verification.there();
    assert.equal(asked, 1);
    await verification.results(PLANNED);
    await verification.there();
    assert.equal(asked, 1);
  });

  test('a moved managed guest without a check has the reason: no agent, an older build, another mover', async () => {
    const fails = async (code: 'GODWIT_ROUTE_UNKNOWN' | 'GODWIT_CAPABILITY') => {
      const error =
        code === 'GODWIT_CAPABILITY'
          ? godwitError(code, { what: 'a look', reason: 'no agent at b' })
          : godwitError(code, { method: 'GET', path: '/v1/arrivals' });
      return atBothHosts({ askThere: () => Promise.reject(error) });
    };
    assert.match((await fails('GODWIT_CAPABILITY'))[1] ?? '', /not tried: .*no agent at b/);
    assert.match(
      (await fails('GODWIT_ROUTE_UNKNOWN'))[2] ?? '',
      /not tried: .*a build that does not/,
    );
    const [taken] = await atBothHosts({ askThere }, 'no mover');
    assert.match(taken ?? '', /^disks source not tried: .*another mover began/);
    const [unnamed] = await atBothHosts({ askThere }, 'unnamed');
    assert.match(unnamed ?? '', /not tried: .*does not name the files/);
  });

  test("a peer's checks count only for its host, and no more of them than a journal holds", async () => {
    const liar = async (): Promise<Check[]> => [
      look('copies'),
      look('disks', { side: 'source' }),
      ...Array.from({ length: 40 }, () => look('segment')),
    ];
    const found = await atBothHosts({ askThere: liar });
    assert.equal(found.filter((each) => each.startsWith('segment')).length, 8);
    assert.match(found[1] ?? '', /^disks destination not tried: .*did not report it/);
  });
});
