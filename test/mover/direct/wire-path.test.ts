import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { streamMode } from '../../../src/protocol/public/migration.ts';
import { assertMoved, assertStayed } from './ends.ts';
import { hostsFor, type Hosts } from './lay-host.ts';
import { Stage, killSourceAt, spareSource } from './stage.ts';

let certificates: Hosts;

before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

const wire = { path: 'wire', maxBandwidth: 500 * 1024 * 1024, linkGraceMs: 30_000 } as const;

describe('memory over the wire', () => {
  for (const one of streamMode.options) {
    test(`memory over the wire moves a guest: ${one}`, async (t) => {
      const stage = await Stage.open(t, certificates, one, {}, wire);
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
      assert.equal(stage.wires.sources.length, 1);
      assert.equal(stage.report.wire?.linkBytes, 1000);
      assert.equal(stage.report.wire?.sessions, 1);
    });
  }

  test('the wire gets the cap, the grace period and the session, and the hypervisors no TLS', async (t) => {
    const stage = await Stage.open(t, certificates, 'precopy', {}, wire);
    await stage.run();
    const [source] = stage.wires.sources;
    const [target] = stage.wires.targets;
    assert.equal(source?.maxBytesPerS, wire.maxBandwidth);
    assert.equal(source.graceMs, wire.linkGraceMs);
    assert.equal(target?.graceMs, wire.linkGraceMs);
    assert.equal(source.session, target.session);
    assert.equal(target.peer, 'a');
    const { tls, maxBandwidth } = stage.hosts.source.settings;
    assert.deepEqual([tls, maxBandwidth], [false, undefined]);
  });

  test("the wire resumes post-copy over a new session when the destination's mover was replaced", async (t) => {
    const stage = await Stage.open(t, certificates, 'postcopy', { memoryBytes: 2 ** 36 }, wire);
    let killed = false;
    stage.hosts.onCall = (name) => {
      if (killed || name !== 'destination.announce') return;
      killed = true;
      stage.killDestination();
      // Its end of the wire went with it.
      stage.hosts.breakLink();
    };
    assert.equal(await stage.run(), 'done');
    assertMoved(stage);
    assert.equal(stage.wires.sources.length, 2);
    assert.notEqual(stage.wires.sources[0]?.session, stage.wires.sources[1]?.session);
    assert.equal(stage.report.wire?.sessions, 2);
  });

  test('the wire is refused with the reason if the destination lacks it, before anything has begun', async (t) => {
    const stage = await Stage.open(t, certificates, 'precopy', {}, wire);
    stage.offer = undefined;
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    assert.equal(stage.report.error?.code, 'GODWIT_CAPABILITY');
    assert.match(stage.report.error?.message ?? '', /destination does not offer/);
  });

  test('auto prefers zstd 3 to the wire on a link with a low cap, and the level is set at the source', async (t) => {
    const asked = { path: 'auto', maxBandwidth: 12_500_000 } as const;
    const stage = await Stage.open(t, certificates, 'precopy', { dirtyRate: 0 }, asked);
    assert.equal(await stage.run(), 'done');
    assertMoved(stage);
    const chosen = { streams: 4, compress: 'zstd', compressLevel: 3 } as const;
    assert.deepEqual(stage.report.stream, chosen);
    assert.equal(stage.hosts.source.settings.compressLevel, 3);
    const [decision] = stage.report.decisions;
    assert.match(decision?.what ?? '', /^memory goes by native, zstd 3 over 4 streams: /);
  });

  test('the wire has the requested level at the source, even without auto', async (t) => {
    const asked = { compress: 'zstd', compressLevel: 9 } as const;
    const stage = await Stage.open(t, certificates, 'precopy', { dirtyRate: 0 }, asked);
    assert.equal(await stage.run(), 'done');
    assert.equal(stage.hosts.source.settings.compressLevel, 9);
  });

  test('auto takes the wire on a link with a low cap if QEMU cannot compress, and reports the reason', async (t) => {
    const asked = { path: 'auto', maxBandwidth: 12_500_000 } as const;
    const stage = await Stage.open(t, certificates, 'hybrid', { dirtyRate: 0 }, asked);
    assert.equal(await stage.run(), 'done');
    assert.equal(stage.wires.sources.length, 1);
    assert.match(stage.report.decisions[0]?.what ?? '', /memory goes by wire: at .* by the wire$/);
  });

  describe('on a medium-fast link', () => {
    const asked = { path: 'auto', maxBandwidth: 125_000_000 } as const;
    const open = (t: TestContext): Promise<Stage> =>
      Stage.open(t, certificates, 'precopy', { dirtyRate: 0 }, asked);
    const streamsOf = ({ hosts }: Stage) => {
      const { streams, compress, maxBandwidth } = hosts.source.settings;
      return { streams, compress, maxBandwidth };
    };
    const { maxBandwidth } = asked;

    test('auto leaves memory to hypervisors that compress on both sides, and the report shows that', async (t) => {
      const stage = await open(t);
      let reported = {};
      stage.hosts.onCall = (name) => {
        if (name !== 'source.startMemory') return;
        const { streams, compress } = stage.hosts.destination?.settings ?? {};
        reported = { streams, compress };
      };
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
      assert.equal(stage.wires.sources.length, 0);
      assert.deepEqual(streamsOf(stage), { streams: 4, compress: 'zstd', maxBandwidth });
      assert.deepEqual(reported, { streams: 4, compress: 'zstd' });
      assert.deepEqual(stage.report.stream, { streams: 4, compress: 'zstd' });
      const [decision] = stage.report.decisions;
      assert.match(decision?.what ?? '', /memory goes by native, zstd over 4 streams: at .* wire$/);
    });

    for (const host of ['a', 'b'] as const) {
      test(`auto takes one plain stream if the hypervisor at ${host} supports nothing else`, async (t) => {
        const stage = await open(t);
        stage.hosts.world.plainHosts.add(host);
        assert.equal(await stage.run(), 'done');
        assertMoved(stage);
        assert.deepEqual(streamsOf(stage), { streams: 1, compress: 'none', maxBandwidth });
        assert.equal(stage.report.stream, undefined);
        const said = stage.report.decisions.map(({ what }) => what);
        assert.match(said.at(-1) ?? '', /^memory goes by native: .* as one plain stream: .*zstd/);
      });
    }
  });

  test('auto takes several plain streams on a link that one does not fill, and the report shows that', async (t) => {
    const asked = { path: 'auto', maxBandwidth: 1_250_000_000 } as const;
    const stage = await Stage.open(t, certificates, 'precopy', { dirtyRate: 0 }, asked);
    assert.equal(await stage.run(), 'done');
    assertMoved(stage);
    assert.deepEqual(stage.report.stream, { streams: 4, compress: 'none' });
    const [decision] = stage.report.decisions;
    assert.match(decision?.what ?? '', /^memory goes by native over 4 streams: at .* wire$/);
  });

  test('auto does not take the wire if the link is unknown, or the destination has no wire', async (t) => {
    for (const offered of [true, false]) {
      const stage = await Stage.open(t, certificates, 'precopy', {}, { path: 'auto' });
      if (!offered) stage.offer = undefined;
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
      assert.equal(stage.wires.sources.length, 0);
      assert.match(stage.report.decisions[0]?.what ?? '', /memory goes by native: /);
      assert.equal(stage.report.wire, undefined);
    }
  });

  test('a wire that breaks before the switch leaves the guest at its source, and cleans up', async (t) => {
    const stage = await Stage.open(t, certificates, 'precopy', { memoryBytes: 2 ** 33 }, wire);
    let broken = false;
    stage.hosts.onCall = (name) => {
      if (broken || name !== 'source.sample') return;
      broken = true;
      stage.hosts.breakLink();
    };
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    assert.equal(stage.report.wire?.sessions, 1);
  });

  test('a wire ends with its mover, and the next mover finds the guest, wherever the last one died', async (t) => {
    for (let count = 0, ended = false; !ended; count += 1) {
      await t.test(`before record ${count + 1}`, async (each) => {
        const stage = await Stage.open(each, certificates, 'precopy', {}, wire);
        killSourceAt(each, count, 'before');
        try {
          assert.equal(await stage.run(), 'done');
          spareSource(each);
          ended = true;
        } catch (thrown) {
          spareSource(each);
          if (!(thrown instanceof Error) || thrown.message !== 'the mover was killed') throw thrown;
          const outcome = await stage.run();
          if (outcome === 'done') assertMoved(stage);
          else assertStayed(stage);
        }
      });
    }
  });
});
