import { agentConfig } from '../../../src/config.ts';
import type { SourceSession } from '../../../src/port/direct.ts';
import { GodwitError } from '../../../src/errors.ts';
import type { SourceGuest } from '../../../src/mover/direct/source/guest/guest.ts';
import type { SourcePorts, StepContext } from '../../../src/mover/direct/source/ports.ts';
import type { MigrationRun } from '../../../src/mover/direct/source/source-base.ts';
import type { HypervisorStatus } from '../../../src/migration/direct/hypervisor.ts';
import type { StepName } from '../../../src/migration/direct/source/steps.ts';
import { descriptionOf } from '../../migration/direct/samples.ts';
import { ERRORS, PLANNED } from '../events.ts';
import { command, type Mode } from './answers.ts';
import type { Script } from './extract.ts';

/** The ports that the source's handlers work with, which ask a script what they are to answer. */

/** Nothing can be made there. */
const NOWHERE = '/proc/self/none';

export interface Program {
  readonly mode: Mode;
  readonly step: StepName;
  readonly kind: 'do' | 'undo';
}

/** A command to the hypervisor: carried out, not because its process is gone, refused, or carried out and reported too late. */
const order = (script: Script, name: string): Promise<string> =>
  command(script, name, 'ok', 'gone', 'other', 'deadline');

/** What the handlers of a step are given: the migration, and the six ports. */
export function contextFor(
  script: Script,
  Guest: typeof SourceGuest,
  program: Program,
): StepContext {
  const { mode } = program;
  const plan = PLANNED[mode];
  const driver = {
    name: 'fake',
    capabilities: {},
    mayReachUs: () => true,
    describe: () => ({}),
    openSource: opening(script, program),
    relaunch: () => Promise.reject(new Error('no migration of the model starts its guest anew')),
  };
  const handle = { driver: 'fake', name: plan.guest, pid: 2, startTicks: 1, monitor: 'm' };
  const guest = new Guest(driver as never, handle, plan.settings, () => undefined);
  const run = {
    request: {
      id: plan.id,
      request: { guest: plan.guest },
      memoryBytes: 1 << 30,
      handle,
      peer: PEER,
    },
    tookOver: () => script.fact('took over', ['no', 'yes']) === 'yes',
    state: () => stateOf(script, program),
    dispatch: (event: { type: string; event?: { type: string } }) => {
      if (event.type === 'measured') return;
      script.report(`reports ${event.event?.type ?? event.type}`);
    },
    record: () => Promise.reject(new Error('no migration of the model has a balloon')),
  } satisfies Record<keyof MigrationRun, unknown>;
  const ports = {
    peer: peerOf(script),
    hypervisor: Object.assign(guest, HYPERVISOR),
    dataPath: DATA_PATH,
    disks: DISKS,
    network: NETWORK,
    host: hostOf(script, plan.from),
  } satisfies Record<keyof SourcePorts, unknown>;
  return { ...run, ...ports } as never;
}

/** As the product calls it: a member that is renamed there does not compile here. */
type Fake<Port> = Partial<Record<keyof Port, unknown>>;

const none = async (): Promise<undefined> => undefined;
const nothing = (): undefined => undefined;

/** The parts of the ports that do not decide which host may run the guest: each is done at once. */
const HYPERVISOR = {
  changes: { assertReady: none, assertSame: none, explain: none, checks: () => [] },
  forecast: { begin: nothing, admitted: nothing, facts: async () => ({}) },
} satisfies Fake<SourcePorts['hypervisor']>;

const DATA_PATH = {
  abort: nothing,
  open: async () => ({ address: 'b:49152', tlsHostname: 'b' }),
  end: none,
  offered: false,
  setup: () => ({}),
} satisfies Fake<SourcePorts['dataPath']>;

