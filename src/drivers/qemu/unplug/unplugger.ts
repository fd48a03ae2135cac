import { systemClock } from '../../../clock.ts';
import { godwitError } from '../../../errors.ts';
import type { UnpluggedDevice } from '../../../protocol/unplug.ts';
import type { Unplugger } from '../../../port/unplugger.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';

/**
 * Time that a guest may take to release its devices, ms. A USB device goes at once; for a PCI device the guest
 * is asked through ACPI.
 */
const RELEASE_MS = 20_000;
const LOOK_MS = 50;
const ASKED_ALREADY = /already in the process of unplug/;

type Monitor = Pick<QmpClient, 'query' | 'request' | 'onEvent'>;

/**
 * `device_del` only asks the guest and cannot be withdrawn: a guest may release the device at any later time, at
 * the latest when it restarts.
 */
export class QemuUnplugger implements Unplugger {
  readonly #guest: string;
  readonly #client: Monitor;
  readonly #releaseMs: number;
  readonly #askedUntil = new Map<string, number>();
  readonly #kept = new Set<string>();

  constructor(guest: string, client: Monitor, releaseMs = RELEASE_MS) {
    this.#guest = guest;
    this.#client = client;
    this.#releaseMs = releaseMs;
    client.onEvent(({ event, data }) => {
      const { device } = data;
      if (event === 'DEVICE_UNPLUG_GUEST_ERROR' && typeof device === 'string')
        this.#kept.add(device);
    });
  }

  async unplug(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void> {
    const there = await this.#there(devices, signal);
    for (const { device } of there) await this.#ask(device, signal);
    await this.#untilGone(there, signal);
    const { 'blocked-reasons': [reason] = [] } = await this.#client.query(
      'query-migrate',
      {},
      answers.migrationState,
      signal,
    );
    if (reason === undefined) return;
    const device = /'([^']+)'/.exec(reason)?.[1] ?? 'QEMU';
    const facts = { device, type: 'blocker', guest: this.#guest, reason };
    throw godwitError('GODWIT_DEVICE_UNMOVABLE', facts);
  }

  async plugAgain(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void> {
    // A request that timed out has been waited for; a request of an earlier mover is unknown.
    const pending = (await this.#there(devices, signal)).filter(
      ({ device }) => !this.#kept.has(device),
    );
    const [waited] = await Promise.allSettled([this.#untilGone(pending, signal)]);
    signal.throwIfAborted();
    const there = new Set((await this.#there(devices, signal)).map(({ device }) => device));
    for (const { device, again } of devices) {
      if (!there.has(device)) await this.#plug(device, again, signal);
    }
    if (waited.status === 'rejected') throw waited.reason as Error;
  }

  async #ask(device: string, signal: AbortSignal): Promise<void> {
    this.#kept.delete(device);
    const answer = await this.#client.request('device_del', { id: device }, signal);
    if (answer.ok || ASKED_ALREADY.test(answer.reason) || answer.errorClass === 'DeviceNotFound') {
      this.#askedUntil.set(device, performance.now() + this.#releaseMs);
      return;
    }
    throw this.#held(device, answer.reason);
  }

  /** Throws GODWIT_DEVICE_HELD for the first device that remains at the end or that the guest refuses to release. */
  async #untilGone(devices: readonly UnpluggedDevice[], signal: AbortSignal): Promise<void> {
    const began = performance.now();
    for (;;) {
      const [first] = await this.#there(devices, signal);
      if (first === undefined) return;
      const { device } = first;
      if (this.#kept.has(device)) throw this.#held(device, 'the guest says that it keeps it');
      const asked = this.#askedUntil.get(device);
      if (performance.now() > (asked ?? began + this.#releaseMs)) {
        const who = asked === undefined ? 'it may have been asked to before' : 'it was asked to';
        throw this.#held(device, `${who}, and did not within ${this.#releaseMs / 1000} s`);
      }
      await systemClock.sleep(LOOK_MS, signal);
    }
  }

  async #there(
    devices: readonly UnpluggedDevice[],
    signal: AbortSignal,
  ): Promise<UnpluggedDevice[]> {
    const path = '/machine/peripheral';
    const list = await this.#client.query('qom-list', { path }, answers.qomList, signal);
    const names = new Set(list.map(({ name }) => name));
    return devices.filter(({ device }) => names.has(device));
  }

  async #plug(device: string, props: UnpluggedDevice['again'], signal: AbortSignal): Promise<void> {
    const answer = await this.#client.request('device_add', props, signal);
    if (answer.ok) return;
    const facts = { guest: this.#guest, device, reason: answer.reason };
    throw godwitError('GODWIT_DEVICE_UNPLUGGED', facts);
  }

  #held(device: string, reason: string): Error {
    return godwitError('GODWIT_DEVICE_HELD', { guest: this.#guest, device, reason });
  }
}
