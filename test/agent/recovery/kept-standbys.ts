import type { TestContext } from 'node:test';
import { Standbys, type StandbysOptions } from '../../../src/agent/recovery/standbys.ts';
import { standbyOffer } from '../../../src/protocol/peer/standby.ts';
import { tempDir } from '../../rpc/test-contract.ts';

export const KEY = 'ab'.repeat(32);
export const ONE = '1'.repeat(64);
export const TWO = '2'.repeat(64);

/** Time that passes when the test says so. */
export class Time {
  now = 1_000_000_000;
  /** What somebody has set the wall clock forward or back by. */
  set = 0;
  bootId = 'boot-1';
  readonly monotonicMs = (): number => this.now;
  readonly boot = () => ({ bootId: this.bootId, uptimeMs: this.now });
  readonly wallMs = (): number => this.now + this.set + 1_700_000_000_000;
}

export const UUID = '11111111-2222-4333-8444-555555555555';

export interface OfferOverrides {
  readonly uuid?: string;
  readonly from?: string;
  readonly memoryBytes?: number;
  readonly digest?: string;
}

export const offer = (
  guest: string,
  { from = 'a', memoryBytes = 7, digest, uuid }: OfferOverrides = {},
) =>
  standbyOffer.parse({
    admission: { id: 'c-0000000000000001', guest, from, memoryBytes, epoch: 1, timeoutMs: 1 },
    preparation: {
      epoch: 1,
      description: {
        driver: 'fake',
        name: guest,
        memoryBytes,
        vcpus: 1,
        hypervisorVersion: '1',
        ...(uuid !== undefined && { uuid }),
        spec: {},
      },
      stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    },
    ...(digest === undefined ? {} : { digest }),
  });

const opened: Standbys[] = [];
export const standbysAt = (
  dir: string,
  time = new Time(),
  options: StandbysOptions = {},
): Standbys => {
  const all = { now: time.boot, sleep: async () => undefined, ...options };
  const standbys = new Standbys(dir, 'b', time, all);
  opened.push(standbys);
  return standbys;
};
/** Removed once no write goes on in it. */
export const stateDir = (t: TestContext): string => {
  t.after(() => Promise.all(opened.splice(0).map((each) => each.close())));
  return tempDir(t);
};
/** What a small description counts. */
export const PLACE_BYTES = 16 * 1024;

export const reasonOf = (kept: Standbys, from = 'a', off: readonly string[] = []): string => {
  const { freshness } = kept.stateOf(kept.need(from, 'web1').view, off);
  return freshness.kind === 'stale' ? freshness.reason : 'fresh';
};

/** A later agent of the host, once this one has written what it was told of host a. */
export const nextAgent = async (kept: Standbys, dir: string, time: Time): Promise<Standbys> => {
  await kept.settled('a');
  return standbysAt(dir, time);
};

export const names = (kept: Standbys): string[] =>
  kept.list().map(({ standby: { from, guest } }) => `${from} ${guest}`);
