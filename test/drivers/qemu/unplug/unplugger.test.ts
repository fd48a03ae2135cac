import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { QmpClient } from '../../../../src/drivers/qemu/qmp/client.ts';
import type { QmpEvent } from '../../../../src/drivers/qemu/qmp/messages.ts';
import { QemuUnplugger } from '../../../../src/drivers/qemu/unplug/unplugger.ts';

type Monitor = ConstructorParameters<typeof QemuUnplugger>[1];
type Deletes = 'at once' | 'later' | 'never' | 'says no';

const signal = AbortSignal.timeout(20_000);
const GPU = { device: 'gpu0', again: { driver: 'vfio-pci', id: 'gpu0', host: '0000:01:00.0' } };
const USB = { device: 'usb0', again: { driver: 'usb-host', id: 'usb0' } };
const SHORT_MS = 300;

/** A monitor of a guest that has these devices and answers `device_del` so. */
class Guest {
  readonly devices = new Set(['gpu0', 'usb0']);
  readonly said: string[] = [];
  blocked: string[] = [];
  readonly #pending = new Set<string>();
  readonly #listeners: ((event: QmpEvent) => void)[] = [];
  readonly #deletes: Deletes;

  constructor(deletes: Deletes) {
    this.#deletes = deletes;
  }

  get monitor(): Monitor {
    return {
      onEvent: (listener: (event: QmpEvent) => void) => {
        this.#listeners.push(listener);
        return () => true;
      },
      query: async (command: string) =>
        command === 'qom-list'
          ? [...this.devices].map((name) => ({ name, type: 'child<x>' }))
          : { 'blocked-reasons': this.blocked },
      request: async (command: string, args: object) => this.#answer(command, args),
    } as unknown as Pick<QmpClient, 'query' | 'request' | 'onEvent'>;
  }

  /** It releases now what it was asked to. */
  release(): void {
    for (const id of this.#pending) this.devices.delete(id);
    this.#pending.clear();
  }

  #answer(command: string, args: object): unknown {
    const { id } = args as { id: string };
    this.said.push(`${command} ${id}`);
    if (command === 'device_add') {
      this.devices.add(id);
      return { ok: true, value: {} };
    }
    if (this.#pending.has(id)) {
      const reason = `Device ${id} is already in the process of unplug`;
      return { ok: false, reason, errorClass: 'GenericError' };
    }
    this.#pending.add(id);
    if (this.#deletes === 'at once') this.release();
    if (this.#deletes === 'later') setTimeout(() => this.release(), SHORT_MS / 3);
    if (this.#deletes === 'says no') {
      const event = { event: 'DEVICE_UNPLUG_GUEST_ERROR', data: { device: id } };
      for (const listener of this.#listeners) listener(event);
      this.#pending.delete(id);
    }
    return { ok: true, value: {} };
  }
}

function guestThat(deletes: Deletes) {
  const guest = new Guest(deletes);
  return { guest, unplugger: new QemuUnplugger('web1', guest.monitor, SHORT_MS) };
}

describe('unplugging the devices of a guest', () => {
  for (const deletes of ['at once', 'later'] as const) {
    test(`unplugging is over once the guest has released all devices, ${deletes}, and gives them back`, async () => {
      const { guest, unplugger } = guestThat(deletes);
      await unplugger.unplug([GPU, USB], signal);
      assert.deepEqual([...guest.devices], []);
      // A mover that takes over says it again.
      await unplugger.unplug([GPU, USB], signal);
      await unplugger.plugAgain([GPU, USB], signal);
      await unplugger.plugAgain([], signal);
      assert.deepEqual([...guest.devices].toSorted(), ['gpu0', 'usb0']);
      const adds = guest.said.filter((each) => each.startsWith('device_add'));
      assert.deepEqual(adds, ['device_add gpu0', 'device_add usb0']);
    });
  }

  test('unplugging fails by name if the guest keeps a device, which it may still release', async () => {
    const { guest, unplugger } = guestThat('never');
    const held = { code: 'GODWIT_DEVICE_HELD', message: /does not release gpu0.*within 0\.3 s/ };
    await assert.rejects(unplugger.unplug([GPU], signal), held);
    // The way back does not call it plugged in for good.
    await assert.rejects(unplugger.plugAgain([GPU], signal), held);
    assert.deepEqual(guest.said, ['device_del gpu0']);
    // QEMU takes no second request while it waits for the answer to the first one.
    await assert.rejects(unplugger.unplug([GPU], signal), held);
  });

  test('unplugging fails at once if the guest reports that it keeps the device, which then stays for good', async () => {
    const { unplugger } = guestThat('says no');
    const before = performance.now();
    await assert.rejects(unplugger.unplug([GPU], signal), /says that it keeps it/);
    await unplugger.plugAgain([GPU], signal);
    assert.ok(performance.now() - before < SHORT_MS);
  });

  test("unplugging cancelled before the guest's answer gives the device back after the answer", async () => {
    for (const isSame of [true, false]) {
      const { guest, unplugger } = guestThat('never');
      const cancelled = new AbortController();
      const asked = unplugger.unplug([GPU], cancelled.signal);
      setTimeout(() => cancelled.abort(), 20);
      await assert.rejects(asked);
      setTimeout(() => guest.release(), SHORT_MS / 3);
      // Also a mover that took over waits: it does not know what the last one has asked for.
      const next = isSame ? unplugger : new QemuUnplugger('web1', guest.monitor, SHORT_MS);
      await next.plugAgain([GPU], signal);
      assert.equal(guest.said.at(-1), 'device_add gpu0');
    }
  });

  test('unplugging is refused if QEMU still reports that the guest cannot move', async () => {
    const { guest, unplugger } = guestThat('at once');
    guest.blocked = ["The 'nested' feature blocks it"];
    await assert.rejects(unplugger.unplug([GPU], signal), {
      code: 'GODWIT_DEVICE_UNMOVABLE',
      message: /nested/,
    });
  });
});
