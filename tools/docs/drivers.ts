import { allDrivers, isManaged, type Driver } from '../../src/drivers/registry.ts';
import {
  judgeCapabilities,
  leftToManager,
  type Capabilities,
} from '../../src/migration/preflight/capabilities.ts';
import {
  compression,
  migrationSettings,
  mode,
  type MigrationSettings,
} from '../../src/protocol/public/migration.ts';
import { STRATEGIES } from '../../src/protocol/public/steering.ts';
import { transport } from '../../src/protocol/public/transport.ts';

/** As a host would have them all; nobody is asked for anything by a driver that is only made. */
const account = { user: 'godwit', passwordFile: '/etc/godwit/password' };
const SECTIONS = {
  libvirt: {},
  criu: {},
  vsphere: { url: 'https://vcenter.example', ...account },
  hyperv: { url: 'https://hv1.example:5986/wsman', ...account },
};

const PLAIN = migrationSettings.parse({});
/** Everything that a manager may decide by itself. */
const OWN: MigrationSettings = {
  ...PLAIN,
  steering: STRATEGIES.standard,
  deadlineAt: '2026-01-01T00:00:00.000Z',
  onLost: 'restart',
  pathAddresses: ['192.0.2.1:7443'],
  diskWrites: 'refuse',
  verifyDisks: true,
  networks: {},
  returnIfUnhealthy: { check: 'web', withinMs: 60_000 },
};

const ASKED: readonly [string, Partial<MigrationSettings>][] = [
  ...mode.options.map((each): [string, Partial<MigrationSettings>] => [
    `\`--mode ${each}\``,
    { mode: each },
  ]),
  ...compression.options.map((each): [string, Partial<MigrationSettings>] => [
    `\`--compress ${each}\``,
    { compress: each },
  ]),
  ['`--streams 2` and more', { streams: 2 }],
  ['`--rehearse`', { rehearse: true }],
  ['`--datastore`', { datastore: 'fast' }],
  ['`--keep-source`', { keepSource: true }],
  ...transport.options
    .filter((each) => each !== 'tcp')
    .map((each): [string, Partial<MigrationSettings>] => [
      `\`--transport ${each}\``,
      { transport: each },
    ]),
  ['`--priority high`', { priority: 'high' }],
  ['`--encrypted`', { encrypted: true }],
  ['`--not-before`, `--window`', { notBefore: '2026-01-01T00:00:00.000Z' }],
  ['`--notice`', { noticeMs: 60_000 }],
  ['`--when quiet`', { whenQuiet: { withinMs: 60_000 } }],
];

const FIGURES: readonly [string, 'sentBytes' | 'rounds' | 'downtimeMs'][] = [
  ['bytes sent', 'sentBytes'],
  ['rounds', 'rounds'],
  ['downtime', 'downtimeMs'],
];

/** docs/drivers/README.md: what each driver declares that it can, and in which words the rest is refused. */
export async function driversPage(): Promise<string> {
  const config = { name: 'a', stateDir: '/var/lib/godwit', drivers: SECTIONS };
  const drivers = await allDrivers(config);
  const row = (what: string, cell: (driver: Driver) => string): string =>
    `| ${[what, ...drivers.map(cell)].join(' | ')} |`;
  const lines = [
    row('', ({ name }) => `[${name}](${name}.md)`),
    row('---', () => '---'),
    row('who moves the memory', ({ capabilities: { shape } }) =>
      shape === 'direct' ? 'Godwit' : 'its manager',
    ),
    ...ASKED.map(([what, settings]) => row(what, (driver) => canOf(driver, settings))),
    row('a broken post-copy is resumed', ({ capabilities }) => recoveryOf(capabilities)),
    row('`drain` by maintenance mode', maintenanceOf),
    row('`doctor --driver`', (driver) => askedOf(driver, 'diagnose')),
    row('changes of guests and hosts are reported to Godwit', changesOf),
    row('the gap that a client of the guest sees', gapOf),
    ...FIGURES.map(([what, figure]) =>
      row(`reports ${what}`, ({ capabilities: { figures } }) =>
        figures === undefined || figures.includes(figure) ? 'yes' : 'not reported by the manager',
      ),
    ),
  ];
  const byWire = drivers.filter(({ capabilities: { wire } }) => wire === true);
  const steered = drivers.filter(
    ({ capabilities: { shape, levers } }) => shape === 'managed' && levers !== undefined,
  );
  const namesOf = (all: readonly Driver[]): string => all.map(({ name }) => name).join(', ');
  const left = leftToManager(OWN, { levers: [] }).map(([what]) => `\`${what}\``);
  return `# What each driver can do

Made by \`npm run docs\` from what the drivers declare. A check refuses the rest with GODWIT_CAPABILITY, in the words that stand here.

${lines.join('\n')}

Where the memory is moved by a manager, these options are refused too, since it decides on them: ${left.join(', ')}; \`--steering\`, but for ${namesOf(steered)}; and \`--path wire\`, but for ${namesOf(byWire)}. What a guest may have besides (disks, networks, devices) is on each driver’s own page.
`;
}

function canOf(
  { name, capabilities }: Pick<Driver, 'name' | 'capabilities'>,
  settings: Partial<MigrationSettings>,
): string {
  const found = judgeCapabilities({
    driver: { name, capabilities },
    settings: { ...PLAIN, ...settings },
  });
  const refused = found.flatMap(({ error }) => (error === undefined ? [] : [error.message]));
  const [words] = refused;
  return words === undefined ? 'yes' : `no: ${words.replace(/^.* cannot: /, '')}`;
}

function maintenanceOf(driver: Driver): string {
  if (!isManaged(driver)) return 'no: Godwit moves the guests of the host that is drained';
  return driver.maintenance === undefined ? 'no: its hosts have no such mode' : 'yes';
}

function askedOf(driver: Driver, what: 'diagnose'): string {
  if (!isManaged(driver)) return 'no: it has no manager';
  return driver[what] === undefined ? 'no: its manager is a part of the host' : 'yes';
}

/** No manager reports it. Whoever drives one has the guest's address from its configuration alone. */
function gapOf(driver: Driver): string {
  if (!isManaged(driver)) return 'by probes of other hosts, where its NICs are known';
  return 'by probes of its agent, where `network.probe.addresses` has the guest’s address and it answers there';
}

function changesOf(driver: Driver): string {
  if (!isManaged(driver)) return 'no: Godwit looks at its host itself';
  return driver.changed === undefined ? 'no: its manager is asked again and again' : 'yes';
}

function recoveryOf({ modes, postcopyRecovery }: Capabilities): string {
  if (!modes.includes('postcopy')) return 'no: it has no post-copy';
  return postcopyRecovery ? 'yes' : 'no: not by Godwit';
}
