import { agentConfig } from '../../../src/config.ts';
import type { DestinationSession } from '../../../src/port/direct.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../../../src/migration/direct/destination/destination.ts';
import type { DestinationContext } from '../../../src/mover/direct/destination/destination-context.ts';
import type { Preparation } from '../../../src/protocol/peer/migration.ts';
import { preparationOf } from '../../migration/direct/samples.ts';
import { ADMISSION, EPOCH, PLANNED, RECORDS } from '../events.ts';
import { command, type Mode } from './answers.ts';
import type { Script } from './extract.ts';

/** The ports that the destination's mover works with, which ask a script what they are to answer. */

/** Of another migration. */
export const WRONG = EPOCH - 1;
/** Nothing can be made there. */
const NOWHERE = '/proc/self/none';
const CONFIG = agentConfig.parse({
  name: 'b',
  address: '10.0.0.2:7443',
  stateDir: NOWHERE,
  network: { probe: 'off' },
});

export const callPreparation = (): Preparation => preparationOf(PLANNED.precopy);

const NOW = { bootId: 'boot-0', uptimeMs: 0 };
export const NO_FLEET = { names: () => [], ask: async () => new Map() };
const SINCE = '2026-11-24T10:00:00Z';

interface Watch {
  readonly silentMs: number;
  failed: boolean;
}

export function destinationParts(script: Script, watch: Watch): DestinationContext {
  script.owns(...OWN, 'epoch', 'mode');
  const context = {
    dir: NOWHERE,
    placeIds: { made: (pool: string) => pool, own: () => undefined },
    config: CONFIG,
    driver: { name: 'fake', openDestination: async () => session(script) },
    journal: journal(script),
    clock: {
      wallMs: () => 0,
      monotonicMs: () => script.nowMs + watch.silentMs,
      sleep: (ms: number) => script.sleep(ms),
    },
    log: {
      // What it does by itself and cannot do is reported, and tried again.
      warn: (about: { error?: unknown }) => {
        if (about.error !== undefined) watch.failed = true;
      },
      debug: () => undefined,
      info: () => undefined,
    },
    bootTime: () => NOW,
    others: others(script),
    connections: undefined,
    fleet: NO_FLEET,
    since: SINCE,
    wire: undefined,
  } satisfies Record<keyof DestinationContext, unknown>;
  return context as never;
}

/** A record is in the journal once it is written, and on the disk once that has been waited for. */
function journal(script: Script): object {
  return {
    write: (event: DestinationEvent) => {
      script.report(`record ${nameOf(event)}`);
      learn(script, event);
    },
    settle: async (durability: string) => {
      script.report(`settle ${durability}`);
    },
    close: async () => undefined,
  };
}

/** What the code has read of the state is after its own record as the fold of the journal makes it. */
function learn(script: Script, event: DestinationEvent): void {
  const known = Object.fromEntries(
    FIELDS.flatMap((field) => {
      const value = script.known(field);
      return value === undefined ? [] : [[field, field === 'unsure' ? value === 'yes' : value]];
    }),
  );
  const admitted = { type: 'admitted', admission: ADMISSION, host: 'b' } as const;
  const after = destinationAfter({ ...initialDestination(admitted), ...known }, event);
  for (const field of Object.keys(known) as (keyof typeof after)[]) {
    const value = after[field];
    script.changed(field, typeof value === 'string' ? value : value === true ? 'yes' : 'no');
  }
}

/** One call at a time has the journal; only what its hypervisor says comes between. */
const OWN = ['stage', 'right', 'unsure'] as const;
const FIELDS = [...OWN, 'hypervisor'] as const;

function nameOf(event: DestinationEvent): string {
  if (event.type === 'hypervisor') return event.event.type;
  const reported = event.type === 'finished' || event.type === 'released' ? event.told : undefined;
  return reported === true ? `${event.type} reported` : event.type;
}

/** What the source's agent says: nothing, that it does not know the migration, or how it stands and with what right. */
const SOURCES = ['dark', 'unknown', 'memory', 'failed', 'done', 'lost', 'held'];