const DISKS = {
  copies: {
    keep: none,
    finish: none,
    closedThere: none,
    isOpen: true,
    link: undefined,
    isFinishing: false,
  } satisfies Fake<SourcePorts['disks']['copies']>,
  latencies: { begin: nothing, copying: none, end: none },
  backingFiles: {},
} satisfies Fake<SourcePorts['disks']>;

const CHECK = { name: 'it', side: 'source', verdict: 'pass', evidence: '' };

const NETWORK = {
  withdraw: none,
  restore: none,
  removePorts: none,
  connections: {
    handOver: async () => CHECK,
    follow: nothing,
    last: none,
    late: () => [],
    learn: none,
  } satisfies Fake<SourcePorts['network']['connections']>,
  probes: {
    early: nothing,
    memory: nothing,
    ran: nothing,
    end: nothing,
    results: async () => [],
  } satisfies Fake<SourcePorts['network']['probes']>,
  verification: { before: nothing, begin: nothing, results: async () => [] },
} satisfies Fake<SourcePorts['network']>;

function hostOf(script: Script, name: string) {
  return {
    config: agentConfig.parse({
      name,
      address: '10.0.0.1:7443',
      stateDir: NOWHERE,
      network: { probe: 'off' },
    }),
    dir: NOWHERE,
    fence: async () => {
      const answer = await script.ask('fence', ['on', 'off']);
      return answer === 'off'
        ? { off: true, by: 'the hook' }
        : { off: false, why: 'nothing proves it' };
    },
    fenceMs: 20_000,
    facts: async () => ({ name: 'a', version: '1', wallMs: 0 }),
    removeTree: none,
    // Other hosts, and the restart of this one, are the model of third hosts'.
    bootTime: () => NOW,
    fleet: NO_FLEET,
  } satisfies Record<keyof SourcePorts['host'], unknown>;
}

/** Time that passes is the model of third hosts', too. */
const NOW = { bootId: PLANNED.precopy.bootId, uptimeMs: 0 };
const NO_FLEET = { names: () => [], ask: async () => new Map() };

/** Its disk, which both hosts see. */
const SHARED = [{ node: 'disk0', pool: '0'.repeat(16), path: 'disk.raw' }];

/** The only address by which the destination is known. */
const PEER = { name: 'b', address: 'b:7000' };

/** What the code reads of the journal's state, field by field: each read is a question of its own. */
function stateOf(script: Script, { mode, step, kind }: Program): object {
  const { id, guest, from, to, epoch, settings, bootId } = PLANNED[mode];
  const read = (name: string, answers: readonly [string, ...string[]]): string =>
    script.fact(name, answers);
  return {
    plan: { id, guest, from, to, epoch, settings, bootId },
    // Once its step is over nobody follows it any more.
    doing: { kind, step },
    get right() {
      return read('right', ['held', 'armed', 'committing', 'passed', 'abandoned']);
    },
    get via() {
      return read('via', ['none', 'precopy', 'postcopy']);
    },
    get stream() {
      return read('stream', ['none', 'active', 'paused', 'done', 'failed', 'lost']);
    },
    get closedByProof() {
      return read('closed by proof', ['no', 'yes']) === 'yes';
    },
    get mayHaveRunThere() {
      return read('may have run there', ['no', 'yes']) === 'yes' ? true : undefined;
    },
    decision: {
      get proof() {
        return read('proof', ['none', 'observed', 'fenced', 'operator']);
      },
      answersFor: [],
      at: NOW,
    },
    get attempts() {
      return Number(read('attempts', ['0', '1', '2']));
    },
    known: {
      description: descriptionOf(),
      places: SHARED,
      checks: [],
      get moverAddress() {
        // Past `admit` its answer is in the journal.
        if (step !== 'admit') return 'b:7001';
        return read('mover', ['reported', 'unreported']) === 'reported' ? 'b:7001' : undefined;
      },
    },
  };
}

