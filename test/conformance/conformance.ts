import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HypervisorEvent } from '../../src/port/direct.ts';
import { GodwitError } from '../../src/errors.ts';
import type { GuestDescription } from '../../src/protocol/peer/migration.ts';
import { finds, passesBy, recovers, staysStill, takesBackAtTheSwitch } from './recovery.ts';
import { startsAnew } from './relaunch.ts';
import { TLS_NAME, Trial, refusals, type TrialSite } from './trial.ts';
import { granted } from '../migration/permission/granted.ts';

export interface Conformance {
  readonly name: string;
  make(): Promise<TrialSite>;
  /** Promises that this driver does not keep, each with the reason. */
  readonly skip: readonly { readonly reason: string; readonly tests: readonly string[] }[];
}

/** The promises of the driver port, tried on one driver. */
export function runConformance(suite: Conformance): void {
  const skipped = new Map(
    suite.skip.flatMap(({ reason, tests }) => tests.map((name) => [name, reason] as const)),
  );
  const promise = (name: string, work: (trial: Trial) => Promise<void>): void => {
    const reason = skipped.get(name);
    test(name, reason === undefined ? {} : { skip: reason }, async () => {
      const trial = new Trial(await suite.make());
      try {
        await work(trial);
      } finally {
        await trial.dispose();
      }
    });
  };
  describe(`the ${suite.name} driver`, () => {
    promise('finds a running guest and says what it is', findsTheGuest);
    promise('lists a busy guest without touching its monitor', listsABusyGuest);
    promise('answers an unknown process with GODWIT_HYPERVISOR_LOST', refusesAGhost);
    promise('describes a guest so that the destination accepts it', describesTheGuest);
    promise('measures a running guest, which runs on', measuresTheGuest);
    promise('samples what a guest writes, whoever holds its monitor meanwhile', samplesTheGuest);
    promise('refuses what is not a description', refusesNonsense);
    promise('moves a guest by pre-copy, paused until resumed', (trial) =>
      movesBy(trial, 'precopy'),
    );
    promise('moves a guest by pre-copy that nothing holds at the switch', movesUnheld);
    promise('moves a guest by post-copy', (trial) => movesBy(trial, 'postcopy'));
    promise('moves a guest over several compressed streams', (trial) =>
      movesOver(trial, { streams: 3, compress: 'zstd' }),
    );
    promise('moves a guest by the differences of its pages', (trial) =>
      movesOver(trial, { streams: 1, compress: 'xbzrle' }),
    );
    promise('starts once, however often it is asked to', startsOnce);
    promise('cancels while memory is sent, the source running on', cancelsUnderWay);
    promise('cancels at the switchover, the source running on', cancelsAtSwitchover);
    promise('goes on after its source session was lost', survivesItsSession);
    promise('undoes a start twice as once', undoesTwice);
    promise('resumes a broken post-copy stream', recovers);
    promise('resumes a post-copy stream that a link swallows, which nobody has noticed', finds);
    promise(
      'resumes post-copy after its session was lost, past a monitor that is silent',
      passesBy,
    );
    promise('never runs a guest by itself that it gave away by post-copy', staysStill);
    promise('runs on at the source when the destination dies at the switch', takesBackAtTheSwitch);
    promise('starts a lost guest anew, once', startsAnew);
    promise('leaves the source running when the destination dies', losesTheDestination);
  });
}

function codeOf(error: unknown): string {
  assert.ok(error instanceof GodwitError, String(error));
  return error.code;
}

async function findsTheGuest(trial: Trial): Promise<void> {
  const { source, sourceHost, guest } = trial.place;
  const options = { host: sourceHost, busy: new Set<string>(), configured: [] };
  const found = await source.discover(options, trial.signal);
  const info = found.find((each) => each.info.name === guest)?.info;
  assert.equal(info?.state, 'running');
  assert.equal(info.host, sourceHost);
  assert.ok((info.memoryBytes ?? 0) > 0);
}

async function listsABusyGuest(trial: Trial): Promise<void> {
  const { source, sourceHost, guest } = trial.place;
  // Holding the monitor: asking it would have to wait.
  await trial.openSource();
  const options = { host: sourceHost, busy: new Set([guest]), configured: [] };
  const found = await source.discover(options, trial.signal);
  assert.equal(found.find((each) => each.info.name === guest)?.info.state, 'migrating');
}

