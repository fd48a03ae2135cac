import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../../../../src/clock.ts';
import { agentConfig, type AgentConfig } from '../../../../../src/config.ts';
import { godwitError } from '../../../../../src/errors.ts';
import { silentLog } from '../../../../../src/log.ts';
import { SourceProbes } from '../../../../../src/mover/direct/source/network/probes.ts';
import type { Connect } from '../../../../../src/mover/shared/surroundings.ts';
import type {
  WatchAnswer,
  WatchEnd,
  WatchOrder,
  WatchResult,
} from '../../../../../src/protocol/peer/probe.ts';

type Dependencies = ConstructorParameters<typeof SourceProbes>[0];

const NOW = Date.parse('2026-01-01T00:00:02Z');
const ID = 'm-11111111';
const peer = (at: number) => ({ address: `10.0.0.${at}:7443` });
const own = {
  name: 'a',
  address: '10.0.0.1:7443',
  stateDir: '/nowhere',
  peers: { b: peer(2), c: peer(3), d: peer(4) },
};
const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
const nicWith = (addresses: string[]) => ({
  id: 'net0',
  mac: '52:54:00:00:00:21',
  port: 'tap0',
  addresses,
  attachment,
});
const SEEN: WatchResult = {
  seen: {
    kind: 'arp',
    address: '10.9.0.21',
    intervalMs: 10,
    gapMs: 70,
    gapBeganAgoMs: 300,
    isOpen: false,
    sent: 50,
    answered: 44,
    ownStallMs: 6,
    watchedMs: 700,
  },
};

interface Agents {
  readonly watch?: (host: string, order: WatchOrder) => WatchAnswer;
  readonly end?: (host: string, of: WatchEnd) => WatchResult;
}

/** A clock that goes on when it is told to. */
function clockOf() {
  const sleepers: (() => void)[] = [];
  const clock: Clock = {
    wallMs: () => NOW,
    monotonicMs: () => 0,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      }),
  };
  return { clock, wake: () => sleepers.splice(0).forEach((resolve) => resolve()) };
}

function stage(network: object, addresses: string[], agents: Agents = {}) {
  const calls: string[] = [];
  const connect = ((_contract: unknown, host: string) => ({
    api: {
      watch: async ({ body }: { body: WatchOrder }) => {
        calls.push(`watch ${host} ${body.nics.flatMap((nic) => nic.addresses).join()}`);
        return agents.watch?.(host, body) ?? { watching: true };
      },
      endWatch: async ({ body }: { body: WatchEnd }) => {
        calls.push(`end ${host}`);
        return agents.end?.(host, body) ?? SEEN;
      },
    },
    close: () => calls.push(`close ${host}`),
  })) as unknown as Connect;
  const config: AgentConfig = agentConfig.parse({ ...own, network });
  const plan = { from: 'a', to: 'b', settings: { mode: 'precopy' } };
  const known = { networks: [nicWith(addresses)], description: { memoryBytes: 1 } };
  const context = {
    config,
    request: { id: ID, createdAt: '2026-01-01T00:00:00Z', request: { guest: 'web1' } },
    state: () => ({ plan, known }),
  } as unknown as Dependencies;
  const { clock, wake } = clockOf();
  return { calls, wake, probes: new SourceProbes(context, connect, clock, silentLog) };
}

const settled = () => new Promise(setImmediate);