/** The source's hypervisor. */
function opening(script: Script, { step }: Program): () => Promise<object> {
  const inspection = { description: descriptionOf(), checks: [] };
  const session = {
    onEvent: () => undefined,
    whyNot: async () => undefined,
    ports: async () => [],
    sample: () => Promise.reject(new Error('nobody reads it')),
    inspect: async () => {
      // Begun early by `admit`, and read again for the disks that there are none of: it only reads.
      if (step === 'inspect') await order(script, 'inspect');
      return inspection;
    },
    configure: () => order(script, 'configure'),
    unconfigure: () => order(script, 'unconfigure'),
    startMemory: () => order(script, 'start memory'),
    startPostcopy: () => order(script, 'start post-copy'),
    continueSwitchover: () => order(script, 'continue'),
    resumeGuest: () => order(script, 'resume'),
    startFromDisks: () => order(script, 'start from disks'),
    quit: () => order(script, 'quit'),
    status: async () => statusOf(await command(script, 'status', ...STANDS, 'other')),
    cancel: async () => statusOf(await command(script, 'cancel', ...STANDS, 'deadline')),
    close: async () => undefined,
  } satisfies Partial<Record<keyof SourceSession, unknown>>;
  return async () => {
    await command(script, 'open', 'ok', 'gone');
    return session;
  };
}

/** Where the source's hypervisor may stand: the run of its processors, and its stream. */
export const STANDS = [
  'running none',
  'running active',
  'running failed',
  'running cancelled',
  'running completed',
  'paused pre-switchover',
  'paused device',
  'paused active',
  'paused failed',
  'handed-over completed',
  'handed-over postcopy-active',
  'handed-over postcopy-paused',
  'gone none',
] as const;
export type Stands = (typeof STANDS)[number];

function statusOf(stands: string): HypervisorStatus {
  const [run, stream] = stands.split(' ');
  return { run, stream } as HypervisorStatus;
}

/** What a call of the destination's mover may come to. `unreachable` only where it is made once. */
const WORDS = ['ok', 'notArmed', 'held', 'goneThere', 'other', 'deadline', 'unknown'];
/** What the destination says of its hypervisor. */
const THERE = ['other', 'running', 'postcopy', 'gone'];
const RUNNING = { epoch: PLANNED.precopy.epoch, runningAt: new Date(0).toISOString(), resumeMs: 1 };
const REPORTED: Readonly<Record<string, object>> = {
  prepare: { memoryAddress: 'b:49152', tlsHostname: 'b' },
  assess: { checks: [] },
  commit: RUNNING,
};

function peerOf(script: Script): object {
  let known = false;
  const api = (how: 'call' | 'once'): object =>
    new Proxy(
      {},
      {
        get: (_target, name: string) => async () => {
          if (name === 'status') {
            const hypervisor = await script.ask('call status', [...THERE, 'silence']);
            if (hypervisor === 'silence') throw new GodwitError(ERRORS.deadline);
            return { hypervisor };
          }
          const words = how === 'once' ? [...WORDS, 'unreachable'] : WORDS;
          await command(script, `${how} ${name}`, ...words);
          return REPORTED[name] ?? {};
        },
      },
    );
  return {
    resume: () => {
      known = true;
    },
    get known() {
      return known;
    },
    addresses: ['b:7000'],
    admit: async () => {
      await command(script, 'once admit', ...WORDS, 'unreachable');
      // What checks say of the path, and nothing else rests on.
      return { moverAddress: 'b:7001', askedMs: 0, answeredMs: 0, path: {} };
    },
    locate: async () => {
      known ||= (await command(script, 'locate', 'there', 'none', 'unreachable')) === 'there';
      return known;
    },
    call: (
      _id: string,
      _signal: AbortSignal,
      ask: (a: object, route: object) => Promise<unknown>,
    ) => ask(api('call'), (reported: string) => reported),
    once: (ask: (a: object) => Promise<unknown>) => ask(api('once')),
    // Who watches for a dark host hears nothing yet: that a call fails is among its own answers.
    answers: () => new Promise(() => {}),
  } satisfies Fake<SourcePorts['peer']>;
}