async function refusesAGhost(trial: Trial): Promise<void> {
  const handle = trial.place.ghost(await trial.handle());
  await assert.rejects(
    trial.place.source.openSource(handle, trial.signal),
    (error) => codeOf(error) === 'GODWIT_HYPERVISOR_LOST',
  );
}

async function describesTheGuest(trial: Trial): Promise<void> {
  const source = await trial.openSource();
  const { tls: _tls, ...stream } = trial.stream('precopy');
  const { description, checks } = await source.inspect(stream, trial.signal);
  assert.deepEqual(refusals(checks), []);
  assert.equal(description.name, trial.place.guest);
  const destination = await trial.openDestination();
  const travelled = JSON.parse(JSON.stringify(description)) as GuestDescription;
  const there = await destination.assess(travelled, trial.stream('precopy'), trial.signal);
  assert.deepEqual(refusals(there), []);
  assert.equal((await destination.status(trial.signal)).run, 'gone');
}

async function measuresTheGuest(trial: Trial): Promise<void> {
  const source = await trial.openSource();
  const found = await source.measure?.(trial.signal);
  assert.ok(found !== undefined);
  const { curve, memoryBytes, mix } = found;
  assert.ok(memoryBytes > 0 && curve.length >= 2);
  for (const [at, { windowMs, dirtyBytes }] of curve.entries()) {
    const before = curve[at - 1] ?? { windowMs: 0, dirtyBytes: 0 };
    assert.ok(windowMs > before.windowMs && dirtyBytes >= before.dirtyBytes);
    assert.ok(dirtyBytes <= memoryBytes);
  }
  assert.ok(mix === undefined || mix.zero < 1);
  assert.equal((await source.status(trial.signal)).run, 'running');
}

async function samplesTheGuest(trial: Trial): Promise<void> {
  const { source } = trial.place;
  const handle = await trial.handle();
  const first = await source.sampleDirty?.(handle, trial.signal);
  assert.ok(first !== undefined && first.dirtyBytes > 0, JSON.stringify(first));
  const session = await trial.openSource();
  assert.ok((await source.sampleDirty?.(handle, trial.signal)) !== undefined);
  assert.equal((await session.status(trial.signal)).run, 'running');
}

async function refusesNonsense(trial: Trial): Promise<void> {
  const destination = await trial.openDestination();
  const description = {
    driver: trial.place.source.name,
    name: trial.place.guest,
    memoryBytes: 1,
    vcpus: 1,
    hypervisorVersion: '1.0.0',
    spec: { machine: '/etc/passwd', '-exec': 'sh' },
  };
  await assert.rejects(
    destination.start(description, trial.setup('precopy', 'destination'), new Map(), trial.signal),
    (error) => codeOf(error) === 'GODWIT_PROTOCOL_INVALID',
  );
}

async function movesBy(trial: Trial, mode: 'precopy' | 'postcopy'): Promise<void> {
  const cap = mode === 'postcopy' ? trial.place.slow : undefined;
  const { source, destination, memoryAddress } = await trial.prepare(mode, cap);
  assert.deepEqual(await trial.runsAt(), ['source']);
  let isReady = false;
  const ready = mode === 'postcopy' ? destination.ready?.(trial.signal) : undefined;
  void ready?.then(() => {
    isReady = true;
  });
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  if (mode === 'postcopy') {
    await trial.heard('source', 'active');
    await source.startPostcopy(trial.signal);
  }
  if (trial.held) {
    await trial.heard('source', 'pre-switchover');
    assert.deepEqual(await trial.runsAt(), []);
    assert.equal(isReady, false, 'not before the state of its devices is there');
    await source.continueSwitchover(trial.signal);
    await source.continueSwitchover(trial.signal);
  }
  await trial.heard('source', mode === 'precopy' ? 'completed' : 'postcopy-active');
  await ready;
  assert.deepEqual(await trial.runsAt(), [], 'nobody resumes it but its owner');
  assert.equal((await source.status(trial.signal)).run, 'handed-over');
  await destination.resumeGuest(granted(source.handle.name), trial.signal);
  await destination.resumeGuest(granted(source.handle.name), trial.signal);
  assert.deepEqual(await trial.runsAt(), ['destination']);
  await source.adjust({ maxBandwidth: 1024 ** 3 }, trial.signal);
  await trial.heard('source', 'completed');
  await trial.heard('destination', 'completed');
  const sample = await source.sample(trial.signal);
  assert.equal(sample.remainingBytes, 0);
  assert.ok(sample.transferredBytes > 0 && sample.downtimeMs !== undefined);
  await destination.announce(trial.signal);
  await source.quit(trial.signal);
  await source.quit(trial.signal);
  await destination.settle(trial.signal);
  assert.deepEqual(await trial.runsAt(), ['destination']);
}

