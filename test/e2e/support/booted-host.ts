import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bootDebian, GUEST_KERNEL, QEMU, type BootedDebian } from './booted-debian.ts';
import { builtDeb } from './built-deb.ts';
import { makeNext, openCleanHosts, type CleanHost } from './clean-hosts.ts';
import { bringDebian13, noCleanRoot } from './clean-root.ts';

/** A booted Debian with the package, and a clean root beside it that no systemd runs. */

export const ADDRESS = '10.77.0.9';
export const UNIT = 'godwit-agent';

/** Why none can be had here; undefined where it can. */
export function lacksBooted(): string | undefined {
  bringDebian13();
  return noCleanRoot('trixie') ?? (existsSync(QEMU) ? undefined : `${QEMU} is not there`);
}

export interface BootedHost extends BootedDebian {
  readonly beside: CleanHost;
  /** Of the unit, by systemd's name. */
  property(name: string): Promise<string>;
  /** The directory in /proc of a guest's QEMU on the booted host; empty where there is none. */
  processOf(guest: string): Promise<string>;
  /** Starts a guest as a person would. */
  startGuest(name: string): Promise<void>;
}

/** The packages lie there as /next.deb and, packed so that it unpacks fast where the processor is emulated, /same.deb. */
export async function openBootedHost(): Promise<BootedHost> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-booted-host-'));
  const world = await openCleanHosts(['b', 'a'], builtDeb(folder));
  const close = async (): Promise<void> => {
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [beside, root] = [world.host('b'), world.host('a')];
    for (const each of world.hosts) await each.does('mkdir -p /srv/images');
    await root.does('dpkg -i /godwit.deb');
    await makeNext(root);
    await root.does(
      'dpkg-deb -R /godwit.deb /same && dpkg-deb -Znone -b /same /same.deb && rm -r /same /godwit.deb',
    );
    const booted = await bootDebian({ name: 'a', address: ADDRESS, root, beside });
    return {
      ...booted,
      beside,
      property: async (name) => (await booted.does(`systemctl show -P ${name} ${UNIT}`)).trim(),
      processOf: async (guest) => (await booted.does(findGuest(guest))).trim(),
      startGuest: async (name) => void (await booted.does(startOf(name))),
      close: async () => {
        await booted.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A line that prints the directory in /proc of a guest's QEMU. */
export const findGuest = (guest: string): string =>
  `for each in /proc/[0-9]*; do tr '\\0' ' ' 2>/dev/null <$each/cmdline | ` +
  `grep -qE -- '-name (guest=)?${guest}([ ,]|$)' && echo $each; done 2>/dev/null; true`;

const startOf = (name: string): string =>
  `mkdir -p /run/guests; setsid ${QEMU} -name ${name} -machine q35 -accel tcg -cpu qemu64 -m 64M -nodefaults -display none -S ` +
  `-qmp unix:/run/guests/${name}.sock,server=on,wait=off -kernel ${GUEST_KERNEL} >/dev/null 2>&1 </dev/null &`;
