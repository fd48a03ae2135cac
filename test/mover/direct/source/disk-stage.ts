import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Tunnel } from '../../../../src/disks/copy/tunnel/open.ts';
import type { DiskSample } from '../../../../src/port/disks.ts';
import type { StreamChange } from '../../../../src/port/stream-change.ts';
import { godwitError } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import type { SourceEvent } from '../../../../src/migration/direct/source/source-state.ts';
import { SourceDisks } from '../../../../src/mover/direct/source/disks/disks.ts';
import type { MigrationSettings } from '../../../../src/protocol/public/migration.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { peerOf, timeOf, UNCAPPED } from './answers.ts';

type Dependencies = ConstructorParameters<typeof SourceDisks>[0];

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
export const FIGURES = { sentBytes: 1, receivedBytes: 2, linkBytes: 3, cuts: 1, longestCutMs: 0.6 };

export const lost = godwitError('GODWIT_HYPERVISOR_LOST', {
  guest: 'web1',
  side: 'source',
  reason: 'it has ended',
});

export function disk(given: Partial<DiskSample> = {}): DiskSample {
  return { node: 'disk0', state: 'copying', copiedBytes: 0, totalBytes: GIB, ...given };
}
export const READY = disk({ state: 'ready', copiedBytes: GIB });
export const BROKEN = disk({
  state: 'broken',
  failure: { kind: 'target', reason: 'nobody answers' },
});

interface Copying {
  /** What the copies are at this look, of which `look` is the number. */
  readonly at?: (look: number, nowMs: number) => DiskSample;
  readonly settings?: Partial<MigrationSettings>;
  readonly nodes?: readonly string[];
  readonly canSlow?: boolean;
  /** What the destination answers that is to offer a path, try by try; then it does. */
  readonly offers?: readonly (Error | undefined)[];
  readonly session?: Error;
  readonly canCopy?: boolean;
  readonly run?: string;
  readonly doing?: object;
  readonly tookOver?: boolean;
}

class FakeTunnel {
  readonly measure: { bytesPerS: number; cutForMs: number | undefined } = {
    bytesPerS: 100 * MIB,
    cutForMs: undefined,
  };
  readonly #ended = Promise.withResolvers<void>();
  readonly ended = this.#ended.promise;
  readonly answerMs: (number | undefined)[] = [];
  cuts = FIGURES.cuts;
  aborted: string | undefined;

  figures() {
    return { ...FIGURES, cuts: this.cuts };
  }
  limit(): void {}
  mustAnswerWithin(ms: number | undefined): void {
    this.answerMs.push(ms);
  }
  abort(why: Error): void {
    this.aborted ??= why.message;
    this.#ended.reject(why);
  }
}

export function stage(t: TestContext, given: Copying = {}) {
  const time = timeOf(t);
  const done: string[] = [];
  const events: SourceEvent[] = [];
  const tunnels: FakeTunnel[] = [];
  const adjusted: string[] = [];
  let [looks, asked] = [0, 0];
  const source = {
    start: async (nodes: readonly string[]) => void done.push(`start ${nodes.join()}`),
    sample: async () => [(given.at ?? (() => READY))((looks += 1), time.now())],
    setWriteBlocking: async () => {
      done.push('slow');
      return given.canSlow ?? true;
    },
    finish: async () => void done.push('finish'),
    drop: async () => void done.push('drop'),
  };
  const api = {
    disks: async ({ body }: { body: object }) => {
      asked += 1;
      const offer = given.offers?.[asked - 1];
      done.push(offer === undefined ? `offer ${JSON.stringify(body)}` : 'no offer');
      if (offer !== undefined) throw offer;
      return { session: 's', address: 'b:1' };
    },
    disksEnd: async () => void done.push('end there'),
  };
  const dir = tempDir(t);
  const peer = { ...peerOf(api), moverAddress: 'b:7' };
  const copies = (given.nodes ?? ['disk0']).map((node) => ({ node }));
  const state: Record<string, unknown> = {
    plan: { epoch: 17, settings: { mode: 'precopy', maxDowntimeMs: 100, ...given.settings } },
    known: { copies },
    doing: given.doing ?? { kind: 'do', step: 'memory' },
  };
  const context: unknown = {
    ...UNCAPPED,
    dir,
    tookOver: () => given.tookOver === true,
    underWay: { downtimeMs: () => 100 },
    request: { id: 'm-1', toHost: 'b', request: { guest: 'web1' } },
    peer,
    state: () => state,
    dispatch: (event: SourceEvent) => void events.push(event),
    guest: {
      capabilities: {},
      session: async () => {
        if (given.session !== undefined) throw given.session;
        return {
          disks: given.canCopy === false ? undefined : source,
          adjust: async (change: StreamChange) => void adjusted.push(JSON.stringify(change)),
          status: async () => ({ run: given.run ?? 'running' }),
          letIn: async (socket: string) => void done.push(`let in ${path.basename(socket)}`),
        };
      },
    },
  };
  const disks = new SourceDisks(
    context as Dependencies,
    silentLog,
    async (_parts, { address }, socket) => {
      assert.ok(!existsSync(socket));
      done.push(`open ${address}`);
      const tunnel = new FakeTunnel();
      tunnels.push(tunnel);
      return tunnel as unknown as Tunnel;
    },
  );
  const types = (): string[] => events.map(({ type }) => type);
  const socket = path.join(dir, 'disks.sock');
  return {
    ...time,
    disks,
    state,
    done,
    adjusted,
    events,
    types,
    tunnels,
    socket,
  };
}

export const signal: AbortSignal = new AbortController().signal;
const OFFER = 'offer {"epoch":17,"linkGraceMs":60000}';
export const OPENED = [OFFER, 'open routed b:1', 'let in disks.sock', 'start disk0'];
export const settings = { linkGraceMs: 60_000 };
export const starts = (done: readonly string[]): number =>
  done.filter((each) => each.startsWith('start')).length;
