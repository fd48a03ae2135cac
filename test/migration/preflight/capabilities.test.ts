import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeCapabilities,
  type Capabilities,
} from '../../../src/migration/preflight/capabilities.ts';
import type { StrategyName } from '../../../src/protocol/public/steering.ts';
import {
  compression,
  mode,
  type MigrationSettings,
  type Mode,
} from '../../../src/protocol/public/migration.ts';
import { PLAIN } from '../../drivers/plain.ts';

const capabilities: fc.Arbitrary<Capabilities> = fc.record({
  shape: fc.constantFrom('direct', 'managed'),
  modes: fc.uniqueArray(fc.constantFrom(...mode.options), { minLength: 1 }),
  compression: fc.uniqueArray(fc.constantFrom(...compression.options), { minLength: 1 }),
  maxStreams: fc.integer({ min: 1, max: 16 }),
  postcopyRecovery: fc.boolean(),
});
const asked = fc.record({
  mode: fc.constantFrom(...mode.options),
  compress: fc.constantFrom(...compression.options),
  streams: fc.integer({ min: 1, max: 16 }),
  path: fc.constantFrom('native' as const, 'wire' as const, 'auto' as const),
});

describe('requests to a driver', () => {
  test('features of Godwit itself are refused by name if a manager moves the guest', () => {
    const wants = { mode: 'precopy', compress: 'none', streams: 1 } as const;
    const asks: [Partial<MigrationSettings>, string][] = [
      [{ path: 'wire' }, '--path wire'],
      [{ onLost: 'restart' }, '--on-lost restart'],
      [{ pathAddresses: [] }, '--path-address'],
      [{ keepSource: true }, '--keep-source'],
      [{ diskWrites: 'refuse' }, '--disk-writes refuse'],
      [{ verifyDisks: true }, '--verify-disks'],
      [{ networks: {} }, '--map-network'],
      [{ steering: 'gentle' }, '--steering'],
    ];
    for (const [more, what] of asks) {
      for (const shape of ['managed', 'direct'] as const) {
        const has: Capabilities = { ...PLAIN, shape };
        const driver = { name: 'any', capabilities: has };
        const [found] = judgeCapabilities({ driver, settings: { ...wants, ...more } });
        assert.equal(found?.verdict, shape === 'managed' ? 'refuse' : 'pass', what);
        if (shape === 'managed') assert.ok(found?.evidence.includes(what), found?.evidence);
      }
    }
  });

  test('a strategy is followed as far as the manager allows, and omissions are reported', () => {
    const judged = (steering: StrategyName, has: Partial<Capabilities>, mode: Mode = 'precopy') => {
      const own: Capabilities = {
        ...PLAIN,
        shape: 'managed',
        modes: ['precopy', 'hybrid'],
        ...has,
      };
      const settings = { mode, compress: 'none', streams: 1, steering } as const;
      return judgeCapabilities({ driver: { name: 'any', capabilities: own }, settings })[0];
    };
    const levers = ['downtime', 'postcopy'] as const;
    assert.equal(judged('standard', { levers }, 'hybrid')?.verdict, 'pass');
    assert.equal(judged('gentle', { levers: [] })?.verdict, 'pass');
    const without = judged('no-postcopy', { levers });
    assert.equal(without?.verdict, 'warn');
    assert.match(without?.evidence ?? '', /without slowing the guest down: its manager/);
    const own = judged('no-postcopy', { levers, throttlesItself: true });
    assert.equal(own?.verdict, 'pass');
    assert.match(own?.evidence ?? '', /its manager slows the guest down by itself$/);
    // Its order lets it slow nobody down before post-copy, and where that comes it is not missed.
    const first = judged('must-finish', { levers, throttlesItself: true }, 'hybrid');
    assert.equal(first?.verdict, 'pass');
    assert.match(first?.evidence ?? '', /; it is not slowed down: post-copy comes first$/);
    assert.equal(judged('must-finish', { levers }, 'hybrid')?.verdict, 'warn');
    // By pre-copy alone there is no post-copy that comes first: the mode lacks it, and no manager.
    const alone = judged('must-finish', { levers, throttlesItself: true });
    assert.equal(alone?.verdict, 'warn');
    assert.match(
      alone?.evidence ?? '',
      /without post-copy: --mode precopy has none; its manager slows the guest down by itself$/,
    );
    const downtime = { levers: ['downtime'], throttlesItself: true } as const;
    assert.equal(judged('must-finish', downtime, 'hybrid')?.verdict, 'warn');
    assert.equal(judged('standard', {})?.verdict, 'refuse');
  });

  test('a driver without post-copy reports why, and only if post-copy is requested', () => {
    const noPostcopy = 'Pages get lost';
    const has: Capabilities = { ...PLAIN, modes: ['precopy'], noPostcopy };
    const evidence = (wanted: 'postcopy' | 'hybrid' | 'cold'): string => {
      const settings = { mode: wanted, compress: 'none', streams: 1 } as const;
      const [found] = judgeCapabilities({ driver: { name: 'any', capabilities: has }, settings });
      return found?.evidence ?? '';
    };
    for (const wanted of ['postcopy', 'hybrid'] as const)
      assert.match(evidence(wanted), /it has precopy\. Pages get lost/);
    assert.doesNotMatch(evidence('cold'), /Pages/);
  });

  test('a manager that sends memory through a socket uses the wire by pre-copy, in one plain stream', () => {
    const has: Capabilities = {
      ...PLAIN,
      shape: 'managed',
      modes: ['precopy', 'postcopy'],
      compression: ['none', 'xbzrle'],
      maxStreams: 4,
      wire: true,
    };
    const plain = { mode: 'precopy', compress: 'none', streams: 1, path: 'wire' } as const;
    const judged = (more: Partial<MigrationSettings>) =>
      judgeCapabilities({
        driver: { name: 'any', capabilities: has },
        settings: { ...plain, ...more },
      })[0];
    assert.equal(judged({})?.evidence, 'the driver any can do what is asked');
    for (const [more, why, instead] of [
      [{ mode: 'postcopy' }, /--path wire.*pre-copy alone/, /--mode precopy/],
      [{ streams: 2 }, /--path wire.*--streams/, /`wire\.connections`/],
      [{ compress: 'xbzrle' }, /--path wire.*--compress/, /compresses by itself/],
    ] as const) {
      assert.match(judged(more)?.evidence ?? '', why);
      assert.match(judged(more)?.error?.hint ?? '', instead);
    }
  });

  test('a level is refused if the driver has none, or does not compress with zstd', () => {
    const judged = (compress: 'none' | 'zstd' | 'xbzrle', more: Partial<Capabilities> = {}) => {
      const capabilities = { ...PLAIN, compression: ['none', 'zstd', 'xbzrle'], ...more } as const;
      const settings = { mode: 'precopy', compress, streams: 1, compressLevel: 3 } as const;
      return judgeCapabilities({ driver: { name: 'any', capabilities }, settings })[0];
    };
    assert.match(judged('zstd')?.evidence ?? '', /--compress-level 3.*it has no levels/);
    assert.equal(judged('zstd', { compressLevels: true })?.verdict, 'pass');
    for (const compress of ['none', 'xbzrle'] as const)
      assert.match(judged(compress, { compressLevels: true })?.evidence ?? '', /only --compress/);
  });

  test('a transport is refused if the driver lacks it, or another path decides', () => {
    const has: Capabilities = { ...PLAIN, maxStreams: 4 };
    const settings = { mode: 'precopy', compress: 'none', streams: 4, transport: 'rdma' } as const;
    const judged = (more: Partial<Capabilities>, path: 'native' | 'wire' | 'auto' = 'native') =>
      judgeCapabilities({
        driver: { name: 'any', capabilities: { ...has, ...more } },
        settings: { ...settings, path },
      })[0];
    assert.match(judged({})?.evidence ?? '', /--transport rdma.*it has tcp/);
    const able = { transports: ['tcp', 'rdma'] } as const;
    assert.equal(judged(able)?.verdict, 'pass');
    assert.match(judged(able, 'wire')?.evidence ?? '', /--transport rdma.*--path wire decides/);
    assert.match(judged(able, 'auto')?.evidence ?? '', /--path auto decides/);
  });

  test('options that need memory to move are refused by name in a cold move', () => {
    const wants = { mode: 'cold', compress: 'none', streams: 1 } as const;
    const has: Capabilities = { ...PLAIN, modes: ['cold'], rehearsals: true };
    const driver = { name: 'any', capabilities: has };
    const asks: [Partial<MigrationSettings>, string][] = [
      [{ rehearse: true }, '--rehearse'],
      [{ path: 'wire' }, '--path wire'],
      [{ verifyDisks: true }, '--verify-disks'],
    ];
    for (const [more, what] of asks) {
      const [found] = judgeCapabilities({ driver, settings: { ...wants, ...more } });
      assert.equal(found?.error?.code, 'GODWIT_CAPABILITY', what);
      assert.ok(found?.evidence.includes(what), found?.evidence);
    }
  });

  test("a quiet moment is refused by name if the driver cannot report the guest's writes", () => {
    const settings = {
      mode: 'precopy',
      compress: 'none',
      streams: 1,
      whenQuiet: { withinMs: 60_000 },
    } as const;
    for (const shape of ['direct', 'managed'] as const) {
      for (const measures of [true, false]) {
        const has = { ...PLAIN, shape, measures, noMeasures: 'its manager does not say it' };
        const driver = { name: 'any', capabilities: has };
        const [found] = judgeCapabilities({ driver, settings });
        assert.equal(found?.verdict, measures ? 'pass' : 'refuse');
        const words = found?.evidence ?? '';
        assert.equal(words.includes('--when quiet'), !measures, words);
        if (!measures) assert.match(words, /its manager does not say it/);
      }
    }
  });

  test('a start time and a notice are handled by Godwit, whichever manager moves the guest', () => {
    const wants = { mode: 'precopy', compress: 'none', streams: 1 } as const;
    const later = { notBefore: '2026-01-01T00:00:00.000Z', noticeMs: 60_000 };
    for (const shape of ['direct', 'managed'] as const) {
      const driver = { name: 'any', capabilities: { ...PLAIN, shape } };
      const [found] = judgeCapabilities({ driver, settings: { ...wants, ...later } });
      assert.equal(found?.verdict, 'pass', JSON.stringify(found));
    }
  });

  test('a datastore is refused by name if the driver has none, whichever manager moves the guest', () => {
    const wants = { mode: 'precopy', compress: 'none', streams: 1, datastore: 'ds1' } as const;
    for (const shape of ['managed', 'direct'] as const) {
      for (const datastores of [true, false]) {
        const has: Capabilities = { ...PLAIN, shape, datastores };
        const driver = { name: 'any', capabilities: has };
        const [found] = judgeCapabilities({ driver, settings: wants });
        assert.equal(found?.verdict, datastores ? 'pass' : 'refuse');
        if (!datastores) assert.match(found?.evidence ?? '', /--datastore/);
      }
    }
  });

  test('a priority and encryption are refused by name if the driver has none', () => {
    const wants = { mode: 'precopy', compress: 'none', streams: 1 } as const;
    const asks = [
      ['priorities', { priority: 'high' }, /--priority high/],
      ['encryption', { encrypted: true }, /--encrypted/],
    ] as const;
    for (const [name, more, said] of asks) {
      for (const has of [true, false]) {
        const declared: Capabilities = { ...PLAIN, shape: 'managed', [name]: has };
        const driver = { name: 'any', capabilities: declared };
        const [found] = judgeCapabilities({ driver, settings: { ...wants, ...more } });
        assert.equal(found?.verdict, has ? 'pass' : 'refuse', name);
        if (!has) assert.match(found?.evidence ?? '', said);
      }
    }
  });

  test('a request passes exactly if the driver declares support, and each refusal names one feature', () => {
    fc.assert(
      fc.property(capabilities, asked, (has, wants) => {
        const checks = judgeCapabilities({
          driver: { name: 'any', capabilities: has },
          settings: wants,
        });
        const lacks = [
          has.modes.includes(wants.mode) ? [] : ['--mode'],
          has.compression.includes(wants.compress) ? [] : ['--compress'],
          wants.streams <= has.maxStreams ? [] : ['--streams'],
          wants.path === 'wire' && (has.shape === 'managed' || wants.mode === 'cold')
            ? ['--path wire']
            : [],
        ].flat();
        const refused = checks.filter(({ verdict }) => verdict === 'refuse');
        assert.equal(refused.length, lacks.length);
        for (const [at, what] of lacks.entries()) {
          assert.ok(refused[at]?.evidence.includes(what), what);
          assert.equal(refused[at]?.error?.code, 'GODWIT_CAPABILITY');
        }
        assert.equal(checks.length, Math.max(1, lacks.length));
      }),
    );
  });
});
