import type { TestContext } from 'node:test';
import type { Clock } from '../../../../src/clock.ts';
import type { GodwitError } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import type { StepName } from '../../../../src/migration/direct/source/steps.ts';
import type {
  Coordinator,
  StreamObservation,
} from '../../../../src/mover/direct/source/coordinator.ts';
import { Watch, type WatchDependencies } from '../../../../src/mover/direct/source/watch.ts';
import type { DestinationStatus } from '../../../../src/protocol/peer/migration.ts';
import { planned, sampleOf } from '../../../migration/direct/samples.ts';
import { answer, turn, UNCAPPED, UNCHANGED, type Answer } from './answers.ts';

export const WELL: DestinationStatus = {
  id: 'm-00000001',
  epoch: 17,
  state: 'armed',
  hypervisor: 'incoming',
};
const PREPARED = { moverAddress: '10.0.0.2:7500', memoryAddress: '10.0.0.2:49152' };
export const doing = (step: StepName): Partial<SourceState> => ({
  doing: { kind: 'do', step },
  known: PREPARED,
});

/** As AbortSignal.timeout, in the time of the test. */
function late(ms: number): AbortSignal {
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('it took too long')), ms);
  return abort.signal;
}

/** A migration whose watch sees what a test sets, in time that goes on when the test says so. */
export function scene(t: TestContext, first: Partial<SourceState>) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 1000;
  const seen = {
    state: { ...initialSource(planned()).state, ...first },
    there: WELL as Answer<DestinationStatus>,
    sample: sampleOf() as Answer<ReturnType<typeof sampleOf>>,
    wire: { isOpen: false, isCut: false, hasLink: false },
    /** What was changed of the guest. */
    change: undefined as GodwitError | undefined,
    /** As the newest look says. */
    isStill: false,
    /** The path to the destination takes something. */
    answers: true,
  };
  const events: SourceEvent[] = [];
  const recorded: SourceEvent[] = [];
  /** `stops`: how often the probes heard that the guest has stopped. */
  const counts = { asked: 0, sampled: 0, observed: 0, stops: 0 };
  /** Of the newest look at the guest's pages, which lasts until it is ended. */
  let looking: AbortSignal | undefined;
  const clock: Clock = {
    wallMs: () => now,
    monotonicMs: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
        setTimeout(resolve, ms);
      }),
  };
  const coordinator: unknown = {
    get state() {
      return seen.state;
    },
    leftMs: 60_000,
    dispatch: (event: SourceEvent) => events.push(event),
    observe: ({ still }: StreamObservation) => {
      counts.observed += 1;
      seen.isStill = still !== undefined;
    },
    record: async (event: SourceEvent) => void recorded.push(event),
  };
  const mind = { mind: () => {}, isOpen: false };
  const context: unknown = {
    ...UNCAPPED,
    changes: { ...UNCHANGED.changes, explain: async () => seen.change },
    request: { id: 'm-00000001', toHost: 'b', request: { guest: 'web1' } },
    state: () => seen.state,
    dispatch: (event: SourceEvent) => events.push(event),
    underWay: { saw: () => {}, msOf: () => 0 },
    pace: { saw: async () => {}, empty: async () => true, fill: async () => {} },
    probes: { saw: () => {}, stopped: () => void (counts.stops += 1) },
    peer: {
      known: true,
      moverAddress: PREPARED.moverAddress,
      resume: () => {},
      warm: async () => {},
      answers: async () => seen.answers,
      choose: async () => false,
      // As the real one: a question that took too long is put again until its time is over.
      call: async (_id: string, signal: AbortSignal) => {
        for (;;) {
          counts.asked += 1;
          const tried = AbortSignal.any([signal, late(5000)]);
          try {
            return await answer(seen.there, tried);
          } catch (thrown) {
            signal.throwIfAborted();
            if (seen.there instanceof Error) throw thrown;
          }
        }
      },
    },
    guest: {
      session: async () => ({
        levers: async () => [],
        sample: (signal: AbortSignal) => {
          counts.sampled += 1;
          return answer(seen.sample, signal);
        },
        measure: (signal: AbortSignal) =>
          new Promise((_, reject) => {
            looking = signal;
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          }),
      }),
      capabilities: {},
    },
    dataPath: {
      mind: () => {},
      get isOpen() {
        return seen.wire.isOpen;
      },
      get isCut() {
        return seen.wire.isCut;
      },
      get hasLink() {
        return seen.wire.hasLink;
      },
    },
    disks: mind,
    backingFiles: mind,
  };
  const watch = new Watch(coordinator as Coordinator, clock, silentLog);
  t.after(() => watch.stop());
  watch.start(context as WatchDependencies);
  const go = async (ms: number): Promise<void> => {
    for (const until = now + ms; now < until;) {
      now += 10;
      t.mock.timers.tick(10);
      await turn();
    }
  };
  const losses = () => events.filter(({ type }) => type === 'destination-lost');
  return { watch, seen, events, recorded, counts, losses, go, looking: () => looking };
}
