import assert from 'node:assert/strict';
import { hasCode } from '../../src/errors.ts';
import { TLS_NAME, type PreparedTrial, type Trial } from './trial.ts';
import { granted } from '../migration/permission/granted.ts';

/** What a driver promises of a post-copy whose stream breaks. */

/** Post-copy as far as the guest runs at the destination and its memory follows, slowly. */
async function drains(trial: Trial): Promise<PreparedTrial> {
  const prepared = await trial.prepare('postcopy', trial.place.slow);
  const { source, destination, memoryAddress } = prepared;
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  await trial.heard('source', 'active');
  await source.startPostcopy(trial.signal);
  await trial.heard('source', 'pre-switchover');
  await source.continueSwitchover(trial.signal);
  await trial.heard('source', 'postcopy-active');
  await destination.resumeGuest(granted(source.handle.name), trial.signal);
  return prepared;
}

/** Resumes a paused post-copy, and sees it through. */
async function recoversOnce(trial: Trial, { source, destination }: PreparedTrial): Promise<void> {
  const { memoryAddress: anew } = await destination.listenAgain(trial.signal);
  await source.adjust({ maxBandwidth: 1024 ** 3 }, trial.signal);
  await source.recover(await trial.routed(anew), TLS_NAME, trial.signal);
  await trial.heard('source', 'completed');
  await trial.heard('destination', 'completed');
  assert.deepEqual(await trial.runsAt(), ['destination']);
}

export async function recovers(trial: Trial): Promise<void> {
  const prepared = await drains(trial);
  await trial.place.breakLink();
  await trial.heard('source', 'postcopy-paused');
  await recoversOnce(trial, prepared);
}

export async function finds(trial: Trial): Promise<void> {
  const prepared = await drains(trial);
  if (trial.place.silenceLink === undefined) await trial.place.breakLink();
  else await trial.place.silenceLink();
  // Once more than needed: the answer to the first may be lost.
  await prepared.destination.listenAgain(trial.signal);
  await recoversOnce(trial, prepared);
}

export async function passesBy(trial: Trial): Promise<void> {
  const { source, destination, started } = await drains(trial);
  await destination.close();
  const hears = await trial.place.deafen?.(started.handle);
  if (trial.place.silenceLink === undefined) await trial.place.breakLink();
  else await trial.place.silenceLink();
  const heir = await trial.openDestination(started);
  const { memoryAddress: anew } = await heir.listenAgain(trial.signal);
  await source.adjust({ maxBandwidth: 1024 ** 3 }, trial.signal);
  await source.recover(await trial.routed(anew), TLS_NAME, trial.signal);
  await trial.heard('source', 'completed');
  hears?.();
  assert.equal((await heir.status(trial.signal)).run, 'running');
  assert.notEqual((await source.status(trial.signal)).run, 'running');
}

/** Its state may not be under way yet, or all of it: nobody ran it there, so it is still the source's. */
export async function takesBackAtTheSwitch(trial: Trial): Promise<void> {
  const { source, destination, memoryAddress } = await trial.prepare('postcopy');
  await source.startMemory(memoryAddress, TLS_NAME, trial.signal);
  await trial.heard('source', 'active');
  await source.startPostcopy(trial.signal);
  await trial.heard('source', 'pre-switchover');
  const gone = destination.destroy(trial.signal);
  // Refused where its end was noticed already.
  await source.continueSwitchover(trial.signal).catch((error: unknown) => {
    if (!hasCode(error, 'GODWIT_HYPERVISOR')) throw error;
  });
  await gone;
  const { run } = await source.cancel(trial.signal);
  if (run !== 'running') await source.resumeGuest(granted(source.handle.name), trial.signal);
  assert.equal((await source.status(trial.signal)).run, 'running');
}

/** The destination has everything, and its last word is lost with the link: the source must not run what it gave away. */
export async function staysStill(trial: Trial): Promise<void> {
  const { source, destination } = await drains(trial);
  await trial.place.muteReturn?.();
  await source.adjust({ maxBandwidth: 1024 ** 3 }, trial.signal);
  if (trial.place.muteReturn !== undefined) await trial.heard('destination', 'completed');
  await trial.place.breakLink();
  await source.cancel(trial.signal);
  assert.notEqual((await source.status(trial.signal)).run, 'running');
  const here = trial.said.filter(({ side }) => side === 'source').map(({ event }) => event.type);
  assert.equal(here.indexOf('resumed', here.indexOf('stopped')), -1, here.join(' '));
  assert.equal((await destination.status(trial.signal)).run, 'running');
}
