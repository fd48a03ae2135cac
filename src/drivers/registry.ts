import path from 'node:path';
import { z } from 'zod';
import { configFileOf, configTextOf, type AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import { problemsOf } from '../config/settings.ts';
import type { DirectDriver } from '../port/direct.ts';
import type { NamedPath } from '../port/inventory.ts';
import type { ManagedDriver } from '../port/managed.ts';
import { qemuMoved, qemuOptions, qemuPaths } from './qemu/options.ts';

export type Driver = DirectDriver | ManagedDriver;

/** The capability selects a migration's lifecycle. */
export function isManaged(driver: Driver): driver is ManagedDriver {
  return driver.capabilities.shape === 'managed';
}

type HostConfig = Pick<AgentConfig, 'name' | 'stateDir' | 'drivers'> & Partial<AgentConfig>;
type Make = (config: HostConfig, section: unknown) => Driver;

/** Registration of a driver: its configuration section and its factory. */
export interface DriverEntry {
  /** Only the drivers of this host are loaded, because each has its own libraries and a mover needs just one. */
  readonly load: () => Promise<Make>;
  /** Modules that the driver loads on use. */
  readonly later?: () => Promise<unknown>;
  /** Options at the top level of earlier builds' configuration: old name -> name in the section. */
  readonly moved?: Readonly<Record<string, string>>;
  readonly paths?: (section: unknown) => NamedPath[];
  /** Loaded only if its section exists, because not every host has a manager. */
  readonly onlyConfigured: boolean;
  /** A controller can address such a manager directly. */
  readonly byAddress?: ManagerAddress;
}

/** Product name and form of the URL, for people. */
interface ManagerAddress {
  readonly product: string;
  readonly url: string;
}

export function maker<T>(
  name: string,
  schema: z.ZodType<T>,
  make: (config: HostConfig, options: T) => Driver,
): Make {
  return (config, section) => {
    const parsed = schema.safeParse(section);
    if (parsed.success) return make(config, parsed.data);
    const written = configTextOf(config) ?? { text: '' };
    throw configError(config, problemsOf(written, schema, parsed.error, ['drivers', name]));
  };
}

/** All drivers by name; the only place where a driver is added. */
const DRIVERS = {
  qemu: {
    moved: qemuMoved,
    paths: (section) => qemuPaths(qemuOptions.parse(section)),
    onlyConfigured: false,
    later: () =>
      Promise.all([
        import('./qemu/source.ts'),
        import('./qemu/destination.ts'),
        import('./qemu/guest/discover.ts'),
      ]),
    load: async () => {
      const { QemuDriver } = await import('./qemu/driver.ts');
      return maker('qemu', qemuOptions, ({ name, stateDir }, { programs, ...options }) => {
        const guestsDir = path.join(stateDir, 'guests');
        const cacheDir = path.join(stateDir, 'cache');
        return new QemuDriver({ host: name, binaries: programs, ...options, guestsDir, cacheDir });
      });
    },
  },
  libvirt: {
    onlyConfigured: true,
    load: async () => {
      const { LibvirtDriver } = await import('./libvirt/driver.ts');
      const { libvirtOptions } = await import('./libvirt/options.ts');
      return maker('libvirt', libvirtOptions, ({ name }, own) => new LibvirtDriver(name, own));
    },
  },
  vsphere: {
    onlyConfigured: true,
    byAddress: { product: 'a vCenter', url: 'https://HOST[:PORT]' },
    load: async () => {
      const { VsphereDriver } = await import('./vsphere/driver.ts');
      const { vsphereOptions } = await import('./vsphere/options.ts');
      return maker('vsphere', vsphereOptions, (_, options) => new VsphereDriver(options));
    },
  },
  hyperv: {
    onlyConfigured: true,
    byAddress: { product: 'a Hyper-V host, by its WinRM', url: 'https://HOST:5986/wsman' },
    load: async () => {
      const { HypervDriver } = await import('./hyperv/driver.ts');
      const { hypervOptions } = await import('./hyperv/options.ts');
      return maker('hyperv', hypervOptions, ({ name }, own) => new HypervDriver(name, own));
    },
  },
  criu: {
    onlyConfigured: true,
    load: async () => {
      const { CriuDriver } = await import('./criu/driver.ts');
      const { criuOptions } = await import('./criu/options.ts');
      return maker('criu', criuOptions, ({ name, stateDir }, options) => {
        return new CriuDriver(name, options, path.join(stateDir, 'containers'));
      });
    },
  },
} as const satisfies Readonly<Record<string, DriverEntry>>;
const BY_NAME: Record<string, DriverEntry> = { ...DRIVERS };

/**
 * Adds drivers of an entry program outside src/, before the first lookup. A configuration cannot name a driver
 * that its program did not add.
 */
export function addDrivers(further: Readonly<Record<string, DriverEntry>>): void {
  for (const [name, entry] of Object.entries(further)) {
    if (Object.hasOwn(BY_NAME, name)) throw new Error(`there is a driver ${name} already`);
    BY_NAME[name] = entry;
  }
}

export type ManagerKind = {
  [Name in keyof typeof DRIVERS]: (typeof DRIVERS)[Name] extends { readonly byAddress: unknown }
    ? Name
    : never;
}[keyof typeof DRIVERS];

export const MANAGER_KINDS = Object.fromEntries(
  Object.entries(BY_NAME).flatMap(([name, { byAddress }]) =>
    byAddress === undefined ? [] : [[name, byAddress]],
  ),
) as Readonly<Record<ManagerKind, ManagerAddress>>;

/** Configuration sections of a host with only that driver. */
export function onlyDriver(name: string, section: unknown): Readonly<Record<string, unknown>> {
  const others = Object.entries(BY_NAME).filter(([, { onlyConfigured }]) => !onlyConfigured);
  return { ...Object.fromEntries(others.map(([other]) => [other, false])), [name]: section };
}

/** Driver of messages and records without a driver name; it was the only one when they were written. */
const UNNAMED = 'qemu';

/** Driver field of a message; omitted if an older peer assumes it anyway. */
export function driverSaid(name: string): { readonly driver?: string } {
  return name === UNNAMED ? {} : { driver: name };
}

/**
 * Driver of that name for this host. Throws GODWIT_PROTOCOL_INVALID for an unknown name, GODWIT_CONFIG for an
 * invalid section.
 */
export async function driverNamed(name: string | undefined, config: HostConfig): Promise<Driver> {
  const wanted = name ?? UNNAMED;
  const found = Object.hasOwn(BY_NAME, wanted) ? BY_NAME[wanted] : undefined;
  if (found !== undefined && isHere(wanted, found, config)) {
    return made(wanted, found, config);
  }
  throw godwitError('GODWIT_PROTOCOL_INVALID', {
    peer: 'the other host',
    expected: `a driver (${Object.keys(BY_NAME).join(', ')})`,
    what: String(name).slice(0, 32),
  });
}

/** Loads every driver, so that all sources are compiled ahead. */
export async function loadDrivers(): Promise<void> {
  await Promise.all(
    Object.values(BY_NAME).map(async ({ load, later }) => {
      await load();
      await later?.();
    }),
  );
}

/** All drivers of this host. Throws GODWIT_CONFIG for an invalid section, or one without a driver. */
export async function allDrivers(config: HostConfig): Promise<Driver[]> {
  const other = Object.keys(config.drivers).find((name) => !Object.hasOwn(BY_NAME, name));
  if (other !== undefined) {
    const known = Object.keys(BY_NAME).join(', ');
    throw configError(config, `drivers.${other} is of no driver; there is ${known}`);
  }
  const here = Object.entries(BY_NAME).filter(([name, found]) => isHere(name, found, config));
  return Promise.all(here.map(([name, found]) => made(name, found, config)));
}

/** Paths in the driver sections, which `allDrivers` has validated. */
export function pathsOfDrivers(config: HostConfig): NamedPath[] {
  return Object.entries(BY_NAME).flatMap(([name, found]) => {
    if (found.paths === undefined || !isHere(name, found, config)) return [];
    const paths = found.paths(sectionOf(name, found, config));
    return paths.map((each) => ({ ...each, setting: `drivers.${name}.${each.setting}` }));
  });
}

/** Driver whose manager can be diagnosed. */
export type DiagnosableDriver = ManagedDriver & Required<Pick<ManagedDriver, 'diagnose'>>;

export async function managersOf(config: HostConfig): Promise<DiagnosableDriver[]> {
  return (await allDrivers(config)).filter(
    (driver): driver is DiagnosableDriver => isManaged(driver) && driver.diagnose !== undefined,
  );
}

function isHere(name: string, { onlyConfigured }: DriverEntry, { drivers }: HostConfig): boolean {
  if (!Object.hasOwn(drivers, name)) return !onlyConfigured;
  return drivers[name] !== false;
}

/** One line for each option in its old place, with the new place. */
export function movedOptions(config: HostConfig): string[] {
  return Object.entries(BY_NAME).flatMap(([driver, { moved = {} }]) =>
    movedIn(config, moved).map(([old, now]) => `${old} is now drivers.${driver}.${now}`),
  );
}

async function made(name: string, found: DriverEntry, config: HostConfig): Promise<Driver> {
  const section = sectionOf(name, found, config);
  return (await found.load())(config, section);
}

/** Section of a driver, including options in their old places. */
function sectionOf(
  name: string,
  { moved = {} }: DriverEntry,
  config: HostConfig,
): Readonly<Record<string, unknown>> {
  const section = z.record(z.string(), z.unknown()).safeParse(config.drivers[name] ?? {});
  if (!section.success) throw configError(config, `drivers.${name} is not an object`);
  const options = { ...section.data };
  for (const [old, now, value] of movedIn(config, moved)) {
    if (now in options) {
      throw configError(config, `${old} and drivers.${name}.${now} are the same: remove ${old}`);
    }
    options[now] = value;
  }
  return options;
}

function movedIn(
  config: HostConfig,
  moved: NonNullable<DriverEntry['moved']>,
): [string, string, unknown][] {
  const given = new Map<string, unknown>(Object.entries(config));
  return Object.entries(moved).flatMap(([old, now]): [string, string, unknown][] =>
    given.get(old) === undefined ? [] : [[old, now, given.get(old)]],
  );
}

function configError(config: HostConfig, what: string): Error {
  const file = configFileOf(config) ?? `the configuration of ${config.name}`;
  return godwitError('GODWIT_CONFIG', { file, what });
}
