export interface CommandOption {
  readonly name: string;
  /** Undefined for a switch such as -S. */
  readonly value: string | undefined;
}

export interface CommandLine {
  readonly options: readonly CommandOption[];
  /** Words outside any option, such as a disk image. */
  readonly loose: readonly string[];
}

const SWITCHES = new Set(
  (
    'h help version enable-kvm S daemonize nographic nodefaults no-user-config snapshot no-reboot no-shutdown ' +
    'no-acpi no-hpet no-fd-bootchk full-screen no-quit usb win2k-hack rtc-td-hack realtime s singlestep ' +
    'only-migratable portrait sdl curses enable-fips nohpet xen-attach xen-domid-restrict mem-prealloc ' +
    'semihosting old-param preconfig async-teardown enable-sync-profile perfmap jitdump'
  ).split(' '),
);

const ALIASES: Readonly<Record<string, string>> = {
  M: 'machine',
  'qmp-pretty': 'qmp',
  hdachs: 'hda',
};

export function parseCommandLine(argv: readonly string[]): CommandLine {
  const options: CommandOption[] = [];
  const loose: string[] = [];
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-') || word === '-') {
      if (word !== '') loose.push(word);
      continue;
    }
    const bare = word.replace(/^--?/, '');
    const name = ALIASES[bare] ?? bare;
    if (SWITCHES.has(bare)) options.push({ name, value: undefined });
    else options.push({ name, value: argv[++at] ?? '' });
  }
  return { options, loose };
}

export function valuesOf(line: CommandLine, name: string): string[] {
  return line.options.filter((option) => option.name === name).map((option) => option.value ?? '');
}

export function hasOption(line: CommandLine, name: string): boolean {
  return line.options.some((option) => option.name === name);
}