describe('probing by other hosts', () => {
  test("the source's mover polls the uninvolved hosts, and reports the observations of each", async () => {
    const { calls, wake, probes } = stage({}, ['10.9.0.21']);
    probes.early();
    probes.early();
    await settled();
    assert.deepEqual(calls.splice(0), ['watch c 10.9.0.21', 'watch d 10.9.0.21']);
    wake();
    await settled();
    assert.deepEqual(calls.splice(0), ['watch c 10.9.0.21', 'watch d 10.9.0.21']);
    const [first, second] = await probes.results();
    assert.partialDeepStrictEqual(first, { host: 'c', kind: 'arp', gapMs: 70, gapAtMs: 1700 });
    assert.equal(second?.host, 'd');
    await probes.results();
    await probes.close(ID, true);
    assert.deepEqual(calls, ['end c', 'end d', 'close c', 'close d']);
  });

  test("the source's mover gives the switch time by the clock of the watching host", async () => {
    const reported: WatchEnd[] = [];
    const { probes } = stage({ probe: { hosts: ['c'] } }, ['10.9.0.21'], {
      watch: () => ({ watching: true, wallMs: NOW + 5000 }),
      end: (_host, of) => {
        reported.push(of);
        return SEEN;
      },
    });
    probes.early();
    await settled();
    probes.stopped();
    probes.ran();
    await probes.results();
    const at = { fromMs: NOW + 5000, toMs: NOW + 5000 };
    assert.deepEqual(reported, [{ switch: at, laterMs: 600_000 }]);
  });

  test("the source's mover has the guest probed after a move, as configured, and names the hosts", async () => {
    for (const laterMs of [5000, 0]) {
      const reported: WatchEnd[] = [];
      const network = { probe: { hosts: ['c', 'd'], laterMs } };
      const { probes } = stage(network, ['10.9.0.21'], {
        end: (host, of) => {
          reported.push(of);
          return host === 'c' ? { ...SEEN, goesOnMs: 5000 } : { ...SEEN, goesNot: 'd is full' };
        },
      });
      probes.early();
      await settled();
      const [c, d] = await probes.results();
      const asked = laterMs === 0 ? {} : { laterMs };
      assert.deepEqual(reported, [asked, asked]);
      assert.deepEqual([c?.goesOnMs, d?.goesOnMs, d?.goesNot], [5000, undefined, 'd is full']);
    }
  });

  test('probing ends after a migration that failed', async () => {
    const reported: WatchEnd[] = [];
    const { probes } = stage({ probe: { hosts: ['c'] } }, ['10.9.0.21'], {
      end: (_host, of) => {
        reported.push(of);
        return SEEN;
      },
    });
    probes.early();
    await settled();
    await probes.close(ID, false);
    assert.deepEqual(reported, [{}]);
  });

  test('probes try the configured addresses first', async () => {
    const addresses = { web1: ['10.9.0.77'], web2: ['10.9.0.78'] };
    const { calls, probes } = stage({ probe: { hosts: ['c'], addresses } }, ['10.9.0.21']);
    probes.early();
    await settled();
    assert.deepEqual(calls, ['watch c 10.9.0.77,10.9.0.21']);
    await probes.close(ID, true);
  });

  test('no host is asked to probe if no address is known, and that is reported', async () => {
    const { calls, probes } = stage({}, []);
    probes.early();
    const results = await probes.results();
    assert.deepEqual(
      results.map(({ host, notTried }) => `${host} ${/no address/.test(notTried ?? '')}`),
      ['c true', 'd true'],
    );
    assert.deepEqual(calls, []);
  });

  test('probing is off if configured so', async () => {
    const { calls, probes } = stage({ probe: 'off' }, ['10.9.0.21']);
    probes.early();
    assert.deepEqual(await probes.results(), []);
    await probes.close(ID, true);
    assert.deepEqual(calls, []);
  });

  test('each host without a sighting has a reason: refused, unanswered, or an older build', async () => {
    const network = { probe: { hosts: ['b', 'c', 'd'] } };
    const { probes } = stage(network, ['10.9.0.21'], {
      watch: (host) => {
        if (host === 'b') return { watching: false, why: 'b watches 8 guests already' };
        if (host === 'c') return { watching: true };
        throw godwitError('GODWIT_ROUTE_UNKNOWN', { method: 'POST', path: '/v1/watches' });
      },
      end: () => {
        throw godwitError('GODWIT_UNREACHABLE', {
          peer: 'c',
          address: '10.0.0.3:7443',
          reason: 'nothing listens there',
        });
      },
    });
    probes.early();
    await settled();
    const words = (await probes.results()).map(({ notTried }) => notTried ?? '');
    assert.equal(words[0], 'b watches 8 guests already');
    assert.match(words[1] ?? '', /does not answer/);
    assert.match(words[2] ?? '', /of a build that knows nothing of it/);
  });

  test("a new mover fetches an earlier mover's probes, and ends the unneeded ones", async () => {
    const later = stage({ probe: { hosts: ['c'] } }, ['10.9.0.21']);
    assert.equal((await later.probes.results())[0]?.gapMs, 70);
    assert.deepEqual(later.calls, ['end c']);
    const undone = stage({ probe: { hosts: ['c'] } }, ['10.9.0.21']);
    undone.probes.early();
    await settled();
    await undone.probes.close(ID, false);
    assert.deepEqual(undone.calls, ['watch c 10.9.0.21', 'end c', 'close c']);
  });

  test('probing does not continue if the guest is lost once everything was seen', async () => {
    const { calls, probes } = stage({ probe: { hosts: ['c'] } }, ['10.9.0.21']);
    probes.early();
    await settled();
    await probes.results();
    await probes.close(ID, false);
    assert.deepEqual(calls, ['watch c 10.9.0.21', 'end c', 'end c', 'close c']);
  });
});