function others(script: Script): object {
  return {
    askSource: async () => {
      const phase = script.fact('source', SOURCES as [string, ...string[]]);
      if (phase === 'dark' || phase === 'unknown') return { isDark: phase === 'dark' };
      const word = script.fact('its right', ['other', 'abandoned', 'never ran', 'passed']);
      const never = word === 'never ran' && { right: 'abandoned', neverRanThere: true };
      const view = { side: 'source', host: 'a', epoch: EPOCH, phase, right: word, ...never };
      return { isDark: false, view };
    },
    fence: async () => {
      const off = (await script.ask('fence the source', ['on', 'off'])) === 'off';
      return off ? { off, by: 'the hook' } : { off, why: 'there is none' };
    },
  };
}

const PLANNED_STREAM = {
  precopy: preparationOf(PLANNED.precopy).stream,
  hybrid: preparationOf(PLANNED.hybrid).stream,
};

/** What the code reads of the journal's state, field by field: each read is a question of its own. */
export function stateOf(script: Script): DestinationState {
  const read = (name: string, answers: readonly [string, ...string[]]): string =>
    script.fact(name, answers);
  const state = {
    admission: ADMISSION,
    host: 'b',
    preparation: {
      ...preparationOf(PLANNED.precopy),
      get stream() {
        return PLANNED_STREAM[script.fact('mode', ['precopy', 'hybrid']) as Mode];
      },
    },
    ports: {},
    directories: [],
    bases: [],
    handle: RECORDS.prepared.handle,
    launch: undefined,
    memoryAddress: RECORDS.prepared.memoryAddress,
    // Other hosts, and the restart of this one, are the model of third hosts'.
    armedIn: 'boot-0',
    proved: { at: NOW, answersFor: [] },
    error: undefined,
    // The hypervisor of the model ends where its stream does.
    streamFailed: false,
    get stage() {
      return read('stage', ['admitted', 'preparing', 'prepared', 'released', 'finished']);
    },
    get right() {
      return read('right', ['none', 'armed', 'running', 'refused']);
    },
    get hypervisor() {
      return read('hypervisor', HYPERVISORS);
    },
    // After a restart it may have been committed: that is so of an armed one alone.
    get unsure(): boolean {
      return state.right === 'armed' && read('unsure', ['no', 'yes']) === 'yes';
    },
    get postcopy(): boolean {
      return state.hypervisor.startsWith('postcopy');
    },
    get hasRun() {
      return read('has run', ['no', 'yes']) === 'yes';
    },
    // What becomes of its data moves no right to run.
    mayHaveRun: false,
    // How it ended, and why it is stopped, is for the report alone.
    ended: undefined,
    halted: undefined,
  } satisfies Record<keyof DestinationState, unknown>;
  return state as never;
}

/** One that was never started is as good as one that waits. */
const HYPERVISORS = [
  'incoming',
  'paused',
  'running',
  'postcopy',
  'postcopy-paused',
  'gone',
] as const;

function session(script: Script): object {
  return {
    onEvent: () => () => undefined,
    status: async () => {
      const run = await script.ask('status there', ['running', 'paused', 'gone', 'silence']);
      if (run === 'silence') throw new Error('its monitor does not answer');
      return { run, stream: 'none' };
    },
    nics: () => [],
    start: async () => {
      await command(script, 'start', 'ok', 'other');
      return { handle: RECORDS.prepared.handle, memoryAddress: 'b:49152' };
    },
    ready: () => command(script, 'wait for the devices', 'ok', 'goneThere', 'deadline'),
    resumeGuest: () => command(script, 'run', 'ok', 'goneThere', 'deadline'),
    neverRan: async () => script.fact('never ran', ['yes', 'no']) === 'yes',
    announce: async () => undefined,
    settle: () => command(script, 'settle', 'ok', 'goneThere'),
    destroy: () => command(script, 'destroy', 'ok'),
    close: async () => undefined,
  } satisfies Partial<Record<keyof DestinationSession, unknown>>;
}
