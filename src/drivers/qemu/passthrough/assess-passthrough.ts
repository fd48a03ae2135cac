import { pass, refusal, type NamedCheck } from '../../../migration/preflight/check.ts';
import { godwitError } from '../../../errors.ts';
import type { GuestSpec } from '../spec/schema.ts';
import { shown, type HostDevice } from './device.ts';
import { matchDevices, type Candidate } from './match.ts';
import { holderOf, readHostDevice } from './read-device.ts';

export interface Passthrough {
  readonly devices: ReadonlyMap<number, HostDevice>;
  readonly checks: readonly NamedCheck[];
}

/** `names`: devices that guests may use. Opens none of them. */
export async function findPassthrough(
  { devices }: GuestSpec,
  { guest, host, names }: { guest: string; host: string; names: readonly string[] },
): Promise<Passthrough> {
  const wanted = devices.flatMap(({ passthrough }, index) =>
    passthrough === undefined ? [] : [{ index, what: passthrough }],
  );
  if (wanted.length === 0) return { devices: new Map(), checks: [] };
  const { chosen, missing } = matchDevices(wanted, await candidatesOf(names));
  const nameOf = (index: number): string =>
    devices[index]?.id ?? devices[index]?.driver ?? String(index);
  const hint = `Name devices that guests may have in \`drivers.qemu.passthrough\` of ${host}: the same model, bound to the same driver; or move the guest with --unplug.`;
  const refused = missing.map(({ index, why }) => {
    const facts = { device: nameOf(index), guest, host, what: why };
    return refusal(
      'devices',
      godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }),
      'destination',
    );
  });
  const found = [...chosen].map(([index, { name, what }]) =>
    pass('devices', `${nameOf(index)} gets ${name} (${shown(what)})`, 'destination'),
  );
  return { devices: chosen, checks: [...refused, ...found] };
}

async function candidatesOf(names: readonly string[]): Promise<Candidate[]> {
  const found = await Promise.all(
    names.map(async (name): Promise<Candidate[]> => {
      const device = await readHostDevice(name);
      if (device === undefined) return [];
      const holder = await holderOf(device);
      return [{ device, takenBy: holder === undefined ? undefined : `process ${holder}` }];
    }),
  );
  return found.flat();
}
