import { ASIDE, type AsideName } from './aside.ts';
import { STARTERS, type Expected, type Shape } from './shape.ts';

const HEADINGS: Readonly<Record<Shape['by'], string>> = {
  libvirt: 'libvirt',
  'Proxmox VE': 'Proxmox VE',
  Nova: 'OpenStack Nova',
  script: 'By hand and from scripts',
  trait: 'Single traits',
};

/** The page docs/guests.md. Pure. */
export function documentOf(shapes: readonly Shape[]): string {
  const moving = shapes.filter(({ expected }) => expected.is !== 'refused');
  const whole = shapes.filter((shape) => shape.whole === true);
  const wholeMoving = whole.filter(({ expected }) => expected.is !== 'refused');
  return [
    '# Guests as others start them',
    '',
    '`npm run shapes -- --write` makes this page from the table in `shapes/table/`; a test holds them equal. `npm run shapes`',
    'starts each of these guests by hand, moves it there and back, and holds what happens against this table: its memory is',
    'whole, and its description before and after is the same. `--only PATTERN` picks some, `--all` runs each by both modes on',
    'each QEMU of the machine.',
    '',
    `${shapes.length} shapes: ${moving.length} move, ${shapes.length - moving.length} are refused. Of ${whole.length} whole lines of managers and scripts ${wholeMoving.length} move.`,
    '',
    'The lines of libvirt, Proxmox VE and Nova have one option more than their managers give: a second QMP socket for Godwit',
    '(`-qmp unix:...`, [how to give one](tasks.md#a-guest-whose-manager-holds-its-monitor)). Those called `no-second-monitor` are',
    'without it. Godwit lists such a guest and does not move it.',
    '',
    'A tiny guest that sums its memory runs in place of an operating system. One whole system is moved by a test of its own:',
    '[Debian with PostgreSQL](measurements/database-guest.md) on UEFI firmware, with a TPM. Nobody has moved a Windows: the lines',
    'for it have the tiny guest, too. What a line has that the machine of the trial lacks is put aside by rules, named in the',
    'last column:',
    '',
    '| rule | why |',
    '| --- | --- |',
    ...Object.entries(ASIDE).map(([name, { why }]) => `| \`${name}\` | ${why} |`),
    ...STARTERS.flatMap((by) =>
      tableOf(
        by,
        shapes.filter((shape) => shape.by === by),
      ),
    ),
    '',
  ].join('\n');
}

function tableOf(by: Shape['by'], shapes: readonly Shape[]): string[] {
  if (shapes.length === 0) return [];
  return [
    '',
    `## ${HEADINGS[by]}`,
    '',
    '| shape | what is particular | becomes | put aside |',
    '| --- | --- | --- | --- |',
    ...shapes.map(({ name, what, expected, aside, whole, oneVersion }) => {
      const line = `${what}${whole === true ? ' (a whole line)' : ''}${oneVersion === undefined ? '' : `; tried between equal versions of QEMU alone: ${oneVersion}`}`;
      return `| \`${name}\` | ${cell(line)} | ${cell(becomes(expected))} | ${rules(aside)} |`;
    }),
  ];
}

function becomes(expected: Expected): string {
  switch (expected.is) {
    case 'moved':
      return 'moved';
    case 'warned':
      return `moved, with a warning: ${expected.of.map((each) => `\`${each}\``).join(', ')}`;
    case 'refused':
      return `refused: \`${expected.code}\` (${expected.says})`;
  }
}

function rules(aside: readonly AsideName[]): string {
  return aside.filter((name) => name !== 'program').join(', ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