function movesUnheld(trial: Trial): Promise<void> {
  trial.held = false;
  return movesBy(trial, 'precopy');
}

function movesOver(trial: Trial, shape: Trial['shape']): Promise<void> {
  Object.assign(trial, { shape });
  return movesBy(trial, 'precopy');
}

async function startsOnce(trial: Trial): Promise<void> {
  const { destination, description, started } = await trial.prepare('precopy');
  const setup = trial.setup('precopy', 'destination');
  const again = await destination.start(description, setup, new Map(), trial.signal);
  assert.deepEqual(again, started);
  await destination.close();
  const heir = await trial.openDestination(started);
  const taken = await heir.start(description, setup, new Map(), trial.signal);
  assert.deepEqual(taken, started);
  assert.equal((await heir.status(trial.signal)).run, 'incoming');
}

async function cancelsUnderWay(trial: Trial): Promise<void> {
  const { source, memoryAddress } = await trial.prepare('precopy', trial.place.slow);
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  await trial.heard('source', 'active');
  const status = await source.cancel(trial.signal);
  assert.equal(status.run, 'running');
  assert.equal((await source.cancel(trial.signal)).run, 'running');
  await source.unconfigure(trial.signal);
  await source.unconfigure(trial.signal);
  assert.deepEqual(await trial.runsAt(), ['source']);
}

async function cancelsAtSwitchover(trial: Trial): Promise<void> {
  const { source, memoryAddress } = await trial.prepare('precopy');
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  await trial.heard('source', 'pre-switchover');
  assert.equal((await source.cancel(trial.signal)).run, 'running');
  await source.unconfigure(trial.signal);
  assert.deepEqual(await trial.runsAt(), ['source']);
}

async function survivesItsSession(trial: Trial): Promise<void> {
  const { source, destination, memoryAddress } = await trial.prepare('precopy');
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  await trial.heard('source', 'pre-switchover');
  await source.close();
  const heir = await trial.place.source.openSource(source.handle, trial.signal);
  try {
    const { promise, resolve } = Promise.withResolvers<HypervisorEvent>();
    heir.onEvent((event) => {
      if (event.type === 'pre-switchover') resolve(event);
    });
    await promise;
    assert.equal((await heir.status(trial.signal)).stream, 'pre-switchover');
    await heir.continueSwitchover(trial.signal);
    await trial.heard('destination', 'completed');
    await destination.resumeGuest(granted(source.handle.name), trial.signal);
    assert.equal((await destination.status(trial.signal)).run, 'running');
    await heir.quit(trial.signal);
  } finally {
    await heir.close();
  }
}

async function undoesTwice(trial: Trial): Promise<void> {
  const { source, destination } = await trial.prepare('precopy');
  await destination.destroy(trial.signal);
  await destination.destroy(trial.signal);
  assert.equal((await destination.status(trial.signal)).run, 'gone');
  await source.unconfigure(trial.signal);
  assert.deepEqual(await trial.runsAt(), ['source']);
}

async function losesTheDestination(trial: Trial): Promise<void> {
  const { source, destination, memoryAddress } = await trial.prepare('precopy', trial.place.slow);
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  await trial.heard('source', 'active');
  await destination.destroy(trial.signal);
  await trial.heard('source', 'failed');
  assert.deepEqual(await trial.runsAt(), ['source']);
}
