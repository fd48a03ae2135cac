import { godwitError } from '../src/errors.ts';
import type { Report } from '../src/protocol/public/migration.ts';
import { report } from './cli/fake.ts';

/** Reports that are as full as they come, for pages that show them. */

const MIB = 1024 ** 2;
const LONG_PATH = '/var/lib/godwit/images/customer-4711/production/web1-root-disk.qcow2';

const checks: Report['checks'] = [
  {
    name: 'images',
    side: 'destination',
    verdict: 'pass',
    evidence: 'kernel is /var/cache/godwit/guest/kernel/boot/vmlinuz-6.1.0-50-cloud-amd64',
  },
  { name: 'machine', side: 'destination', verdict: 'pass', evidence: 'pc-q35-7.2 is known' },
  {
    name: 'segment',
    side: 'destination',
    verdict: 'pass',
    notTried: true,
    evidence: 'net0: not tried: neither host knows an address of the guest there',
  },
  {
    name: 'disk-cache',
    side: 'source',
    verdict: 'warn',
    evidence: `${LONG_PATH} is opened with cache=writeback, which can lose a write to memory`,
    hint: 'Start the guest with cache=none.',
  },
];

/** A guest that made memory dirty so fast that it was slowed down, and whose mover died once in the middle. */
export function reportOfALongMove(): Report {
  return report({
    guest: 'customer-4711-production-web1',
    from: 'rack12-node03',
    to: 'rack14-node11',
    totalMs: 62_400,
    takeovers: 1,
    rounds: 24,
    roundList: Array.from({ length: 24 }, (_, at) => ({
      round: at + 1,
      atMs: (at + 1) * 2400,
      transferredBytes: Math.round(4096 * MIB * (1 - 0.8 ** (at + 1))),
      remainingBytes: Math.round(4096 * MIB * 0.8 ** (at + 1)),
      rate: Math.round((90 + 25 * Math.sin(at)) * MIB),
      dirtyRate: Math.round((40 + 30 * Math.cos(at / 2)) * MIB),
      throttlePercent: at < 8 ? 0 : Math.min(80, (at - 7) * 10),
    })),
    phases: [
      { phase: 'planned', ms: 20 },
      { phase: 'checking', ms: 420 },
      { phase: 'preparing', ms: 900 },
      { phase: 'memory', ms: 31_000 },
      { phase: 'checking', ms: 300 },
      { phase: 'memory', ms: 28_900 },
      { phase: 'switchover', ms: 240 },
      { phase: 'handover', ms: 200 },
      { phase: 'verifying', ms: 120 },
      { phase: 'cleanup', ms: 300 },
    ],
    checks,
    decisions: [
      {
        atMs: 19_400,
        what: 'slows the guest down: 40 MiB/s are made dirty, 90 MiB/s go over',
        rule: 'outpaced',
      },
      { atMs: 60_100, what: 'converges: 20 MiB left, 118 MiB/s' },
    ],
    vantages: [{ host: 'rack13-node01', notTried: 'it watches 8 guests already' }],
  });
}

/** One that was rolled back by an error with long words in it. */
export function reportThatFailed(): Report {
  const error = godwitError('GODWIT_STREAM_FAILED', {
    guest: 'web1',
    reason: `writing to ${LONG_PATH} failed: no space left on device`,
  }).toJSON();
  return report({
    outcome: 'failed',
    phase: 'failed',
    finished: 'none',
    runsAt: 'source',
    roundList: report().roundList.slice(0, 1),
    checks,
    error,
    leftovers: [error],
  });
}
